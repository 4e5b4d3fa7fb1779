"""Writing a clip as a nerfstudio dataset.

    FOLDER/transforms.json           cameras, and the names of what is below
    FOLDER/images/00000.png          frames, exactly
    FOLDER/depth/00000.npy           z depth in thousandths, float32, 0 where unknown
    FOLDER/masks/00000.png           0 on what moves, else 255; where the clip knows it
    FOLDER/sparse_pc.ply             points of the known depth that do not move

nerfstudio multiplies depth, .npy too, by 0.001 unless told otherwise: hence the thousandths.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lyra_data.clips.formats.export_folders import (
    new_dataset,
    picture_name,
    write_depth_map,
    write_masks,
)
from lyra_data.clips.formats.sampled_points import SampledPoints, sample_points
from lyra_data.scene.clip import Clip

TRANSFORMS = "transforms.json"
POINTS = "sparse_pc.ply"

DEPTH_UNIT = "depth_unit_scale_factor"
"""nerfstudio's name; it takes the value from its command line, we from the dataset."""

DEPTH_IS_UNKNOWN = "depth_is_unknown"
DEPTH_SCALE = "depth_scale"
"""Keys of ours, which nerfstudio passes over."""

THOUSANDTH = 0.001

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Camera axes: x right stays, y down becomes y up, z forward becomes z backward. Its own inverse.
"""


def write_nerfstudio(clip: Clip, folder: Path) -> None:
    """Write `clip` as `folder`, which must be new or empty.

    The prompt, the rate and the confidence of depth have no place in this format.

    Raises:
        InputError: something stands at `folder`.
        StorageError: no space, read-only, or no permission.
    """
    with new_dataset(clip, folder) as target:
        has_depth = bool(clip.depth_valid.any())
        if has_depth:
            (target / "depth").mkdir()
            for index, depth in enumerate(clip.depth):
                thousandths = (depth.double() / THOUSANDTH).float()
                write_depth_map(thousandths, target / "depth" / f"{index:05d}.npy")
            _write_ply(sample_points(clip), target / POINTS)
        write_masks(clip, target)
        text = json.dumps(_transforms(clip, has_depth=has_depth), indent=1, allow_nan=False)
        (target / TRANSFORMS).write_text(text + "\n", encoding="utf-8")


def _transforms(clip: Clip, *, has_depth: bool) -> dict[str, Any]:
    cameras = clip.cameras
    intrinsics = cameras.intrinsics.double().numpy()
    is_shared = bool((intrinsics == intrinsics[0]).all())
    shared: dict[str, Any] = {
        "camera_model": "OPENCV",
        "w": cameras.width,
        "h": cameras.height,
        **dict.fromkeys(("k1", "k2", "p1", "p2"), 0.0),
    }
    if is_shared:
        shared |= _named(intrinsics[0])
    if has_depth:
        shared |= {DEPTH_UNIT: THOUSANDTH, DEPTH_SCALE: clip.depth_scale, "ply_file_path": POINTS}
    poses = cameras.camera_to_world.double().numpy() @ OPENGL_FROM_OPENCV
    frames = []
    for index in range(len(clip)):
        frame: dict[str, Any] = {"file_path": f"images/{picture_name(index)}"}
        if not is_shared:
            frame |= _named(intrinsics[index])
        if has_depth:
            frame["depth_file_path"] = f"depth/{index:05d}.npy"
            if not clip.depth_valid[index].any():
                frame[DEPTH_IS_UNKNOWN] = True
        if clip.dynamic_mask is not None:
            frame["mask_path"] = f"masks/{picture_name(index)}"
        frame["transform_matrix"] = (poses[index] + 0.0).tolist()  # no -0.0
        frames.append(frame)
    return {**shared, "frames": frames}


def _named(intrinsics: np.ndarray) -> dict[str, float]:
    return dict(zip(("fl_x", "fl_y", "cx", "cy"), map(float, intrinsics), strict=True))


def _write_ply(points: SampledPoints, path: Path) -> None:
    header = ["ply", "format ascii 1.0", f"element vertex {len(points.positions)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"property uchar {colour}" for colour in ("red", "green", "blue")]
    lines = [
        f"{x:.6g} {y:.6g} {z:.6g} {red} {green} {blue}"
        for (x, y, z), (red, green, blue) in zip(
            points.positions.tolist(), points.colours.tolist(), strict=True
        )
    ]
    path.write_text("\n".join([*header, "end_header", *lines]) + "\n", encoding="ascii")
