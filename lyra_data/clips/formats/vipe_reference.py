"""ViPE clips as the reference loads them, for data meant to match the released models.

As cosmos_predict1/diffusion/inference/vipe_utils.py, load_vipe_data. What it does that read_vipe
does not: colours and depth are resized bilinearly without antialiasing, depth across holes and
edges too; a start beyond the end becomes the last frame; a short clip repeats its last frame; masks
are everything unless asked for, and hold the sky; colours of 4:2:0 video come out of FFmpeg's fast
conversion. Errors are InputErrors. See docs/adr/0016-vipe.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.clips.formats.vipe_cameras import read_indexed
from lyra_data.clips.formats.vipe_maps import (
    ENTRY_NAME,
    opened_archive,
    read_exr_entry,
    read_png_entry,
)
from lyra_data.clips.formats.vipe_paths import VipePaths, find_vipe_clip
from lyra_data.engine.errors import InputError
from lyra_data.media.video import read_video
from lyra_data.scene.pixel_values import signed_from_unit, unit_from_bytes

Size = tuple[int, int]
"""Height, width in pixels."""


class ReferenceSettings(NamedTuple):
    """The part of a clip that is loaded, and its size; the defaults are the reference's own.

    Attributes:
        start: number of the first frame; one beyond the end is taken to be the last.
        num_frames: a shorter clip repeats its last frame.
        resize: to this height and width first, whatever the shape.
        crop: then the middle of at most this height and width.
        read_mask: else the mask is 1 everywhere.
    """

    start: int = 0
    num_frames: int = 121
    resize: Size = (720, 1280)
    crop: Size = (704, 1280)
    read_mask: bool = False


@dataclass(frozen=True)
class ReferenceClip:
    """The values that load_vipe_data returns, under names of our own.

    Attributes:
        image: -1..1.
        depth: z depth, mixed with whatever stood beside it.
        mask: 1 on instances, or everywhere.
        intrinsic_matrices: in pixels of the crop.
    """

    image: Float[Tensor, "frame 3 height width"]
    depth: Float[Tensor, "frame 1 height width"]
    mask: Float[Tensor, "frame 1 height width"]
    world_to_camera: Float[Tensor, "frame 4 4"]
    intrinsic_matrices: Float[Tensor, "frame 3 3"]


def load_as_reference(
    path: Path, settings: ReferenceSettings, *, clip: str | None = None
) -> ReferenceClip:
    """Load a clip from a folder of ViPE results, or from the rgb/NAME.mp4 in one.

    Args:
        clip: which one of a folder's; None: the first in the order of their names.

    Raises:
        InputError: a file is missing or unreadable, or a frame has no pose, intrinsics or depth.
    """
    if path.suffix == ".mp4":
        paths = find_vipe_clip(path.parent.parent, path.stem)
    else:
        first = min((video.stem for video in (path / "rgb").glob("*.mp4")), default=None)
        paths = find_vipe_clip(path, clip or first)
    video = decoded_as_reference(paths.rgb)
    total, _, height, width = video.shape
    start = min(settings.start, total - 1)
    frames = [min(start + index, total - 1) for index in range(settings.num_frames)]

    image = _resized(unit_from_bytes(video[frames]), settings, mode="bilinear")
    depth = _resized(_depth(paths, frames, height * width), settings, mode="bilinear")
    is_read = settings.read_mask and paths.mask.exists()
    mask = _mask(paths, frames, height, width) if is_read else torch.ones(len(frames), 1, 1, 1)
    poses, matrices = _entries(paths.pose, frames), _entries(paths.intrinsics, frames)
    return ReferenceClip(
        image=signed_from_unit(image),
        depth=depth,
        mask=_resized(mask, settings, mode="nearest"),
        world_to_camera=torch.linalg.inv(_transforms(poses, paths.pose)),
        intrinsic_matrices=adjusted_intrinsics(
            _matrices(matrices, paths.intrinsics), (height, width), settings.resize, settings.crop
        ),
    )


def adjusted_intrinsics(
    matrices: Float[Tensor, "*batch 3 3"], source: Size, resize: Size, crop: Size
) -> Float[Tensor, "*batch 3 3"]:
    """Return intrinsics after a resize and a centred crop; no half-pixel term, whole pixels cut
    off."""
    adjusted = matrices.clone()
    for row, axis in ((0, 1), (1, 0)):
        scale = resize[axis] / source[axis]
        adjusted[..., row, row] *= scale
        adjusted[..., row, 2] *= scale
        adjusted[..., row, 2] -= max((resize[axis] - crop[axis]) // 2, 0)
    return adjusted


def decoded_as_reference(path: Path) -> UInt8[Tensor, "frame 3 height width"]:
    """Decode frames in the colours that FFmpeg's conversion gives when it is asked for nothing.

    The only difference to `read_video`, which does all checking: edges of colour in 4:2:0 video
    are rounder there.
    """
    checked = read_video(path).frames
    with av.open(str(path), metadata_errors="replace") as container:
        pictures = [
            frame.to_ndarray(format="rgb24", channel_last=True)
            for frame in container.decode(video=0)
        ]
    frames = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    if frames.shape != checked.shape:
        raise InputError(
            f"it decodes to frames of shape {list(frames.shape)} instead of {list(checked.shape)}",
            where=str(path),
            fix="give the video as ViPE wrote it: upright, at a constant rate",
        )
    return frames


def _resized(
    values: Float[Tensor, "frame channel source_height source_width"],
    settings: ReferenceSettings,
    *,
    mode: str,
) -> Float[Tensor, "frame channel height width"]:
    align = False if mode == "bilinear" else None
    resized = F.interpolate(values, settings.resize, mode=mode, align_corners=align)
    (height, width), (crop_height, crop_width) = settings.resize, settings.crop
    top, left = max((height - crop_height) // 2, 0), max((width - crop_width) // 2, 0)
    return resized[:, :, top : top + crop_height, left : left + crop_width]


def _depth(
    paths: VipePaths, frames: list[int], num_pixels: int
) -> Float[Tensor, "frame 1 source_height source_width"]:
    with opened_archive(paths.depth) as archive:
        maps = {
            index: read_exr_entry(
                archive, paths.depth, ENTRY_NAME.format(index, "exr"), num_pixels=num_pixels
            )
            for index in sorted(set(frames))
        }
    return _stacked([torch.from_numpy(maps[index]) for index in frames], paths.depth)


def _mask(
    paths: VipePaths, frames: list[int], height: int, width: int
) -> Float[Tensor, "frame 1 source_height source_width"]:
    """Read a mask: 1 on instances; a frame that the archive lacks is 1 everywhere."""
    masks = []
    with opened_archive(paths.mask) as archive:
        names = set(archive.namelist())
        for index in frames:
            entry = ENTRY_NAME.format(index, "png")
            mask = torch.ones(height, width)
            if entry in names:
                instances = read_png_entry(archive, paths.mask, entry, num_pixels=mask.numel())
                first = instances if instances.ndim == 2 else instances[..., 0]
                mask = torch.from_numpy(first > 0).float()
            masks.append(mask)
    return _stacked(masks, paths.mask)


def _stacked(
    maps: list[Float[Tensor, "map_height map_width"]], path: Path
) -> Float[Tensor, "frame 1 source_height source_width"]:
    """Stack maps of one size, which need not be that of the video."""
    sizes = sorted({f"{one.shape[1]}x{one.shape[0]}" for one in maps})
    if len(sizes) > 1:
        raise InputError(
            f"its pictures have several sizes: {', '.join(sizes)}",
            where=str(path),
            fix="run ViPE again; all of a clip's have that of its video",
        )
    return torch.stack(maps)[:, None]


def _entries(path: Path, frames: list[int]) -> Float[Tensor, "frame ..."]:
    inds, data = read_indexed(path)
    rows = {number: row for row, number in enumerate(inds.tolist())}
    missing = sorted(set(frames) - rows.keys())
    if missing:
        raise InputError(
            f"nothing is known of frame {missing[0]}",
            where=str(path),
            fix="run ViPE again on the whole video, or load frames that it knows",
        )
    return torch.from_numpy(data[[rows[index] for index in frames]].astype(np.float32))


def _transforms(values: Float[Tensor, "frame ..."], path: Path) -> Float[Tensor, "frame 4 4"]:
    """Return poses as matrices; flat ones are taken too."""
    if values.shape[1:] not in ((4, 4), (16,)):
        raise InputError(
            f"poses of shape {list(values.shape[1:])} instead of [4, 4] or [16]",
            where=str(path),
            fix="give camera-to-world matrices, rows first",
        )
    return values.reshape(-1, 4, 4)


def _matrices(values: Float[Tensor, "frame ..."], path: Path) -> Float[Tensor, "frame 3 3"]:
    if values.shape[1:] == (3, 3):
        return values
    if values.shape[1:] != (4,):
        raise InputError(
            f"intrinsics of shape {list(values.shape[1:])} instead of [4] or [3, 3]",
            where=str(path),
            fix="run ViPE with a pinhole pipeline (`lyra`)",
        )
    matrices = torch.eye(3).repeat(len(values), 1, 1)
    matrices[:, 0, 0], matrices[:, 1, 1] = values[:, 0], values[:, 1]
    matrices[:, :2, 2] = values[:, 2:]
    return matrices
