"""The decoder that is also given pictures: plane sweep, its Gaussians, its loss, its settings."""

from __future__ import annotations

import pytest
import torch

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.models.codecs import create_codec
from lyra_data.scene.cameras import Cameras
from lyra_model.batches.targets import TargetFrames
from lyra_model.decoder import create_decoder
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.decoder.inputs import DecoderInput, prepare_inputs
from lyra_model.decoder.pictures.inputs import ViewPictures, picture_positions
from lyra_model.decoder.pictures.plane_sweep import UNSEEN_COST, matching_costs
from lyra_model.losses import LossParams
from lyra_model.rendering.base import Render
from lyra_model.training.view_loss import loss_of_frames
from tests.unit.test_decoder import small_params

PICTURES = {
    "per_view": 2,
    "planes": 8,
    "near": 1.0,
    "far": 32.0,
    "channels": 8,
    "reads_latents": False,
}
HEIGHT, WIDTH, FRAMES, DEPTH = 32, 48, 9, 4.0
FOCAL = 40.0
CODEC = create_codec("dct")


def wall(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Colours of a wall at depth 4, at places on it in metres."""
    waves = [torch.sin(5 * x + 3 * y), torch.sin(4 * x - 6 * y), torch.cos(7 * y + x)]
    return 0.5 + 0.4 * torch.stack(waves)


def path_along_wall(step: float) -> tuple[Cameras, torch.Tensor]:
    """Cameras that move to the right before a wall, and what they see of it."""
    poses = torch.eye(4).repeat(FRAMES, 1, 1)
    poses[:, 0, 3] = torch.arange(FRAMES) * step
    intrinsics = torch.tensor([[FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2]]).repeat(FRAMES, 1)
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    x = (columns + 0.5 - WIDTH / 2) / FOCAL * DEPTH
    y = (rows + 0.5 - HEIGHT / 2) / FOCAL * DEPTH
    frames = torch.stack([wall(x + float(pose[0, 3]), y) for pose in poses])
    return Cameras(poses, intrinsics, HEIGHT, WIDTH), frames


def inputs_of_wall(*, scene_scale: float = 1.0, steps: tuple[float, ...] = (0.1,)) -> DecoderInput:
    views = [path_along_wall(step) for step in steps]
    positions = picture_positions(FRAMES, 2)
    depth = torch.full((len(positions), HEIGHT, WIDTH), DEPTH)
    return prepare_inputs(
        [cameras for cameras, _ in views],
        [CODEC.encode(frames.permute(1, 0, 2, 3) * 2 - 1) for _, frames in views],
        CODEC,
        scene_scale=scene_scale,
        pictures=[ViewPictures(positions, frames[list(positions)], depth) for _, frames in views],
    )


def picture_decoder(**changes) -> GaussianDecoder:
    scene_scale = changes.pop("scene_scale", 1.0)
    params = small_params(pictures={**PICTURES, **changes}, scene_scale=scene_scale)
    return create_decoder(params, seed=0)


def test_plane_sweep_costs_least_at_the_true_depth() -> None:
    cameras, frames = path_along_wall(0.1)
    ends = [0, FRAMES - 1]
    depths = torch.tensor([2.0, 3.0, 4.0, 6.0, 12.0])
    costs = matching_costs(frames[ends], cameras[ends], 1 / depths)
    seen = costs.mean[0, :, :, 12:]  # further left the other picture shows nothing of the wall
    assert (seen.argmin(0) == 2).float().mean() > 0.98
    assert float(seen[2].mean()) < 0.02


def test_where_no_other_picture_shows_a_point_its_cost_says_nothing() -> None:
    cameras, frames = path_along_wall(0.1)
    ends = [0, FRAMES - 1]
    costs = matching_costs(frames[ends], cameras[ends], torch.tensor([1 / DEPTH]))
    assert torch.all(costs.mean[0, :, :, :7] == UNSEEN_COST)
    assert torch.all(costs.best[0, :, :, :7] == UNSEEN_COST)


def test_a_picture_that_hides_a_point_does_not_count_among_the_best() -> None:
    cameras, frames = path_along_wall(0.02)
    chosen = [0, 4, 8]
    pictures = frames[chosen].clone()
    pictures[2] = 0.0  # something black stands before this camera
    costs = matching_costs(pictures, cameras[chosen], torch.tensor([1 / DEPTH]))
    inside = (0, 0, slice(None), slice(6, None))
    assert float(costs.best[inside].max()) < 0.05
    assert float(costs.mean[inside].mean()) > 0.1


def test_of_pictures_from_one_place_the_first_alone_is_given() -> None:
    pictures = inputs_of_wall(steps=(0.1, -0.1)).pictures
    assert pictures is not None
    assert pictures.frames == (0, 8, 17)
    assert pictures.rgb.shape == (1, 3, 3, HEIGHT, WIDTH)


def test_pictures_from_one_point_are_refused() -> None:
    with pytest.raises(InputError, match="taken from one point"):
        inputs_of_wall(steps=(0.0,))


def test_every_pixel_has_a_gaussian_on_its_own_ray() -> None:
    inputs = inputs_of_wall()
    with torch.no_grad():
        (gaussians,) = picture_decoder()(inputs, prune_ratio=0.0)
    assert len(gaussians) == 2 * HEIGHT * WIDTH
    second = gaussians[HEIGHT * WIDTH :].means.reshape(HEIGHT, WIDTH, 3)
    x, y, z = (second - torch.tensor([0.8, 0.0, 0.0])).unbind(-1)
    assert torch.allclose(x / z * FOCAL + WIDTH / 2, torch.arange(WIDTH) + 0.5, atol=1e-3)
    rows = (torch.arange(HEIGHT) + 0.5)[:, None]
    assert torch.allclose(y / z * FOCAL + HEIGHT / 2, rows.expand_as(y), atol=1e-3)


def test_an_untrained_decoder_finds_depth_by_plane_sweep() -> None:
    inputs = inputs_of_wall()
    with torch.no_grad():
        (gaussians,) = picture_decoder(planes=24, near=2.0, far=20.0)(inputs, prune_ratio=0.0)
    depth = gaussians.means[: HEIGHT * WIDTH, 2].reshape(HEIGHT, WIDTH)[4:-4, 14:-4]
    assert float((depth / DEPTH - 1).abs().median()) < 0.1


@pytest.mark.parametrize("reads_latents", [True, False])
def test_the_unit_of_the_scene_does_not_matter(reads_latents: bool) -> None:
    decoder = picture_decoder(reads_latents=reads_latents)
    with torch.no_grad():
        (metres,) = decoder(inputs_of_wall(), prune_ratio=0.0)
        (scaled,) = decoder(inputs_of_wall(scene_scale=100.0), prune_ratio=0.0)
    assert torch.allclose(metres.means, scaled.means, rtol=1e-3, atol=1e-3)
    assert torch.allclose(metres.scales, scaled.scales, rtol=1e-3)


def test_latents_count_where_they_are_read_and_only_there() -> None:
    inputs = inputs_of_wall()
    other = DecoderInput(**{**vars(inputs), "latents": inputs.latents + 1})
    for reads_latents in (True, False):
        decoder = picture_decoder(reads_latents=reads_latents)
        with torch.no_grad():
            (first,), (second,) = (decoder(each, prune_ratio=0.0) for each in (inputs, other))
        assert torch.equal(first.means, second.means) != reads_latents


def test_all_weights_of_the_picture_network_get_a_gradient() -> None:
    decoder = picture_decoder(reads_latents=True)
    (gaussians,) = decoder(inputs_of_wall(), prune_ratio=0.5)
    torch.stack([value.square().sum() for value in vars(gaussians).values()]).sum().backward()
    assert decoder.pictures is not None
    for name, parameter in decoder.pictures.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name


def test_without_pictures_weights_are_those_of_a_decoder_of_latents() -> None:
    plain, given = create_decoder(small_params(), seed=3), create_decoder(small_params(), seed=3)
    assert set(plain.state_dict()) == set(given.state_dict())
    assert not any(name.startswith("pictures") for name in plain.state_dict())


def loss_of_wall(depth: float, scene_scale: float = 1.0) -> float:
    inputs = inputs_of_wall(scene_scale=scene_scale)
    with torch.no_grad():
        (gaussians,) = picture_decoder(scene_scale=scene_scale)(inputs, prune_ratio=0.0)
    means = gaussians.means.clone()
    means[:, 2] = depth
    gaussians = type(gaussians)(**{**vars(gaussians), "means": means})
    empty = torch.zeros(1, HEIGHT, WIDTH)
    rgb = torch.zeros(1, 3, HEIGHT, WIDTH)
    render = Render(rgb=rgb, depth=empty, alpha=empty)
    targets = TargetFrames(rgb, empty, empty > 0, path_along_wall(0.1)[0][[0]], torch.zeros(1))
    only = {**dict.fromkeys(LossParams.model_fields, 0.0), "picture_depth": 1.0}
    losses = LossParams.parse({**only, "reference": False}, where="losses")
    return float(loss_of_frames(losses, render, targets, gaussians, None, inputs).total)


@pytest.mark.parametrize("scene_scale", [1.0, 10.0])
def test_the_loss_of_pictures_depth_is_the_logarithm_of_its_error(scene_scale: float) -> None:
    assert loss_of_wall(DEPTH, scene_scale) == pytest.approx(0.0, abs=1e-5)
    assert loss_of_wall(DEPTH * 1.5, scene_scale) == pytest.approx(0.405, abs=1e-3)
    assert loss_of_wall(-1.0, scene_scale) == pytest.approx(6.908, abs=1e-3)


def test_pictures_are_refused_for_scenes_that_move_and_planes_that_are_turned_round() -> None:
    with pytest.raises(ParamsError, match="pictures are for scenes that stand still"):
        small_params(pictures=PICTURES, dynamic=True)
    with pytest.raises(ParamsError, match="not beyond near"):
        small_params(pictures={**PICTURES, "far": 0.5})
