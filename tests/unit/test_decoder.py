"""The decoder: its inputs, what its Gaussians mean, its initial weights, pruning."""

from __future__ import annotations

import pytest
import torch

from lyra_data.engine.errors import ParamsError
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import num_latent_frames
from lyra_data.scene.cameras import Cameras
from lyra_model.decoder import DecoderParams, create_decoder
from lyra_model.decoder.inputs import DecoderInput, prepare_inputs
from lyra_model.decoder.pruning import num_kept, prune
from lyra_model.decoder.rays import coarse_rays, pluecker, rays
from lyra_model.decoder.times import embed_times, normalise_times
from lyra_model.gaussians import Gaussians

SMALL = {
    "dim": 32,
    "depth": 2,
    "attention_every": 2,
    "num_heads": 2,
    "mlp_ratio": 2,
    "d_state": 8,
    "d_conv": 4,
    "expand": 2,
    "headdim": 16,
    "chunk_size": 16,
    "distance_near": 0.5,
    "distance_far": 20.0,
    "distance_shift": -1.65,
    "scale_max": 0.3,
    "opacity_shift": -2.0,
    "scene_scale": 1.0,
    "dynamic": False,
}
HEIGHT, WIDTH, FRAMES = 32, 48, 9


def small_params(**changes) -> DecoderParams:
    return DecoderParams.parse({**SMALL, **changes}, where="train.decoder")


def random_rotation(generator: torch.Generator, amount: float) -> torch.Tensor:
    skew = torch.randn(3, 3, generator=generator, dtype=torch.float64) * amount
    return torch.linalg.matrix_exp(skew - skew.T)


def moving_cameras(seed: int) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    poses = torch.eye(4, dtype=torch.float64).repeat(FRAMES, 1, 1)
    for pose in poses:
        pose[:3, :3] = random_rotation(generator, 0.1)
        pose[:3, 3] = torch.randn(3, generator=generator, dtype=torch.float64)
    intrinsics = torch.tensor([40.0, 42.0, 23.0, 17.0]).repeat(FRAMES, 1)
    return Cameras(poses.float(), intrinsics, HEIGHT, WIDTH)


def scene_inputs(
    *, num_views: int = 2, seed: int = 0, scene_scale: float = 1.0, target_time: float | None = None
) -> DecoderInput:
    codec = CODECS.create({"name": "dct"}, where="codec")
    generator = torch.Generator().manual_seed(seed)
    videos = torch.rand(num_views, 3, FRAMES, HEIGHT, WIDTH, generator=generator) * 2 - 1
    return prepare_inputs(
        [moving_cameras(seed + view) for view in range(num_views)],
        [codec.encode(video) for video in videos],
        codec,
        scene_scale=scene_scale,
        frame_times=None if target_time is None else torch.arange(float(FRAMES)),
        target_time=target_time,
    )


def test_a_ray_meets_the_image_at_its_pixels_centre() -> None:
    cameras = moving_cameras(3)
    origins, directions = rays(cameras)
    points = origins + 2.5 * directions
    world_to_camera = cameras.world_to_camera
    seen = torch.einsum("fij,fjhw->fihw", world_to_camera[:, :3, :3], points)
    seen = seen + world_to_camera[:, :3, 3, None, None]
    columns = 40.0 * seen[:, 0] / seen[:, 2] + 23.0
    rows = 42.0 * seen[:, 1] / seen[:, 2] + 17.0
    assert torch.allclose(columns, (torch.arange(WIDTH) + 0.5).expand_as(columns), atol=1e-3)
    assert torch.allclose(rows, (torch.arange(HEIGHT) + 0.5)[:, None].expand_as(rows), atol=1e-3)
    assert torch.allclose(directions.norm(dim=1), torch.ones(()), atol=1e-6)


def test_a_coarse_ray_goes_through_the_centre_of_its_patch() -> None:
    cameras = moving_cameras(4)
    _, coarse = coarse_rays(cameras, 8)
    # A patch's centre is a corner of four pixels: moved by half a pixel it is a pixel's centre.
    half_a_pixel = torch.tensor([0.0, 0.0, 0.5, 0.5])
    shifted = Cameras(cameras.camera_to_world, cameras.intrinsics + half_a_pixel, HEIGHT, WIDTH)
    _, fine = rays(shifted)
    assert torch.allclose(coarse, fine[:, :, 4::8, 4::8], atol=1e-5)


def test_rays_are_float32_inside_mixed_precision() -> None:
    cameras = moving_cameras(5)
    expected = pluecker(cameras)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pluecker(cameras), expected)


def test_pluecker_moments_do_not_depend_on_the_point_of_the_ray() -> None:
    cameras = moving_cameras(6)
    moments, directions = pluecker(cameras).split(3, dim=1)
    origins, _ = rays(cameras)
    further = torch.linalg.cross(origins + 3 * directions, directions, dim=1)
    assert torch.allclose(moments, further, atol=1e-5)


def test_times_are_normalised_over_inputs_and_target_together() -> None:
    times = normalise_times(torch.tensor([10.0, 12.0, 14.0, 20.0]))
    assert times.tolist() == pytest.approx([0.0, 0.2, 0.4, 1.0])
    assert normalise_times(torch.tensor([3.0, 3.0])).tolist() == [0.0, 0.0]
    assert embed_times(torch.tensor([0.0])).tolist() == [[0.0, 1.0, 0.0]]


def test_moving_the_whole_world_changes_no_input() -> None:
    codec = CODECS.create({"name": "dct"}, where="codec")
    move = torch.eye(4)
    move[:3, :3] = random_rotation(torch.Generator().manual_seed(1), 0.5).float()
    move[:3, 3] = torch.tensor([3.0, -2.0, 1.0])
    cameras = [moving_cameras(seed) for seed in (1, 2)]
    moved = [Cameras(move @ c.camera_to_world, c.intrinsics, HEIGHT, WIDTH) for c in cameras]
    latents = [torch.randn(16, 2, HEIGHT // 8, WIDTH // 8) for _ in cameras]
    first = prepare_inputs(cameras, latents, codec, scene_scale=1.0)
    second = prepare_inputs(moved, latents, codec, scene_scale=1.0)
    assert torch.allclose(first.rays_o, second.rays_o, atol=1e-4)
    assert torch.allclose(first.rays_d, second.rays_d, atol=1e-5)
    assert torch.allclose(first.plucker_latents, second.plucker_latents, atol=1e-3)
    assert torch.allclose(first.rays_o[:, 0], torch.zeros(()), atol=1e-5)


def test_every_gaussian_lies_on_its_own_ray_within_the_distance_range() -> None:
    inputs = scene_inputs()
    with torch.no_grad():
        (gaussians,) = create_decoder(small_params(), seed=1)(inputs, prune_ratio=0.0)
    rows, columns = HEIGHT // 8, WIDTH // 8
    assert len(gaussians) == 2 * FRAMES * rows * columns
    origins = inputs.rays_o[0].movedim(1, -1).reshape(-1, 3)
    directions = inputs.rays_d[0].movedim(1, -1).reshape(-1, 3)
    along = gaussians.means - origins
    distances = along.norm(dim=1)
    assert torch.allclose(along / distances[:, None], directions, atol=1e-4)
    assert 0.5 <= float(distances.min()) <= float(distances.max()) <= 20.0
    assert float(gaussians.scales.max()) <= 0.3
    assert torch.allclose(gaussians.quats.norm(dim=1), torch.ones(()), atol=1e-5)


def test_a_scene_scale_only_changes_the_unit_that_the_network_sees() -> None:
    decoder = create_decoder(small_params(), seed=1)  # ignores poses: Pluecker starts at zero
    (plain,) = decoder(scene_inputs(), prune_ratio=0.0)
    (scaled,) = decoder(scene_inputs(scene_scale=4.0), prune_ratio=0.0)
    origins = scene_inputs().rays_o[0].movedim(1, -1).reshape(-1, 3)
    assert torch.allclose((plain.means - origins) / 4, scaled.means - origins, atol=1e-4)
    assert torch.allclose(plain.scales / 4, scaled.scales)


def test_scenes_of_a_batch_do_not_mix() -> None:
    decoder = create_decoder(small_params(), seed=2)
    parts = [scene_inputs(seed=0), scene_inputs(seed=5)]
    together = decoder(DecoderInput.concatenate(parts), prune_ratio=0.0)
    (alone,) = decoder(parts[1], prune_ratio=0.0)
    assert torch.allclose(together[1].means, alone.means, atol=1e-4)
    assert torch.allclose(together[1].opacities, alone.opacities, atol=1e-5)


def test_every_view_informs_the_gaussians_of_the_others() -> None:
    decoder, inputs = create_decoder(small_params(), seed=3), scene_inputs()
    (before,) = decoder(inputs, prune_ratio=0.0)
    inputs.latents[:, -1] += 1.0
    (after,) = decoder(inputs, prune_ratio=0.0)
    first_view = slice(0, len(before) // 2)
    assert not torch.allclose(before.colors[first_view], after.colors[first_view], atol=1e-6)


def test_the_target_time_moves_a_dynamic_scene_and_not_a_static_one() -> None:
    early, late = scene_inputs(target_time=0.0), scene_inputs(target_time=8.0)
    for dynamic in (False, True):
        decoder = create_decoder(small_params(dynamic=dynamic), seed=4)
        torch.nn.init.normal_(decoder.patch_time_embed_tgt.proj.weight)
        (first,) = decoder(early, prune_ratio=0.0)
        (second,) = decoder(late, prune_ratio=0.0)
        assert torch.equal(first.means, second.means) is not dynamic


def test_initial_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = create_decoder(small_params(), seed=7).state_dict()
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    second = create_decoder(small_params(), seed=7).state_dict()
    assert torch.equal(state, torch.random.get_rng_state())
    other = create_decoder(small_params(), seed=8).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["deconv.weight"], other["deconv.weight"])
    assert all(bool(value.isfinite().all()) for value in first.values())


def test_the_released_configuration_has_the_released_number_of_parameters() -> None:
    decoder = create_decoder(
        small_params(
            dim=512, depth=16, attention_every=8, num_heads=8, mlp_ratio=4, d_state=256, headdim=64
        )
    )
    assert len(decoder.state_dict()) == 254
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 32_753_996
    assert all(parameter.is_meta for parameter in decoder.parameters())


def test_a_new_decoder_learns_the_distances_of_a_scene() -> None:
    inputs = scene_inputs(num_views=1)
    decoder = create_decoder(small_params(), seed=5)
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=3e-3)
    origins = inputs.rays_o[0].movedim(1, -1).reshape(-1, 3)
    wanted = 2.0 + 3.0 * torch.rand(len(origins), generator=torch.Generator().manual_seed(0))
    errors = []
    for _ in range(40):
        (gaussians,) = decoder(inputs, prune_ratio=0.0)
        error = ((gaussians.means - origins).norm(dim=1) - wanted).abs().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.6 * errors[0], errors


@pytest.mark.parametrize("num_views", range(1, 7))
@pytest.mark.parametrize(
    ("num_frames", "dynamic"), [(1, False), (9, True), (17, False), (25, True)]
)
def test_any_number_of_views_and_8k_plus_1_frames_make_a_gaussian_for_every_8x8_pixels(
    num_views: int, num_frames: int, dynamic: bool
) -> None:
    codec = CODECS.create({"name": "dct"}, where="codec")
    cameras = moving_cameras(0)[[0] * num_frames].resized(16, 32)
    inputs = prepare_inputs(
        [cameras] * num_views,
        [torch.randn(16, num_latent_frames(num_frames), 2, 4) for _ in range(num_views)],
        codec,
        scene_scale=1.0,
        frame_times=torch.arange(float(num_frames)) if dynamic else None,
        target_time=0.0 if dynamic else None,
    )
    decoder = create_decoder(small_params(dynamic=dynamic), seed=1)
    with torch.no_grad():
        (gaussians,) = decoder(inputs, prune_ratio=0.0)
        (pruned,) = decoder(inputs, prune_ratio=0.8)
    assert len(gaussians) == num_views * num_frames * 2 * 4
    assert len(pruned) == num_kept(len(gaussians), 0.8)
    assert all(bool(values.isfinite().all()) for values in vars(gaussians).values())


def some_gaussians(num: int) -> Gaussians:
    generator = torch.Generator().manual_seed(num)
    opacities = torch.rand(num, generator=generator).mul(10).round().div(10)  # with ties
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(num, 1)
    means = torch.arange(3.0 * num).reshape(num, 3)
    return Gaussians(means, torch.ones(num, 3), identity, opacities, torch.zeros(num, 3))


def test_pruning_keeps_the_most_opaque_and_ties_keep_their_order() -> None:
    gaussians = some_gaussians(50)
    kept = prune(gaussians, 0.5)
    assert len(kept) == 25
    assert bool((kept.opacities.diff() <= 0).all())
    assert float(kept.opacities.min()) >= float(gaussians.opacities.sort().values[24])
    tied = kept.opacities.diff() == 0
    assert bool((kept.means[:, 0].diff()[tied] > 0).all())


def test_the_number_kept_is_counted_as_the_reference_counts() -> None:
    assert num_kept(100, 0.8) == 19
    assert num_kept(10_222_080, 0.8) == 2_044_415
    assert torch.equal(prune(some_gaussians(9), 0.0).means, some_gaussians(9).means)


@pytest.mark.parametrize(
    "changes", [{"num_heads": 3}, {"headdim": 24}, {"distance_far": 0.1}, {"dim": 0}]
)
def test_impossible_shapes_are_refused(changes: dict) -> None:
    with pytest.raises(ParamsError, match=r"train\.decoder"):
        small_params(**changes)
