"""The camera path that GEN3C's GUI saves, and Lyra 2's (instant-ngp's key frames).

    {"loop": false, "time": 0.0, "duration_seconds": 3.0, "spline_order": 3, "path": [
        {"R": [x, y, z, w], "T": [x, y, z], "fov": 50.0, "timestamp": 1.0}, ...]}

R and T are camera-to-world with OpenCV axes; `fov` is vertical, in degrees. Key frames are points
that control a B-spline of that order: of order 3 it passes near them, not through them. Lyra 2's
GUI (its key frames have `up_dir`) sets the first and the last one twice, so that the path begins
and ends there. Source: gui/src/camera_path.cu (eval_camera_path, get_pos, sanitize_keyframes),
include/tiny-cuda-nn/vec_json.h, Lyra-2/gui/api/client.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lyra_data.camera_paths.formats.lenses import (
    checked_view_angle,
    lens_of_view_angle,
    view_angles_of,
)
from lyra_data.camera_paths.poses import FARTHEST, MOST_POSES, PathPoses, checked_poses
from lyra_data.camera_paths.rotations import aligned, quaternions_of, rotations_of
from lyra_data.clips.formats.nerfstudio_values import Section
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import shortened
from lyra_data.scene.cameras import Cameras

ROW = 8
"""Numbers of a key frame: w, x, y, z of its rotation, its position and its field of view."""

SECONDS = 3.0
"""Duration that the GUI takes where a file's times are none."""

SAMPLES_PER_SEGMENT = 32

# Weights of the points around a segment, as polynomials of t: 1, t, t^2, t^3.
CUBIC = [[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]
QUADRATIC = [[1, -2, 1], [1, 2, -2], [0, 0, 1]]


def read_gen3c_path(values: dict[str, Any], where: str) -> PathPoses:
    """Return the cameras out of the values of a saved path: of order 0 or 1 the key frames, else
    the spline, densely.

    Raises:
        InputError: a key is missing, its value impossible, or the path a loop.
    """
    entries = values["path"]
    order = values.get("spline_order", 3)
    if order not in (0, 1, 2, 3):
        raise Section(values, where).bad("spline_order", order, "0, 1, 2 or 3")
    most = MOST_POSES // SAMPLES_PER_SEGMENT if order > 1 else MOST_POSES
    if not isinstance(entries, list) or not 1 <= len(entries) <= most:
        raise InputError(
            f"path is {shortened(entries)}",
            where=where,
            fix=f'list 1 to {most:,} key frames under "path"',
        )
    frames, stamps, has_up = [], [], False
    for index, entry in enumerate(entries):
        place = f"{where}: path[{index}]"
        if not isinstance(entry, dict):
            raise InputError(f"{shortened(entry)}", where=place, fix="give an object")
        section = Section(entry, place)
        x, y, z, w = _numbers(section, "R", 4)
        angle = checked_view_angle(entry.get("fov"), where=place)
        frames.append([w, x, y, z, *_numbers(section, "T", 3), angle])
        stamps.append(section.number("timestamp") if "timestamp" in entry else 0.0)
        has_up = has_up or "up_dir" in entry
    rows = torch.tensor(frames, dtype=torch.float64)
    if bool((rows[:, :4].norm(dim=1) < 1e-6).any()):
        raise InputError("a key frame's R is 0", where=where, fix="save the path again")
    rows[:, :4] = aligned(torch.nn.functional.normalize(rows[:, :4], dim=-1))
    if values.get("loop", False) and len(rows) > 1:
        raise InputError(
            "the path is a loop",
            where=where,
            fix='switch "Loop path" off, and set the first key frame once more as the last',
        )
    times = torch.tensor(_stamps(stamps), dtype=torch.float64)
    if has_up and len(rows) > 1:
        rows = torch.cat([rows[:1], rows, rows[-1:]])
        times = torch.arange(len(rows), dtype=torch.float64) * (times[-1] / (len(rows) - 1))
    else:
        # Segment k, from key frame k to k + 1, lasts until the time of key frame k.
        times = torch.cat([times.new_zeros(1), times[:-1]])
    if order > 1 and len(rows) > 1:
        rows, times = _spline(rows, times, CUBIC if order == 3 else QUADRATIC)
    poses = torch.eye(4, dtype=torch.float64).repeat(len(rows), 1, 1)
    poses[:, :3, :3] = rotations_of(rows[:, :4])
    poses[:, :3, 3] = rows[:, 4:7]
    lens = torch.tensor([lens_of_view_angle(a) for a in rows[:, 7].tolist()], dtype=torch.float64)
    return checked_poses(poses, where=where, lens=lens, times=times)


def gen3c_values(cameras: Cameras, *, fps: float) -> dict[str, Any]:
    """Return the values of a saved path whose key frames are the cameras, joined straight."""
    poses = cameras.camera_to_world.double()
    turns = quaternions_of(poses[:, :3, :3])[:, (1, 2, 3, 0)].tolist()
    rows = zip(turns, poses[:, :3, 3].tolist(), view_angles_of(cameras).tolist(), strict=True)
    return {
        "loop": False,
        "time": 0.0,
        "duration_seconds": len(cameras) / fps,
        "spline_order": 1,
        "path": [
            {"R": turn, "T": position, "fov": angle, "timestamp": (index + 1) / fps}
            for index, (turn, position, angle) in enumerate(rows)
        ],
    }


def _numbers(section: Section, key: str, count: int) -> list[float]:
    numbers = section.values.get(key)
    is_right = (
        isinstance(numbers, list)
        and len(numbers) == count
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
        and all(abs(n) <= FARTHEST for n in numbers)
    )
    if not is_right or not isinstance(numbers, list):
        raise section.bad(key, numbers, f"{count} numbers, none beyond {FARTHEST:g}")
    return [float(number) for number in numbers]


def _stamps(stamps: list[float]) -> list[float]:
    """Return the times of key frames; equal steps where they do not all grow, as the GUI has it."""
    grows = all(later > earlier for earlier, later in zip([0.0, *stamps], stamps, strict=False))
    if grows:
        return stamps
    return [SECONDS * (index + 1) / len(stamps) for index in range(len(stamps))]


def _spline(rows: Tensor, times: Tensor, weights: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return points of the B-spline of key frames, and their times."""
    num_segments = len(rows) - 1
    shares = torch.arange(SAMPLES_PER_SEGMENT + 1, dtype=torch.float64) / SAMPLES_PER_SEGMENT
    powers = torch.stack([shares**power for power in range(len(weights[0]))])
    # [point sample]; each column sums to 1 once divided by the number of orderings.
    table = torch.tensor(weights, dtype=torch.float64) @ powers
    table = table / table.sum(dim=0)
    points, moments = [], []
    for segment in range(num_segments):
        indices = [min(max(segment - 1 + k, 0), len(rows) - 1) for k in range(len(weights))]
        is_last = segment == num_segments - 1
        samples = slice(None) if is_last else slice(-1)
        points.append((table.T @ rows[indices])[samples])
        step = times[segment + 1] - times[segment]
        moments.append((times[segment] + shares * step)[samples])
    return torch.cat(points), torch.cat(moments)
