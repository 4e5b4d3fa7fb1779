"""Writing a clip as ViPE does, for tools that read its results."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
from jaxtyping import Float
from torch import Tensor

from lyra_data.clips.formats.export_folders import require_free
from lyra_data.clips.formats.vipe_cameras import PINHOLE
from lyra_data.clips.formats.vipe_maps import ENTRY_NAME
from lyra_data.clips.formats.vipe_paths import VipePaths
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.errors import InputError
from lyra_data.media.video import write_video
from lyra_data.scene.clip import Clip

MOVING_INSTANCE, MOVING_PHRASE = 1, "moving"
"""A clip knows what moves, but not what it is: all of it becomes one instance."""

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of every entry, so that the same clip gives the same bytes."""


def write_vipe(clip: Clip, folder: Path, name: str) -> None:
    """Write `clip` as ViPE's result of one video `name`; it appears whole or not at all.

    Frames are stored exactly (H.264 of RGB without loss, which FFmpeg and OpenCV read and most
    players do not show), poses and intrinsics as float32, depth as half floats: off by at most
    1/2048 of itself, 0 where unknown. ViPE's file of phrases names all that moves one instance.
    There is no info pickle.

    Raises:
        InputError: a depth is too large or too small for a half float, `name` is no file name, or
            `folder` holds something already.
        StorageError: the disk is full, read-only or not permitted.
    """
    require_free(folder)
    if not name or Path(name).name != name or name.startswith("."):
        raise InputError(
            f"{name!r} cannot name a file", where="name", fix="use letters, digits, _ and -"
        )
    with np.errstate(over="ignore"):
        depth = clip.depth.numpy().astype(np.float16)
    known = clip.depth_valid.numpy()
    bad = known & ~(np.isfinite(depth) & (depth > 0))
    if bad.any():
        raise InputError(
            f"depth {clip.depth.numpy()[bad][0]:g} does not fit a half float (6e-8 to 65504)",
            where=f"clip {clip.scene_id}",
            fix="give the clip in metres, or mark such depth as unknown",
        )
    with folder_atomically(folder) as target:
        paths = VipePaths(target, name)
        for path in (paths.rgb, paths.pose, paths.intrinsics, paths.depth):
            path.parent.mkdir()
        write_video(clip.frames, paths.rgb, fps=clip.fps, lossless=True)
        _write_indexed(clip.cameras.camera_to_world, paths.pose)
        _write_indexed(clip.cameras.intrinsics, paths.intrinsics)
        lines = [f"{index}: {PINHOLE}\n" for index in range(len(clip))]
        paths.camera_types.write_text("".join(lines))
        _write_archive(map(_exr, depth), paths.depth, "exr")
        if clip.dynamic_mask is not None:
            paths.mask.parent.mkdir()
            instances = clip.dynamic_mask.numpy().astype(np.uint8) * np.uint8(MOVING_INSTANCE)
            _write_archive(map(_png, instances), paths.mask, "png")
            paths.phrases.write_text(f"{MOVING_INSTANCE}: {MOVING_PHRASE}\n")


def _write_indexed(values: Float[Tensor, "frame ..."], path: Path) -> None:
    data = np.ascontiguousarray(values.float().numpy())
    members = {"data": data, "inds": np.arange(len(data))}
    with zipfile.ZipFile(path, "w") as archive:  # np.savez would write the time of day
        for member, array in members.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{member}.npy", ZIP_DATE), buffer.getvalue())


def _write_archive(pictures: Iterable[bytes], path: Path, suffix: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, data in enumerate(pictures):
            entry = zipfile.ZipInfo(ENTRY_NAME.format(index, suffix), ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def _exr(depth: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Z": np.ascontiguousarray(depth)}).write(buffer)
    return buffer.getvalue()


def _png(instances: np.ndarray) -> bytes:
    is_written, data = cv2.imencode(".png", instances)
    assert is_written
    return data.tobytes()
