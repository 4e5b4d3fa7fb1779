"""Encoding: a view as stored between the stages becomes the blobs of the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np

from lyra_data.dataset.format.channel_statistics import (
    ChannelStatistics,
    PictureStatistics,
    channel_sums,
)
from lyra_data.dataset.packing.half_depth import decode_half, encode_half
from lyra_data.dataset.packing.packed import Packed, PartTable, pack_parts
from lyra_data.dataset.packing.video import pack_video
from lyra_data.engine.errors import InputError
from lyra_data.views import blobs
from lyra_data.views.fields import FIELD_BY_NAME, Row, row_shape

LOSSLESS, HALF, BITS = "lossless", "half", "bits"
PREVIEW_HEIGHT, PREVIEW_WIDTH = 352, 640
THUMBNAIL_HEIGHT = 128


@dataclass(frozen=True)
class Encoding:
    """How frames, depth and latents are encoded; what is not lossless trades exactness for size.

    Attributes:
        rgb: a kind of `media.video.VIDEO_CODECS`; original: files that others wrote, to the byte.
        depth, latents: lossless float32, or half floats.
    """

    rgb: Literal["lossless", "train", "compat", "original"] = "lossless"
    depth: Literal["lossless", "half"] = "lossless"
    latents: Literal["lossless", "half"] = "lossless"

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    @property
    def codecs(self) -> dict[str, str]:
        """The codec that every blob of a field must have."""
        return {
            "frames": self.rgb,
            "depth": self.depth,
            "latents": self.latents,
            "depth_valid": BITS,
            "filled": BITS,
        }


@dataclass(frozen=True)
class EncodedView:
    """A view's row and its blobs.

    Attributes:
        media: by name of the field.
        preview: a small video.
        thumbnail: the first frame as a small PNG.
        latent_source_exact: whether the latents came through the encoding without any change.
        depth_valid_fraction: share of pixels whose depth is known, 0..1.
        latent_channels, rgb_channels: statistics before anything was encoded.
    """

    row: Row
    media: Mapping[str, Packed]
    preview: bytes
    thumbnail: bytes
    latent_source_exact: bool
    depth_valid_fraction: float
    latent_channels: tuple[ChannelStatistics, ...]
    rgb_channels: tuple[ChannelStatistics, ...]


def encode_view(row: Row, encoding: Encoding) -> EncodedView:
    """All blobs of a view; its frames are decoded one at a time.

    Raises:
        ValueError: the row holds bytes that are not what their field says.
        InputError: a value does not fit in half floats.
    """
    shape = row_shape(row)
    sizes = (shape.num_frames, shape.height, shape.width)
    first = blobs.decode_image(row["frames"][0], shape.height, shape.width)
    latents, exact, statistics = _latents(row, encoding)
    colours = PictureStatistics()
    valid = [blobs.decode_mask(blob, *sizes[1:]) for blob in row["depth_valid"]]
    return EncodedView(
        row=row,
        media={
            "frames": pack_video(_pictures(row), row["fps"], encoding.rgb),
            "depth": pack_parts(_depth_parts(row, encoding), sizes, encoding.depth),
            "depth_valid": pack_parts(row["depth_valid"], sizes, BITS),
            "filled": pack_parts(row["filled"], sizes, BITS),
            "latents": latents,
        },
        preview=pack_video(_small(colours.through(_pictures(row))), row["fps"], "preview").data,
        thumbnail=thumbnail(first),
        latent_source_exact=exact,
        depth_valid_fraction=float(np.mean([mask.mean() for mask in valid])),
        latent_channels=statistics,
        rgb_channels=colours.statistics(),
    )


def decode_map(blob: bytes, table: PartTable) -> np.ndarray:
    """One frame's map: depth as float32 or float16 as stored, or a boolean mask.

    Raises:
        ValueError: the bytes are no such map.
    """
    height, width = table.shape[1:]
    if table.codec == HALF:
        return decode_half(blob, height, width)
    if table.codec == BITS:
        return blobs.decode_mask(blob, height, width)
    assert table.codec == LOSSLESS, table.codec
    return blobs.decode_map(blob, height, width)


def decode_latents(blob: bytes, table: PartTable) -> np.ndarray:
    """The latents, float32 or float16 as stored.

    Raises:
        ValueError: the bytes are no such array.
    """
    if table.codec == LOSSLESS:
        return blobs.decode_array(blob, table.shape)
    expected = 2 * int(np.prod(table.shape)) + 1
    if len(blob) != expected or blob[-1:] != b"\x01":
        raise ValueError(f"{len(blob)} bytes are no half array of shape {table.shape}")
    return np.frombuffer(blob, "<f2", count=expected // 2).reshape(table.shape).copy()


def small_picture(picture: np.ndarray) -> np.ndarray:
    """A frame of a preview: uint8 [height, width, 3], even sides, at most 640x352."""
    height, width = picture.shape[:2]
    scale = min(1.0, PREVIEW_HEIGHT / height, PREVIEW_WIDTH / width)
    size = (max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2))
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)


def thumbnail(frame: np.ndarray) -> bytes:
    """A frame, uint8 [3, height, width], as a small PNG."""
    height, width = frame.shape[1:]
    scale = min(1.0, THUMBNAIL_HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
    return blobs.encode_image(small)


def pack_latents(
    values: np.ndarray, kind: Literal["lossless", "half"], where: str
) -> tuple[Packed, bool, tuple[ChannelStatistics, ...]]:
    """Latents, float32 [channel, ...]: their blob, whether it holds every value, their statistics.

    Raises:
        ValueError: a value is no number.
        InputError: a value does not fit in half floats.
    """
    if not np.isfinite(values).all():
        raise ValueError("latents hold values that are no numbers")
    statistics = channel_sums(values).statistics()
    exact = True
    if kind == HALF:
        with np.errstate(over="ignore"):
            half = values.astype("<f2")
        if np.isinf(half).any():
            raise _too_large(where, f"latents up to {np.abs(values).max():g}", "latents")
        data, exact = half.tobytes() + b"\x01", bool((half.astype(np.float32) == values).all())
    else:
        data = blobs.encode_array(values)
    table = PartTable((len(data),), 0, (), tuple(values.shape), kind, b"")
    return Packed(data, table), exact, statistics


def _pictures(row: Row) -> Iterator[np.ndarray]:
    shape = row_shape(row)
    for blob in row["frames"]:
        yield blobs.decode_image(blob, shape.height, shape.width).transpose(1, 2, 0)


def _small(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    return map(small_picture, pictures)


def _depth_parts(row: Row, encoding: Encoding) -> list[bytes]:
    if encoding.depth == LOSSLESS:
        return list(row["depth"])
    shape = row_shape(row)
    try:
        return [
            encode_half(blobs.decode_map(blob, shape.height, shape.width)) for blob in row["depth"]
        ]
    except OverflowError as error:
        raise _too_large(_place(row), str(error), "depth") from None


def _latents(row: Row, encoding: Encoding) -> tuple[Packed, bool, tuple[ChannelStatistics, ...]]:
    values = FIELD_BY_NAME["latents"].decode(row["latents"], row_shape(row)).numpy()
    return pack_latents(values, encoding.latents, _place(row))


def _place(row: Row) -> str:
    return f"scene {row['scene_id']}, view {row['view_index']}"


def _too_large(where: str, what: str, key: str) -> InputError:
    return InputError(
        f"{what}: too large, or too small, for half floats",
        where=where,
        fix=f"write `package.{key}: lossless`, or generate the scene in other units",
    )
