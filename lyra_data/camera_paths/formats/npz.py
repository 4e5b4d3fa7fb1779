"""Paths as NumPy archives: Lyra 2's and GEN3C's form (w2c, intrinsics), and camera_to_world.

    w2c [pose 4 4]                  or camera_to_world, or c2w; OpenCV axes
    intrinsics [pose 3 3]           or [pose 4]: fx, fy, cx, cy in pixels; may be left out
    image_height, image_width       size of the pictures that the intrinsics belong to
    times [pose]                    seconds; may be left out

Source: lyra2_custom_traj_inference.py (load_trajectory), data_loader_utils.py of GEN3C.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lyra_data.camera_paths.formats.lenses import lens_in_heights
from lyra_data.camera_paths.poses import MOST_POSES, PathPoses, checked_poses
from lyra_data.engine.atomic import storage_errors, write_atomically
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_arrays import read_arrays
from lyra_data.scene.cameras import Cameras, invert_rigid

MAGIC = b"PK\x03\x04"
"""An .npz file is a zip archive."""

POSES = ("w2c", "camera_to_world", "c2w")
SIZES = ("image_height", "image_width")
MOST_BYTES = MOST_POSES * (16 + 9 + 1) * 8
FIX = (
    "give an .npz file with w2c [poses, 4, 4] (or camera_to_world), OpenCV axes, and intrinsics "
    "[poses, 3, 3] with image_height and image_width if it has a lens of its own"
)


def read_npz_path(path: Path) -> PathPoses:
    """Read the cameras of an archive.

    Raises:
        InputError: it is cut or too large, an array is missing or of another shape, or a number is
            impossible.
    """
    names = (*POSES, "intrinsics", *SIZES, "times")
    arrays = read_arrays(path, names, most_bytes=MOST_BYTES, fix=FIX)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name} holds {array.dtype}", where=str(path), fix=FIX)
    stated = [name for name in POSES if name in arrays]
    if len(stated) != 1:
        what = "several of its arrays are poses" if stated else "it holds no poses"
        raise InputError(f"{what}: one of {', '.join(POSES)}", where=str(path), fix=FIX)
    poses = _matrices(arrays[stated[0]], stated[0], path)
    times = arrays.get("times")
    if times is not None and times.shape != (len(poses),):
        raise InputError(
            f"times of shape {list(times.shape)} for {len(poses)} poses",
            where=str(path),
            fix="give one time in seconds for each pose, or none",
        )
    checked = checked_poses(
        poses,
        where=str(path),
        lens=_lens(arrays, len(poses), path),
        times=None if times is None else torch.from_numpy(times.astype(np.float64)),
    )
    if stated[0] != "w2c":
        return checked
    return PathPoses(invert_rigid(checked.camera_to_world), checked.lens, checked.times)


def write_npz_path(cameras: Cameras, path: Path, *, fps: float | None = None) -> None:
    """Write cameras as Lyra 2 reads them, in double precision; with `fps`, their times too.

    Raises:
        StorageError: no space, read-only, or no permission.
    """
    arrays = {
        "w2c": cameras.to(torch.float64).world_to_camera.numpy(),
        "intrinsics": cameras.intrinsic_matrices.double().numpy(),
        "image_height": np.array(cameras.height),
        "image_width": np.array(cameras.width),
    }
    if fps is not None:
        arrays["times"] = np.arange(len(cameras)) / fps
    with write_atomically(path) as temporary, storage_errors(path), temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _matrices(array: np.ndarray, name: str, path: Path) -> Tensor:
    if array.ndim != 3 or array.shape[1:] not in ((4, 4), (3, 4)):
        raise InputError(f"{name} of shape {list(array.shape)}", where=str(path), fix=FIX)
    matrices = torch.from_numpy(array.astype(np.float64))
    if array.shape[1] == 4:
        return matrices
    last_row = matrices.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(matrices), 1, 4)
    return torch.cat([matrices, last_row], dim=1)


def _lens(arrays: dict[str, np.ndarray], num_poses: int, path: Path) -> Tensor | None:
    """Return the lens of each pose; None where the archive says nothing of it."""
    if "intrinsics" not in arrays:
        return None
    numbers = arrays["intrinsics"].astype(np.float64)
    if numbers.shape in ((num_poses, 3, 3), (3, 3)):
        numbers = numbers[..., (0, 1, 0, 1), (0, 1, 2, 2)]
    if numbers.shape == (4,):
        numbers = np.tile(numbers, (num_poses, 1))
    if numbers.shape != (num_poses, 4):
        raise InputError(
            f"intrinsics of shape {list(arrays['intrinsics'].shape)} for {num_poses} poses",
            where=str(path),
            fix=FIX,
        )
    sizes = {name: arrays.get(name) for name in SIZES}
    for name, size in sizes.items():
        if size is None or size.size != 1:
            raise InputError(
                f"intrinsics, but no {name} as one number", where=str(path), fix=f"add {name}"
            )
    height, width = (float(np.ravel(size)[0]) for size in sizes.values() if size is not None)
    return lens_in_heights(torch.from_numpy(numbers), height, width, where=str(path))
