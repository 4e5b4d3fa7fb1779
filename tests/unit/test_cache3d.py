"""What the 3D cache shows of a scene whose true pictures are known.

Long because its cases share the ray-cast scenes.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lyra_data.cache3d import Cache3D, Cache3DParams
from lyra_data.cache3d.alignment import align_depth
from lyra_data.cache3d.occlusion import reliable_depth
from lyra_data.engine.errors import InputError
from lyra_data.generation.trajectories import (
    MULTI_VIEW_TRAJECTORIES,
    SpiralParams,
    create_trajectory,
)
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.projection import pixel_directions, project_as_reference, unproject

HEIGHT, WIDTH = 72, 96
BOX_DEPTH, WALL_DEPTH = 2.0, 4.0
SPIRAL = SpiralParams(radius_x_factor=0.15, radius_y_factor=0.10, num_circles=2)
DISTANCE = {"left": 0.25, "right": 0.25, "up": 0.15, "zoom_out": 0.35, "zoom_in": 0.35}


def camera() -> Cameras:
    return Cameras(torch.eye(4)[None], torch.tensor([[80.0, 84.0, 47.2, 35.1]]), HEIGHT, WIDTH)


def path(name: str, num_frames: int = 5, source: Cameras | None = None) -> Cameras:
    return create_trajectory(
        name,
        camera() if source is None else source,
        num_frames=num_frames,
        movement_distance=DISTANCE.get(name, 0.5),
        centre_depth=3.0,
        rotation="center_facing",
        spiral=SPIRAL,
        reference_cameras=False,
    )


def see(cameras: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    """Ray-cast a box's front before a slanted wall: frames [-.8, .8], z depth, True on the box."""
    origins = cameras.centres[:, None, None, :]
    directions = torch.einsum(
        "fij,fhwj->fhwi",
        cameras.camera_to_world[:, :3, :3],
        pixel_directions(cameras, pixel_centre=0.5),
    )
    normal = torch.tensor([0.15, 0.1, 1.0])
    to_wall = (WALL_DEPTH - (origins * normal).sum(-1)) / (directions * normal).sum(-1)
    to_box = (BOX_DEPTH - origins[..., 2]) / directions[..., 2]
    hit = origins + directions * to_box[..., None]
    on_box = (hit[..., 0].abs() < 0.5) & (hit[..., 1].abs() < 0.4) & (to_box > 0)
    depth = torch.where(on_box, to_box, to_wall)  # directions have z = 1 in the camera
    x, y, _ = (origins + directions * depth[..., None]).unbind(-1)
    waves = [torch.sin(3 * x + phase) * torch.cos(2 * y - phase) for phase in (0.0, 1.0, 2.0)]
    frames = 0.4 * torch.stack(waves, dim=1)
    return frames + torch.where(on_box, 0.4, -0.4)[:, None], depth, on_box


def params(**changes) -> Cache3DParams:
    settings = {
        "filter_threshold": 1.0,
        "foreground_masking": False,
        "splatting": "nearest_surface",
        "pixel_centre": 0.5,
        "max_buffers": 2,
    }
    return Cache3DParams(**{**settings, **changes})


def build(source: Cameras | None = None, valid: Tensor | None = None, **changes) -> Cache3D:
    source = camera() if source is None else source
    frames, depth, _ = see(source)
    valid = torch.ones_like(depth, dtype=torch.bool) if valid is None else valid
    return Cache3D.build(frames, depth, valid, source, params(**changes))


def widened(mask: Tensor, pixels: int) -> Tensor:
    size = 2 * pixels + 1
    pooled = torch.nn.functional.max_pool2d(mask[:, None].float(), size, stride=1, padding=pixels)
    return pooled[:, 0] > 0


def padded(mask: Tensor) -> Tensor:
    return torch.nn.functional.pad(mask, (2, 2, 2, 2), value=False)


def edges_of(on_box: Tensor, pixels: int) -> Tensor:
    return widened(on_box, pixels) & widened(~on_box, pixels)


@pytest.mark.parametrize("name", MULTI_VIEW_TRAJECTORIES)
def test_what_the_cache_shows_is_what_the_camera_would_see(name: str) -> None:
    cameras = path(name)
    render = build().render(cameras)
    frames, depth, on_box = see(cameras)
    away_from_edges = render.known[:, 0] & ~edges_of(on_box, 2)
    error = (render.frames[:, 0] - frames).abs().amax(dim=1)
    relative = (render.depth[:, 0] / depth - 1).abs()
    # Next to a hole a pixel is made from one side alone, up to 3/4 pixel away.
    assert error[away_from_edges].max() < 0.1
    assert relative[away_from_edges].max() < 0.01
    surrounded = away_from_edges & ~widened(~padded(render.known[:, 0]), 2)[:, 2:-2, 2:-2]
    assert surrounded.float().mean() > 0.5
    assert error[surrounded].max() < 0.01
    assert relative[surrounded].max() < 1e-3


def test_an_unchanged_camera_gives_back_the_source_bit_for_bit() -> None:
    source = path("left")[[3]]  # not the identity
    frames, depth, _ = see(source)
    valid = torch.ones_like(depth, dtype=torch.bool)
    valid[:, 10:14, 20:40] = False
    render = Cache3D.build(frames, depth, valid, source, params()).render(source)
    assert torch.equal(render.known[:, 0], valid)
    assert torch.equal(render.depth[:, 0], depth * valid)
    assert torch.equal(render.frames[:, 0], torch.where(valid[:, None], frames, -1.0))


@pytest.mark.parametrize("foreground_masking", [False, True])
@pytest.mark.parametrize("name", MULTI_VIEW_TRAJECTORIES)
def test_unknown_depth_is_never_splatted(name: str, foreground_masking: bool) -> None:
    frames, depth, _ = see(camera())
    valid = torch.ones_like(depth, dtype=torch.bool)
    valid[:, 20:40, 30:60] = False
    other, other_depth = frames.clone(), depth.clone()
    other[:, :, 20:40, 30:60] = 0.99
    other_depth[:, 20:30, 30:60] = 0.5
    other_depth[:, 30:40, 30:60] = torch.nan
    chosen = params(foreground_masking=foreground_masking)
    cameras = path(name)
    known = Cache3D.build(frames, depth, valid, camera(), chosen).render(cameras)
    changed = Cache3D.build(other, other_depth, valid, camera(), chosen).render(cameras)
    assert torch.equal(known.frames, changed.frames)
    assert torch.equal(known.depth, changed.depth)
    assert not bool(known.known.all())


def test_nan_and_negative_depth_are_unknown_even_where_called_valid() -> None:
    frames, depth, _ = see(camera())
    depth[:, 5], depth[:, 9], depth[:, 13] = torch.nan, -1.0, torch.inf
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    render = Cache3D.build(frames, depth, everywhere, camera(), params()).render(camera())
    assert not bool(render.known[0, 0, [5, 9, 13]].any())
    assert torch.isfinite(render.frames).all()


def test_unknown_pixels_are_minus_one_with_zero_depth_and_known_ones_are_not() -> None:
    render = build().render(path("right"))
    assert bool((~render.known).any())
    assert bool((render.depth[~render.known] == 0).all())
    assert bool((render.depth[render.known] > 0).all())
    holes = ~render.known[:, :, None].expand_as(render.frames)
    assert bool((render.frames[holes] == -1).all())


def test_other_frames_and_threads_change_nothing() -> None:
    cameras = path("left")
    together = build().render(cameras)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = build().render(cameras[[3]])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(together.frames[[3]], alone.frames)
    assert torch.equal(together.depth[[3]], alone.depth)


def test_a_distant_surface_elsewhere_in_the_frame_changes_nothing_here() -> None:
    frames, depth, _ = see(camera())
    farther = depth.clone()
    farther[:, :8] = 500.0
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    target = path("zoom_out")[[2]]
    near, far = (
        Cache3D.build(frames, each, everywhere, camera(), params()).render(target)
        for each in (depth, farther)
    )
    assert torch.equal(near.frames[..., 40:, :], far.frames[..., 40:, :])


@pytest.mark.parametrize("name", ["left", "right", "up", "zoom_in"])
def test_the_nearer_surface_hides_the_farther_one(name: str) -> None:
    cameras = path(name)
    render = build().render(cameras)
    _, _, on_box = see(cameras)
    inside = on_box & ~edges_of(on_box, 1)
    assert bool(render.known[:, 0][inside].all())
    # The wall is no nearer than 3 m anywhere.
    assert render.depth[:, 0][inside].max() < 2.5


def test_a_magnified_surface_has_no_pinholes() -> None:
    cameras = create_trajectory(
        "zoom_in",
        camera(),
        num_frames=2,
        movement_distance=0.9,
        centre_depth=3.0,
        rotation="center_facing",
        spiral=SPIRAL,
        reference_cameras=False,
    )[[1]]
    frames = torch.zeros(1, 3, HEIGHT, WIDTH)
    depth = torch.full((1, HEIGHT, WIDTH), 4.0)  # the camera ends at 2.7: magnified 3 times
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    render = Cache3D.build(frames, depth, everywhere, camera(), params()).render(cameras)
    assert bool(render.known.all())


def test_what_lies_behind_the_camera_is_not_shown() -> None:
    behind = Cameras(torch.diag(torch.tensor([-1.0, 1, -1, 1]))[None], camera().intrinsics, 72, 96)
    assert not bool(build().render(behind).known.any())


def test_foreground_masking_keeps_the_background_from_showing_through_a_filtered_rim() -> None:
    cameras = path("right")
    _, _, on_box = see(cameras)
    leaks = {}
    for masking in (False, True):
        render = build(filter_threshold=0.05, foreground_masking=masking).render(cameras)
        inside = on_box & ~edges_of(on_box, 1)
        leaks[masking] = int((render.depth[:, 0][inside] > 2.5).sum())
    assert leaks[False] > 0
    assert leaks[True] == 0


def test_neither_the_border_nor_a_hole_makes_depth_unreliable() -> None:
    depth = torch.full((1, 20, 30), 3.0)
    valid = torch.ones_like(depth, dtype=torch.bool)
    valid[:, 8:11, 8:11] = False
    depth[~valid] = 0
    assert torch.equal(reliable_depth(depth, valid, threshold=0.05), valid)


def test_depth_next_to_an_edge_is_unreliable_on_both_sides() -> None:
    depth = torch.full((1, 9, 20), 3.0)
    depth[:, :, 10:] = 4.0
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    mask = reliable_depth(depth, everywhere, threshold=0.05)
    assert not bool(mask[:, :, 8:12].any())
    assert bool(mask[:, :, :8].all() and mask[:, :, 12:].all())


@pytest.mark.parametrize("pixel_centre", [0.0, 0.5])
def test_projecting_unprojected_depth_gives_back_the_pixels(pixel_centre: float) -> None:
    source = path("left")[[4]]
    _, depth, _ = see(source)
    points = unproject(depth, depth > 0, source, pixel_centre=pixel_centre)
    in_camera = points - source.centres[:, None, None]
    in_camera = torch.einsum("fji,fhwj->fhwi", source.camera_to_world[:, :3, :3], in_camera)
    position = project_as_reference(in_camera, source.intrinsics)
    assert torch.allclose(position[0, 7, 11], torch.tensor([11.0, 7.0]) + pixel_centre, atol=1e-3)
    assert torch.allclose(in_camera[..., 2], depth, atol=1e-4)


def test_a_video_shows_to_each_target_its_own_frame() -> None:
    cameras = path("left")
    cache = build(cameras)
    frames, _, _ = see(cameras)
    assert torch.equal(cache.render(cameras).frames[:, 0], frames)
    assert torch.equal(cache.render(cameras[2:4], start_frame=2).frames[:, 0], frames[2:4])


def test_an_update_is_the_newest_buffer_and_the_oldest_is_dropped() -> None:
    cameras = path("left")
    cache = build()
    for frame in (2, 4):
        frames, depth, _ = see(cameras[[frame]])
        valid = torch.ones_like(depth, dtype=torch.bool)
        cache = cache.update(frames, depth, valid, cameras[[frame]], alignment=None)
    assert len(cache.entries) == 2
    assert [entry.cameras.centres[0, 0].item() for entry in cache.entries] == [
        cameras.centres[4, 0].item(),
        cameras.centres[2, 0].item(),
    ]
    newest = cache.render(cameras[[4]])
    assert torch.equal(newest.frames[:, 0], see(cameras[[4]])[0])


def test_merging_takes_the_nearest_known_buffer() -> None:
    cameras = path("left")
    frames, depth, _ = see(cameras[[4]])
    valid = torch.ones_like(depth, dtype=torch.bool)
    cache = build().update(frames, depth, valid, cameras[[4]], alignment=None)
    render = cache.render(cameras)
    merged = render.merged()
    assert torch.equal(merged.known[:, 0], render.known.any(dim=1))
    both = render.known.all(dim=1)
    assert torch.equal(merged.depth[:, 0][both], render.depth.amin(dim=1)[both])


@pytest.mark.parametrize("method", ["rigid", "non_rigid"])
def test_alignment_finds_the_scale_and_shift_of_inverse_depth(method: str) -> None:
    target = path("left")[[2]]
    frames, depth, on_box = see(target)
    distorted = 1 / (0.5 / depth + 0.03)
    valid = torch.ones_like(depth, dtype=torch.bool)
    cache = build().update(frames, distorted, valid, target, alignment=method)
    away = ~edges_of(on_box, 2)
    relative = (cache.entries[0].depth / depth - 1).abs()[away]
    assert relative.mean() < 5e-3


def test_non_rigid_alignment_bends_what_a_scale_and_shift_cannot() -> None:
    _, depth, _ = see(camera())
    row = torch.linspace(0, 3, HEIGHT)[:, None]
    bent = depth[0] * (1 + 0.03 * torch.sin(row))
    everywhere = torch.ones_like(bent, dtype=torch.bool)
    errors = {}
    for method in ("rigid", "non_rigid"):
        aligned = align_depth(
            bent,
            everywhere,
            depth[0],
            everywhere,
            camera(),
            method=method,
            pixel_centre=0.5,
            reference=False,
        )
        errors[method] = (aligned / depth[0] - 1).abs().mean().item()
    assert errors["non_rigid"] < 0.7 * errors["rigid"]


def test_unknown_depth_stays_unknown_after_alignment() -> None:
    target = path("left")[[2]]
    frames, depth, _ = see(target)
    valid = torch.ones_like(depth, dtype=torch.bool)
    valid[:, :, :20] = False
    cache = build().update(frames, depth * valid, valid, target, alignment="rigid")
    assert torch.equal(cache.entries[0].visible, valid)


def test_depth_with_nothing_in_common_is_refused() -> None:
    away = Cameras(torch.diag(torch.tensor([-1.0, 1, -1, 1]))[None], camera().intrinsics, 72, 96)
    depth = torch.full((1, HEIGHT, WIDTH), 3.0)
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    frames = torch.zeros(1, 3, HEIGHT, WIDTH)
    with pytest.raises(InputError, match="shares only 0 reliable pixels"):
        build().update(frames, depth, everywhere, away, alignment="rigid")


def test_a_picture_without_known_depth_is_refused() -> None:
    with pytest.raises(InputError, match="no depth is known"):
        build(valid=torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool))


def test_the_reference_convention_of_pixel_centres_is_only_a_shift_of_intrinsics() -> None:
    frames, depth, _ = see(camera())
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    half = torch.tensor([0, 0, 0.5, 0.5])
    shifted = Cameras(camera().camera_to_world, camera().intrinsics - half, HEIGHT, WIDTH)
    for splatting in ("nearest_surface", "reference"):
        ours = Cache3D.build(frames, depth, everywhere, camera(), params(splatting=splatting))
        theirs = Cache3D.build(
            frames, depth, everywhere, shifted, params(splatting=splatting, pixel_centre=0.0)
        )
        left = ours.render(path("left"))
        right = theirs.render(path("left", source=shifted))
        same = left.known & right.known
        assert (left.known == right.known).float().mean() > 0.999
        relative = (left.depth[same] / right.depth[same] - 1).abs()
        assert (relative < 1e-4).float().mean() > 0.998
