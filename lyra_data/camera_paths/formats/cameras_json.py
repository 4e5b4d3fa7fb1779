"""cameras.json: the cameras of a video or of a scene, as this project writes them.

    {"format": "lyra-data cameras", "version": 1, "axes": "OpenCV", "width": 192, "height": 128,
     "cameras": [{"camera_to_world": [[r, r, r, x], ...], "fx": ..., "fy": ..., "cx": ...,
                  "cy": ..., "time": 0.0}, ...],
     and the keys of nerfstudio's camera_path.json, which `ns-render` and its viewer read}

A bare list of matrices, as GEN3C's own data folders hold it under this name, is read too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lyra_data.camera_paths.formats.lenses import lens_in_heights
from lyra_data.camera_paths.formats.nerfstudio import nerfstudio_values
from lyra_data.camera_paths.poses import MOST_POSES, PathPoses, checked_poses
from lyra_data.clips.formats.nerfstudio_values import Section
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import shortened
from lyra_data.scene.cameras import Cameras

FORMAT = "lyra-data cameras"
VERSION = 1
INTRINSICS = ("fx", "fy", "cx", "cy")


def read_cameras_json(values: dict[str, Any], where: str) -> PathPoses:
    """Return the cameras out of the values of a cameras.json.

    Raises:
        InputError: it is of another version, a key is missing, or a value impossible.
    """
    shared = Section(values, where)
    if values.get("version") != VERSION:
        raise shared.bad("version", values.get("version"), f"{VERSION}: what this release reads")
    entries = values.get("cameras")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_POSES:
        raise InputError(
            f"cameras is {shortened(entries)}",
            where=where,
            fix=f"list the cameras: at least one, at most {MOST_POSES:,}",
        )
    height, width = shared.whole("height"), shared.whole("width")
    matrices, intrinsics, times = [], [], []
    for index, entry in enumerate(entries):
        place = f"{where}: cameras[{index}]"
        if not isinstance(entry, dict):
            raise InputError(f"{shortened(entry)}", where=place, fix="give an object")
        section = Section(entry, place)
        matrices.append(entry.get("camera_to_world"))
        intrinsics.append([section.number(key) for key in INTRINSICS])
        if "time" in entry:
            times.append(section.number("time"))
    numbers = torch.tensor(intrinsics, dtype=torch.float64)
    return checked_poses(
        matrices_of(matrices, where),
        where=where,
        lens=lens_in_heights(numbers, height, width, where=where),
        times=torch.tensor(times, dtype=torch.float64) if len(times) == len(entries) else None,
    )


def read_matrices(values: list[Any], where: str) -> PathPoses:
    """Return the cameras of a bare list of camera-to-world matrices (OpenCV axes).

    Raises:
        InputError: an entry is no matrix of 3x4 or 4x4 numbers.
    """
    return checked_poses(matrices_of(values, where), where=where)


def cameras_values(cameras: Cameras, *, fps: float) -> dict[str, Any]:
    """Return the values of a cameras.json; all numbers are the cameras' own, without loss."""
    poses = (cameras.camera_to_world.double() + 0.0).tolist()  # no -0.0
    return {
        "format": FORMAT,
        "version": VERSION,
        "axes": "OpenCV",
        "width": cameras.width,
        "height": cameras.height,
        "cameras": [
            {
                "camera_to_world": pose,
                **dict(zip(INTRINSICS, numbers, strict=True)),
                "time": index / fps,
            }
            for index, (pose, numbers) in enumerate(
                zip(poses, cameras.intrinsics.double().tolist(), strict=True)
            )
        ],
        **nerfstudio_values(cameras, fps=fps),
    }


def matrices_of(entries: list[Any], where: str) -> Tensor:
    """Return nested lists of 3x4 or 4x4 numbers as matrices of 4x4.

    Raises:
        InputError: an entry is something else.
    """
    if not 1 <= len(entries) <= MOST_POSES:
        raise InputError(
            f"the file lists {len(entries)} cameras",
            where=where,
            fix=f"give at least one, and at most {MOST_POSES:,}",
        )
    matrices = []
    for index, rows in enumerate(entries):
        is_matrix = (
            isinstance(rows, list)
            and len(rows) in (3, 4)
            and all(isinstance(row, list) and len(row) == 4 for row in rows)
            and all(
                isinstance(n, int | float) and not isinstance(n, bool) for row in rows for n in row
            )
        )
        if not is_matrix:
            raise InputError(
                f"camera {index} is {shortened(rows)}",
                where=where,
                fix="give a matrix camera_to_world: four rows of four numbers, OpenCV axes",
            )
        matrices.append(rows if len(rows) == 4 else [*rows, [0.0, 0.0, 0.0, 1.0]])
    return torch.tensor(matrices, dtype=torch.float64)
