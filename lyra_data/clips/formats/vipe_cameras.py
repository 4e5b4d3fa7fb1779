"""Poses and intrinsics of a ViPE result, one camera a frame.

ViPE's poses are camera-to-world with OpenCV axes, as ours. Its intrinsics need no half-pixel term:
the principal point is put at (width / 2, height / 2), the middle of the picture where pixel centres
are at +0.5, as ours are. (ViPE itself is of two minds: its projections take +0.5, its unprojections
whole numbers. See docs/adr/0016-vipe.md.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lyra_data.clips.formats.vipe_paths import VipePaths
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_arrays import read_arrays
from lyra_data.engine.names import is_number
from lyra_data.media.camera_files import MAX_FOCAL_PER_WIDTH, MIN_FOCAL_PER_WIDTH, RIGID_TOLERANCE
from lyra_data.media.images import readable
from lyra_data.scene.cameras import Cameras

PINHOLE = "PINHOLE"
CAMERA_TYPES = (PINHOLE, "MEI", "SIMPLE_DIVISIONAL", "PANORAMA")

MAX_INDEXED_BYTES = 64 * 2**20
"""Poses of 100,000 frames have 14 MB."""

_RUN_AGAIN = "run ViPE again on the whole video"


def read_vipe_cameras(paths: VipePaths, *, num_frames: int, height: int, width: int) -> Cameras:
    """Read the cameras of all frames.

    Raises:
        InputError: a file is missing, cut or of another form, a frame has no camera or two, a pose
            is not rigid, intrinsics are impossible, or the lens is no pinhole.
    """
    _check_camera_types(paths.camera_types, num_frames)
    poses = _of_every_frame(paths.pose, num_frames, "pose")
    if poses.shape[1:] != (4, 4):
        raise InputError(
            f"poses of shape {list(poses.shape[1:])} instead of [4, 4]",
            where=str(paths.pose),
            fix="give camera-to-world matrices, rows first",
        )
    intrinsics = _of_every_frame(paths.intrinsics, num_frames, "intrinsics")
    if intrinsics.shape[1:] != (4,):
        raise InputError(
            f"{list(intrinsics.shape[1:])} intrinsics a frame instead of fx, fy, cx, cy"
            + ("; the fifth is a distortion" if intrinsics.shape[1:] == (5,) else ""),
            where=str(paths.intrinsics),
            fix="undistort the video and run ViPE again with a pinhole pipeline (`lyra`)",
        )
    for index in range(num_frames):
        _check_rigid(poses[index], index, paths.pose)
        _check_possible(intrinsics[index], index, paths.intrinsics, height=height, width=width)
    return Cameras(poses.float(), intrinsics.float(), height, width)


def read_indexed(path: Path) -> tuple[Int[np.ndarray, " entry"], Float[np.ndarray, "entry ..."]]:
    """Read `inds` and `data` of an .npz: frame numbers, and what belongs to each.

    Raises:
        InputError: the file is missing, cut, no archive of arrays, or lacks one of the two.
    """
    with readable(path):
        entries = read_arrays(
            path, ("inds", "data"), most_bytes=MAX_INDEXED_BYTES, fix="copy it again"
        )
    missing = [name for name in ("inds", "data") if name not in entries]
    if missing:
        raise InputError(
            f"it holds no array {missing[0]!r}",
            where=str(path),
            fix="give the file as ViPE wrote it, with the arrays `inds` and `data`",
        )
    inds, data = entries["inds"], entries["data"]
    if inds.ndim != 1 or inds.dtype.kind not in "iu" or data.dtype.kind != "f" or data.ndim < 2:
        raise InputError(
            f"inds is {inds.dtype}{list(inds.shape)} and data {data.dtype}{list(data.shape)}",
            where=str(path),
            fix="give whole frame numbers as `inds`, and an array of floats a frame as `data`",
        )
    if len(inds) != len(data):
        raise InputError(
            f"{len(inds)} frame numbers for {len(data)} entries",
            where=str(path),
            fix="give the file as ViPE wrote it",
        )
    return inds.astype(np.int64), data


def _of_every_frame(path: Path, num_frames: int, noun: str) -> Float[Tensor, "frame ..."]:
    """Return the entries in the order of their frames: one for each, and none besides."""
    inds, data = read_indexed(path)
    numbers = inds.tolist()
    missing = sorted(set(range(num_frames)) - set(numbers))
    if missing:
        raise InputError(
            f"no {noun} of {_frames(missing)}; the video has {num_frames}, 0 to {num_frames - 1}",
            where=str(path),
            fix=f"{_RUN_AGAIN}, or cut the video to frames that have one; none is made up",
        )
    if len(numbers) != num_frames:
        surplus = sorted(number for number in set(numbers) if not 0 <= number < num_frames)
        what = (
            f"{noun} of {_frames(surplus)}, which the video of {num_frames} frames does not have"
            if surplus
            else f"{len(numbers)} entries for {num_frames} frames: some frame has two"
        )
        raise InputError(
            what, where=str(path), fix="give the video and the file of one and the same run"
        )
    values = torch.from_numpy(data[np.argsort(inds, kind="stable")].astype(np.float64))
    finite = torch.isfinite(values).flatten(1).all(1)
    if not finite.all():
        raise InputError(
            f"{noun} of {_frames((~finite).nonzero()[:, 0].tolist())} is not finite (NaN or inf)",
            where=str(path),
            fix=f"{_RUN_AGAIN}; its tracking failed there",
        )
    return values


def _check_camera_types(path: Path, num_frames: int) -> None:
    """Check lines "NUMBER: TYPE". Where the file is missing ViPE takes pinholes, and so do we."""
    if not path.exists():
        return
    with readable(path):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    entries = [line.partition(":") for line in lines if line.strip()]
    for index, (number, _, camera) in enumerate(entries):
        kind = camera.strip()
        if not is_number(number.strip()) or kind not in CAMERA_TYPES:
            raise InputError(
                f"line {index + 1} is {lines[index]!r}",
                where=str(path),
                fix=f'give lines like "{index}: {PINHOLE}"; known: {", ".join(CAMERA_TYPES)}',
            )
        if kind != PINHOLE:
            raise InputError(
                f"frame {number.strip()} was taken by a camera of kind {kind}, and clips have "
                f"{PINHOLE} cameras alone",
                where=str(path),
                fix="undistort the video (or cut a pinhole view out of the panorama), and run ViPE "
                "again with a pinhole pipeline (`lyra`)",
            )
    if len(entries) != num_frames:
        raise InputError(
            f"it has {len(entries)} lines, the video {num_frames} frames",
            where=str(path),
            fix="give the video and the file of one and the same run",
        )


def _check_rigid(pose: Float[Tensor, "4 4"], index: int, path: Path) -> None:
    rotation = pose[:3, :3]
    error = float((rotation @ rotation.T - torch.eye(3, dtype=pose.dtype)).abs().max())
    is_mirrored = float(torch.linalg.det(rotation)) < 0
    last_row = pose.new_tensor([0.0, 0.0, 0.0, 1.0])
    if error > RIGID_TOLERANCE or is_mirrored or not torch.equal(pose[3], last_row):
        reason = "it mirrors" if is_mirrored else f"rotation off by {error:.2g}"
        if error <= RIGID_TOLERANCE and not is_mirrored:
            reason = f"last row {pose[3].tolist()}"
        raise InputError(
            f"the pose of frame {index} is no rotation with a translation ({reason})",
            where=str(path),
            fix="give camera-to-world matrices [[r11, r12, r13, x], ..., [0, 0, 0, 1]], unscaled",
        )


def _check_possible(
    intrinsics: Float[Tensor, " value"], index: int, path: Path, *, height: int, width: int
) -> None:
    fx, fy, cx, cy = intrinsics.tolist()
    least, most = MIN_FOCAL_PER_WIDTH * width, MAX_FOCAL_PER_WIDTH * width
    is_possible = least <= fx <= most and least <= fy <= most
    if not is_possible or not (-width <= cx <= 2 * width and -height <= cy <= 2 * height):
        raise InputError(
            f"frame {index} has fx, fy, cx, cy = {fx:g}, {fy:g}, {cx:g}, {cy:g}, impossible for a "
            f"picture of {width}x{height}",
            where=str(path),
            fix="give them in pixels of the video in rgb/; zeros mean a panorama, which is refused",
        )


def _frames(numbers: list[int]) -> str:
    """Name frames: "frame 3", or "frames 3, 4, 5, ... (20 in all)"."""
    if len(numbers) == 1:
        return f"frame {numbers[0]}"
    first = ", ".join(map(str, numbers[:5]))
    return f"frames {first}" + (f", ... ({len(numbers)} in all)" if len(numbers) > 5 else "")
