"""The compiled loops of the 3D cache against their definitions, written down plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lyra_data.cache3d.occlusion import nearest_hit, pixel_rays
from lyra_data.cache3d.reference_splat import splat_reference, splat_reference_with_depth
from lyra_data.cache3d.reference_warp import warp_reference
from lyra_data.cache3d.splat import SplatSource, splat
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.projection import (
    pixel_positions,
    project_as_reference,
    transform_points,
    unproject,
)

HEIGHT, WIDTH = 24, 36

# Two formulas of one quantity round differently from processor to processor, so they are compared
# as the golden files' INDEX.json compares the same outputs.
VALUE_TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}
WARP_TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
FLOW_TOLERANCE = {"rtol": 1e-5, "atol": 5e-4}
LEAST_EQUAL_MASK = 0.998
"""Share of the pixels: a weight that rounds to nothing decides about the others."""


def assert_same_picture(
    known: Tensor,
    expected_known: Tensor,
    *pictures: tuple[Tensor, Tensor],
    rtol: float,
    atol: float,
) -> None:
    """Compare masks, and pictures [frame, channel, height, width] where both masks are true."""
    same = known == expected_known
    assert float(same.float().mean()) >= LEAST_EQUAL_MASK
    for picture, expected in pictures:
        both = same[:, None].expand_as(picture)
        torch.testing.assert_close(picture[both], expected[both], rtol=rtol, atol=atol)


def camera(*, focal: float = 30.0, height: int = HEIGHT, width: int = WIDTH) -> Cameras:
    intrinsics = torch.tensor([[focal, 1.05 * focal, 0.5 * width + 0.3, 0.5 * height - 0.2]])
    return Cameras(torch.eye(4)[None], intrinsics, height, width)


def moved(source: Cameras, x: float, y: float, z: float, turn: float) -> Cameras:
    angle = torch.tensor(turn)
    pose = torch.eye(4)
    pose[0, 0] = pose[2, 2] = angle.cos()
    pose[0, 2], pose[2, 0] = angle.sin(), -angle.sin()
    pose[:3, 3] = torch.tensor([x, y, z])
    return replace(source, camera_to_world=pose[None])


MOVES = {
    "aside": (0.3, -0.1, 0.0, 0.05),
    "nearer": (0.02, 0.05, 1.1, 0.0),
    "farther": (0.1, 0.1, -1.5, -0.1),
    "oblique": (1.2, 0.0, 0.4, -0.5),
}


def source(at: Cameras) -> SplatSource:
    """A box before a slanted wall with a noisy corner; pixels missing, others not to be shown."""
    draws = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, at.height), torch.linspace(-1, 1, at.width), indexing="ij"
    )
    depth = 4.0 + 0.9 * x + 0.3 * y
    depth = torch.where((x.abs() < 0.4) & (y.abs() < 0.5), 2.0 + 0.1 * y, depth)
    noise = 1.0 + torch.rand(depth.shape, generator=draws)
    depth = torch.where((x > 0.5) & (y > 0.4), 2.0 * noise, depth)
    occluding = torch.rand(depth.shape, generator=draws) > 0.1
    shown = occluding & (torch.rand(depth.shape, generator=draws) > 0.1)
    frame = 2 * torch.rand(3, *depth.shape, generator=draws) - 1
    return SplatSource(frame, depth * occluding, shown, occluding, at)


def splat_plainly(
    given: SplatSource, target: Cameras, pixel_centre: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the docstring of splat.py says, pixel by pixel in float64."""
    depth, frame = given.depth.double().numpy(), given.frame.double().numpy()
    shown, occluding = given.visible.numpy(), given.occluding.numpy()
    fx, fy, cx, cy = given.camera.intrinsics[0].double().numpy()
    to_fx, to_fy, to_cx, to_cy = target.intrinsics[0].double().numpy()
    to_target = np.linalg.inv(target.camera_to_world[0].double().numpy())
    to_target = to_target @ given.camera.camera_to_world[0].double().numpy()

    landed = {}
    for row, column in np.argwhere(occluding):
        ray = np.array([(column + pixel_centre - cx) / fx, (row + pixel_centre - cy) / fy, 1.0])
        x, y, z = to_target[:3, :3] @ (ray * depth[row, column]) + to_target[:3, 3]
        if z > 1e-6 * depth[row, column]:
            position = (to_fx * x / z + to_cx - pixel_centre, to_fy * y / z + to_cy - pixel_centre)
            landed[row, column] = (np.rint(np.array(position) * 4096) / 4096, z)

    def reaches(row: int, column: int) -> np.ndarray:
        stretches = []
        for neighbours in (
            [(row, column + 1), (row, column - 1)],
            [(row + 1, column), (row - 1, column)],
        ):
            for neighbour in neighbours:
                here = depth[row, column]
                if neighbour in landed and abs(depth[neighbour] - here) <= 0.03 * here:
                    stretches.append(abs(landed[neighbour][0] - landed[row, column][0]))
                    break
        if not stretches:
            ratio = depth[row, column] / landed[row, column][1]
            alone = np.array([ratio * to_fx / fx, ratio * to_fy / fy])
            stretches = [np.rint(alone * 4096) / 4096]
        return np.clip(np.max(stretches, axis=0), 1.0, 4.0)

    rows, columns = np.mgrid[: target.height, : target.width]
    tents = {}
    for pixel, ((x, y), _) in landed.items():
        reach_x, reach_y = reaches(*pixel)
        tent = np.maximum(1 - abs(columns - x) / reach_x, 0)
        tents[pixel] = tent * np.maximum(1 - abs(rows - y) / reach_y, 0)
    front = np.full(rows.shape, np.inf)
    for pixel, tent in tents.items():
        front = np.where(tent >= 1 / 16, np.minimum(front, landed[pixel][1]), front)
    total, inverse, colours = np.zeros(rows.shape), np.zeros(rows.shape), np.zeros((3, *rows.shape))
    for pixel, tent in tents.items():
        if shown[pixel]:
            z = landed[pixel][1]
            weight = np.where(np.isfinite(front) & (abs(z - front) <= 0.03 * front), tent, 0.0)
            total += weight
            inverse += weight / z
            colours += weight * frame[:, *pixel][:, None, None]
    known = total >= 1 / 16
    safe = np.where(known, total, 1.0)
    mean_depth = safe / np.where(known, inverse, 1.0)
    return np.where(known, colours / safe, -1.0), known, np.where(known, mean_depth, 0.0)


@pytest.mark.parametrize("pixel_centre", [0.0, 0.5])
@pytest.mark.parametrize("move", MOVES)
def test_a_splat_is_what_its_docstring_says(move: str, pixel_centre: float) -> None:
    given = source(camera())
    target = moved(camera(focal=33.0, height=26, width=30), *MOVES[move])
    frames, known, depth = splat([given], target, pixel_centre=pixel_centre)
    expected_frame, expected_known, expected_depth = splat_plainly(given, target, pixel_centre)
    assert 0.1 < expected_known.mean() < 0.99
    expected = torch.from_numpy(expected_known)[None]
    pictures = (
        (frames, torch.from_numpy(expected_frame).float()[None]),
        (depth[:, None], torch.from_numpy(expected_depth).float()[None, None]),
    )
    assert_same_picture(known, expected, *pictures, rtol=2e-6, atol=2e-6)


def test_the_number_of_threads_changes_not_one_bit() -> None:
    given = source(camera())
    cameras = Cameras.concatenate([moved(camera(), *move) for move in MOVES.values()] * 2)
    threads = torch.get_num_threads()
    results = []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            results.append(splat([given] * len(cameras), cameras, pixel_centre=0.5))
    finally:
        torch.set_num_threads(threads)
    for several in results[1:]:
        for one, other in zip(results[0], several, strict=True):
            assert torch.equal(one, other)


def test_a_frame_does_not_depend_on_what_was_splatted_before_it() -> None:
    given = source(camera())
    other = replace(given, depth=given.depth * 0.5, frame=-given.frame)
    target = moved(camera(), *MOVES["aside"])
    twice = Cameras.concatenate([target, target])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # one working memory for both
        after = splat([other, given], twice, pixel_centre=0.5)
    finally:
        torch.set_num_threads(threads)
    alone = splat([given], target, pixel_centre=0.5)
    for one, both in zip(alone, after, strict=True):
        assert torch.equal(one[0], both[1])


def test_what_many_pixels_touch_but_none_covers_stays_unknown() -> None:
    """Every second pixel, so lone, seen from farther away: they land 1.6 pixels apart, and a
    pixel in the middle of four has a weight of 0.04 from each."""
    intrinsics = torch.tensor([[20.0, 20.0, 0.0, 0.0]])
    at = Cameras(torch.eye(4)[None], intrinsics, 9, 9)
    lone = torch.zeros(9, 9, dtype=torch.bool)
    lone[::2, ::2] = True
    given = SplatSource(torch.zeros(3, 9, 9), 4.0 * lone, lone, lone, at)
    target = Cameras(torch.eye(4)[None].clone(), intrinsics + torch.tensor([0, 0, 0.2, 0.2]), 9, 9)
    target.camera_to_world[0, 2, 3] = -1.0
    _, known, _ = splat([given], target, pixel_centre=0.0)
    # Columns land at 0.2, 1.8, 3.4, ...: pixel 1 is 0.8 from two of them.
    assert not bool(known[0, 1, 1])
    assert bool(known[0, 0, 0]) and bool(known[0, 2, 2]) and bool(known[0, 3, 3])


def splat_reference_plainly(
    values: Tensor, positions: Tensor, depth: Tensor, weights: Tensor, *, num_views: int = 1
) -> tuple[Tensor, Tensor]:
    """The reference's formulas in torch: mean values (0 where unknown), and weight > 0."""
    num_frames, channels, height, width = values.shape
    log_depth = torch.log1p(depth.clamp(min=0))
    exponent = (50 * log_depth / (log_depth.max() + 1e-7)).clamp(max=80)
    near = weights / (torch.exp(exponent) + 1e-7)
    moved_by_one = positions + 1
    limit = torch.tensor([width + 1.0, height + 1.0])[:, None, None]
    low, high, inside = (
        torch.minimum(each.clamp(min=0), limit)
        for each in (moved_by_one.floor(), moved_by_one.ceil(), moved_by_one)
    )
    target = (torch.arange(num_frames) // num_views)[:, None, None]
    padded = (num_frames // num_views, height + 2, width + 2)
    sums = torch.zeros(padded[0] * padded[1] * padded[2], channels + 1)
    for corner_x in (low, high):
        for corner_y in (low, high):
            x, y = corner_x[:, 0], corner_y[:, 1]
            weight = (1 - (inside[:, 0] - x).abs()) * (1 - (inside[:, 1] - y).abs()) * near
            index = (target * padded[1] + y.long()) * padded[2] + x.long()
            weighted = torch.cat([values * weight[:, None], weight[:, None]], dim=1)
            sums.index_add_(0, index.flatten(), weighted.movedim(1, -1).reshape(-1, channels + 1))
    grid = sums.reshape(*padded, channels + 1)[:, 1:-1, 1:-1].movedim(-1, 1)
    known = grid[:, -1] > 0
    return torch.where(known[:, None], grid[:, :-1] / grid[:, -1:], 0.0), known


@pytest.mark.parametrize("num_views", [1, 2])
def test_the_reference_splat_is_its_formulas(num_views: int) -> None:
    draws = torch.Generator().manual_seed(1)
    shape = (4, HEIGHT, WIDTH)
    values = 2.4 * torch.rand(4, 3, HEIGHT, WIDTH, generator=draws) - 1.2
    flow = 9 * torch.randn(4, 2, HEIGHT, WIDTH, generator=draws)
    grid = pixel_positions(HEIGHT, WIDTH, pixel_centre=0.0, like=values).permute(2, 0, 1)
    positions = torch.where(flow.abs() < 4, flow.round(), flow) + grid  # some land on pixels
    depth = 5 * torch.rand(shape, generator=draws) - 0.5
    weights = (torch.rand(shape, generator=draws) > 0.2).float()
    expected, expected_known = splat_reference_plainly(
        values, positions, depth, weights, num_views=num_views
    )
    for is_image in (False, True):
        ours, known = splat_reference(
            values, positions, depth, weights, is_image=is_image, num_views=num_views
        )
        image = torch.where(known[:, None], expected.clamp(-1, 1), -1.0)
        pair = (ours, image if is_image else expected)
        assert_same_picture(known, expected_known, pair, **VALUE_TOLERANCE)
    assert 0.1 < expected_known.float().mean() < 0.999


def test_colours_and_depth_splatted_in_one_go_are_the_same_as_one_after_the_other() -> None:
    draws = torch.Generator().manual_seed(2)
    frames = 2 * torch.rand(2, 3, HEIGHT, WIDTH, generator=draws) - 1
    positions = 40 * torch.rand(2, 2, HEIGHT, WIDTH, generator=draws) - 2
    depth = 5 * torch.rand(2, HEIGHT, WIDTH, generator=draws)
    weights = torch.ones_like(depth)
    image, known = splat_reference(frames, positions, depth, weights, is_image=True)
    values, _ = splat_reference(depth[:, None], positions, depth, weights, is_image=False)
    frames_together, known_together, depth_together = splat_reference_with_depth(
        frames, positions, depth, weights
    )
    pictures = ((frames_together, image), (depth_together[:, None], values))
    assert_same_picture(known_together, known, *pictures, **VALUE_TOLERANCE)


def test_the_reference_warp_moves_points_as_its_formulas() -> None:
    given = source(camera())
    targets = Cameras.concatenate([moved(camera(), *MOVES[name]) for name in ("aside", "oblique")])
    points = unproject(given.depth[None], given.occluding[None], camera(), pixel_centre=0.0)
    points = points.expand(2, -1, -1, -1)
    warp = warp_reference(
        given.frame.expand(2, -1, -1, -1),
        points,
        given.visible.float().expand(2, -1, -1),
        targets,
        boundary=None,
    )
    world_to_camera = torch.linalg.inv(targets.camera_to_world.double()).float()
    in_camera = transform_points(points, world_to_camera)
    grid = pixel_positions(HEIGHT, WIDTH, pixel_centre=0.0, like=points)
    flow = (project_as_reference(in_camera, targets.intrinsics) - grid).permute(0, 3, 1, 2)
    torch.testing.assert_close(warp.flow, flow, **FLOW_TOLERANCE)
    frames, known, depth = splat_reference_with_depth(
        given.frame.expand(2, -1, -1, -1),
        grid.permute(2, 0, 1) + flow,
        in_camera[..., 2],
        given.visible * (in_camera[..., 2] > 0).float(),
    )
    pictures = ((warp.frames, frames), (warp.depth[:, None], depth[:, None]))
    assert_same_picture(warp.known, known, *pictures, **WARP_TOLERANCE)


def test_the_nearest_hit_is_that_of_all_triangles_tried_on_all_rays() -> None:
    draws = torch.Generator().manual_seed(3)
    at = moved(camera(), 0.0, 0.0, 0.0, 0.0)
    faces = torch.arange(60).reshape(20, 3)
    centres = torch.randn(20, 1, 3, generator=draws) * torch.tensor([1.5, 1.0, 0.7])
    corners = centres + 0.3 * torch.randn(20, 3, 3, generator=draws)
    vertices = corners.reshape(60, 3) + torch.tensor([0.0, 0.0, 3.0])
    vertices[0, 2], vertices[3:6, 2] = -1.0, -2.0  # through the camera's plane, and behind it
    rays = pixel_rays(at)[0]
    got = nearest_hit(rays, vertices, faces, at.intrinsics)

    a, b, c = vertices[faces].double().unbind(1)
    directions = rays.double()[:, :, None]
    every = (HEIGHT, WIDTH, len(faces), 3)
    columns = [(b - a).expand(every), (c - a).expand(every), -directions.expand(every)]
    matrix = torch.stack(columns, dim=-1)
    u, v, t = torch.linalg.solve(matrix, -a.expand(every)).unbind(-1)
    hits = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    expected = torch.where(hits, t, torch.inf).amin(dim=-1)
    expected = torch.where(torch.isinf(expected), 0.0, expected)
    assert 0.1 < (expected > 0).double().mean() < 0.99
    assert torch.allclose(got.double(), expected, rtol=1e-5, atol=1e-6)


def test_rays_are_of_unit_length() -> None:
    assert torch.allclose(pixel_rays(camera()).norm(dim=-1), torch.ones(1, HEIGHT, WIDTH))
