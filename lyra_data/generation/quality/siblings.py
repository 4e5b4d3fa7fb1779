"""Agreement across a scene's views: do they show one scene?

At three times of the path a view's frame is moved into each other view's camera by its saved depth
and compared there, where both views know the same surface. Views that start at one place are
farthest apart at the end, so the times are a third, two thirds and the end of the path.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.cache3d.splat import SplatSource, splat
from lyra_data.engine.atomic import write_atomically
from lyra_data.generation.quality import photometry
from lyra_data.generation.quality.contrast import contrast_everywhere, local_contrast, reduction
from lyra_data.generation.quality.displacement import median_displacement
from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.pixel_values import bytes_from_signed, signed_from_bytes
from lyra_data.views import blobs
from lyra_data.views.field import RowShape
from lyra_data.views.fields import FIELD_BY_NAME, Row, row_shape
from lyra_data.views.parquet import open_parquet_writer
from lyra_data.views.store import refusing_damage

COMPARED_FILE = "compared.parquet"
"""Name of what is compared of an encoded view, beside the view's file in the scratch store."""

MIN_SIBLINGS = 2
"""Smallest number of views to compare with: between two that disagree, none shows which is
wrong."""

SAME_SURFACE = 0.02
"""Depths that differ by no more than this share are of one surface."""

_COMPARED = pa.schema(
    [
        pa.field("frames", pa.list_(pa.large_binary())),
        pa.field("depth", pa.list_(pa.large_binary())),
        pa.field("valid", pa.list_(pa.large_binary())),
        pa.field("camera_to_world", pa.large_binary()),
        pa.field("intrinsics", pa.large_binary()),
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("factor", pa.int32()),
    ]
)

MIN_SHARED = 0.02
"""Share of pixels that two views must both know to be compared."""


@dataclass(frozen=True)
class ComparedFrames:
    """A view's frames at the compared times, reduced to the size that is looked at.

    Attributes:
        factor: pixels of the view along a side that are one here.
    """

    frames: UInt8[Tensor, "time 3 height width"]
    depth: Float[Tensor, "time height width"]
    valid: Bool[Tensor, "time height width"]
    cameras: Cameras
    factor: int


@dataclass(frozen=True)
class SiblingAgreement:
    """Agreement of one view with the others; None: fewer than MIN_SIBLINGS have anything in
    common."""

    psnr_db: float | None
    displacement_pixels: float | None


def compared_frames(row: Row) -> ComparedFrames:
    """Return what is compared of a stored view. In a reversed view the same times come in
    reverse."""
    shape = row_shape(row)
    last = shape.num_frames - 1
    times = sorted({round(last / 3), round(2 * last / 3), last})
    chosen = [last - time if row["motion_reversed"] else time for time in times]

    def decoded(name: str) -> Any:
        return FIELD_BY_NAME[name].decode([row[name][index] for index in chosen], shape)

    cameras = Cameras(decoded("camera_to_world"), decoded("intrinsics"), shape.height, shape.width)
    frames, depth, valid = decoded("frames"), decoded("depth"), decoded("depth_valid")
    factor = reduction(shape.height, shape.width)
    if factor > 1:
        low = height, width = shape.height // factor, shape.width // factor
        rows, columns = height * factor, width * factor
        cameras = cameras.cropped(0, 0, rows, columns).resized(height, width)
        frames = torch.stack([_reduced(frame[:, :rows, :columns], low) for frame in frames])
        middle = slice(factor // 2, None, factor)
        depth, valid = (part[:, :rows, :columns][:, middle, middle] for part in (depth, valid))
    return ComparedFrames(frames, depth.contiguous(), valid.contiguous(), cameras, factor)


def write_compared(path: Path, view: ComparedFrames) -> None:
    """Write what is compared of a view, without loss.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    row = {
        "frames": [blobs.encode_image(frame) for frame in view.frames.numpy()],
        "depth": [blobs.encode_map(depth) for depth in view.depth.numpy()],
        "valid": [blobs.encode_mask(valid) for valid in view.valid.numpy()],
        "camera_to_world": blobs.encode_array(view.cameras.camera_to_world.numpy()),
        "intrinsics": blobs.encode_array(view.cameras.intrinsics.numpy()),
        "height": view.cameras.height,
        "width": view.cameras.width,
        "factor": view.factor,
    }
    with write_atomically(path) as temporary, open_parquet_writer(temporary, _COMPARED) as writer:
        writer.write_table(pa.Table.from_pylist([row], schema=_COMPARED))


def read_compared(path: Path) -> ComparedFrames:
    """Read what `write_compared` wrote.

    Raises:
        CorruptDataError: the file is missing, cut or altered.
    """
    with refusing_damage(path):
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            (row,) = file.read(use_threads=False).to_pylist()
        height, width = row["height"], row["width"]
        shape = RowShape(len(row["frames"]), height, width, ())

        def stacked(name: str, decode: Callable[[bytes, int, int], np.ndarray]) -> Tensor:
            return torch.from_numpy(np.stack([decode(blob, height, width) for blob in row[name]]))

        def matrices(name: str, *size: int) -> Tensor:
            return torch.from_numpy(blobs.decode_array(row[name], (shape.num_frames, *size)))

        cameras = Cameras(
            matrices("camera_to_world", 4, 4), matrices("intrinsics", 4), height, width
        )
        return ComparedFrames(
            stacked("frames", blobs.decode_image),
            stacked("depth", blobs.decode_map),
            stacked("valid", blobs.decode_mask),
            cameras,
            row["factor"],
        )


def sibling_agreements(views: list[ComparedFrames]) -> list[SiblingAgreement]:
    """Compare every view with the others, and return the median, so that one bad sibling does not
    count.

    Of two middle values the better: in a scene of three views one bad sibling is half of them.
    """
    psnr: list[list[float]] = [[] for _ in views]
    displacement: list[list[float]] = [[] for _ in views]
    for second, other in enumerate(views):
        for first, view in enumerate(views[:second]):
            for values, value in zip((psnr, displacement), _compare(view, other), strict=True):
                if value is not None:
                    values[first].append(value)
                    values[second].append(value)
    return [
        SiblingAgreement(
            statistics.median_high(decibels) if len(decibels) >= MIN_SIBLINGS else None,
            statistics.median_low(distances) if len(distances) >= MIN_SIBLINGS else None,
        )
        for decibels, distances in zip(psnr, displacement, strict=True)
    ]


def _compare(view: ComparedFrames, other: ComparedFrames) -> tuple[float | None, float | None]:
    """Return the PSNR in dB over all times, and the worst time's displacement in pixels of the
    views."""
    moved, shared = _moved(view, other)
    enough = shared.flatten(1).float().mean(dim=1) >= MIN_SHARED
    if not bool(enough.any()):
        return None, None
    actual, expected, counted = (part[enough].numpy() for part in (other.frames, moved, shared))
    actual_contrast = contrast_everywhere(actual, counted)
    expected_contrast, known = local_contrast(expected, counted)
    distances = [
        distance
        for parts in zip(expected_contrast, known, actual_contrast, strict=True)
        if (distance := median_displacement(*parts)) is not None
    ]
    return (
        photometry.psnr_db(actual, expected, counted),
        max(distances) * view.factor if distances else None,
    )


def _moved(
    view: ComparedFrames, other: ComparedFrames
) -> tuple[UInt8[Tensor, "time 3 height width"], Bool[Tensor, "time height width"]]:
    """Return a view's frames in another's cameras, and where both know the same surface."""
    sources = [
        SplatSource(
            frame=signed_from_bytes(view.frames[time]),
            depth=view.depth[time],
            visible=view.valid[time],
            occluding=view.valid[time],
            camera=view.cameras[[time]],
        )
        for time in range(len(view.frames))
    ]
    frames, known, depth = splat(sources, other.cameras, pixel_centre=PIXEL_CENTRE)
    same = (depth - other.depth).abs() <= SAME_SURFACE * other.depth
    return bytes_from_signed(frames), known & other.valid & same


def _reduced(
    frame: UInt8[Tensor, "3 height width"], low: tuple[int, int]
) -> UInt8[Tensor, "3 low_height low_width"]:
    picture = rearrange(frame, "channel height width -> height width channel")
    picture = np.ascontiguousarray(picture.numpy())
    small = cv2.resize(picture, low[::-1], interpolation=cv2.INTER_AREA)
    return rearrange(torch.from_numpy(small), "height width channel -> channel height width")
