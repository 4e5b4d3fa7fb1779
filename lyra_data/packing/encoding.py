"""Encode a view as stored between the stages into the blobs of the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from lyra_data.packing.blob_kinds import PACKED_FIELDS, holds_exactly, kind_of
from lyra_data.packing.channel_statistics import (
    ChannelStatistics,
    PictureStatistics,
    channel_sums,
)
from lyra_data.packing.packed import Packed
from lyra_data.packing.video import pack_video
from lyra_data.views import blobs
from lyra_data.views.fields import FIELD_BY_NAME, Row, row_shape

PREVIEW_HEIGHT, PREVIEW_WIDTH = 352, 640
THUMBNAIL_HEIGHT = 128
"""Pixels at most."""


@dataclass(frozen=True)
class Encoding:
    """Encodings of frames, depth and latents; what is not lossless trades exactness for size.

    Attributes:
        rgb: a key of `packing.video.VIDEO_CODECS`; original: files that others wrote, to the byte.
        depth, latents: lossless float32, or half floats.
    """

    rgb: Literal["lossless", "train", "compat", "original"] = "lossless"
    depth: Literal["lossless", "half"] = "lossless"
    latents: Literal["lossless", "half"] = "lossless"

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    @property
    def codecs(self) -> dict[str, str]:
        """Return the codec that the blobs of every packed field must have."""
        return {name: self._codec(name) for name in PACKED_FIELDS}

    def _codec(self, name: str) -> str:
        packing = FIELD_BY_NAME[name].packing
        option = packing and packing.option
        return kind_of(name).only_codec if option is None else getattr(self, option)


StoredForm: TypeAlias = Literal["lossless", "compat", "train"]
"""Form in which `generate` keeps views, as `generate.store` names it."""


def encoding_of_store(store: StoredForm) -> Encoding | None:
    """Return the encoding in which views are kept; None: lossless views are not encoded."""
    return None if store == "lossless" else Encoding(rgb=store, depth="half", latents="half")


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
    """Make all blobs of a view; its frames are decoded one at a time.

    Raises:
        ValueError: the row holds bytes that are not what their field says.
        InputError: a value does not fit in half floats.
    """
    shape = row_shape(row)
    sizes = shape.height, shape.width
    media = {
        name: kind_of(name).pack(row, FIELD_BY_NAME[name], encoding.codecs[name])
        for name in PACKED_FIELDS
    }
    latents = FIELD_BY_NAME["latents"].decode(row["latents"], shape).numpy()
    valid = [blobs.decode_mask(blob, *sizes) for blob in row["depth_valid"]]
    colours = PictureStatistics()
    return EncodedView(
        row=row,
        media=media,
        preview=pack_video(_small_pictures(row, colours), row["fps"], "preview").data,
        thumbnail=thumbnail(blobs.decode_image(row["frames"][0], *sizes)),
        latent_source_exact=holds_exactly(media["latents"], latents),
        depth_valid_fraction=float(np.mean([mask.mean() for mask in valid])),
        latent_channels=channel_sums(latents).statistics(),
        rgb_channels=colours.statistics(),
    )


def small_picture(picture: np.ndarray) -> np.ndarray:
    """Return a frame of a preview: uint8 [height, width, 3], even sides, at most 640x352."""
    height, width = picture.shape[:2]
    scale = min(1.0, PREVIEW_HEIGHT / height, PREVIEW_WIDTH / width)
    size = (max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2))
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)


def thumbnail(frame: np.ndarray) -> bytes:
    """Encode a frame, uint8 [3, height, width], as a small PNG."""
    height, width = frame.shape[1:]
    scale = min(1.0, THUMBNAIL_HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
    return blobs.encode_image(small)


def _small_pictures(row: Row, colours: PictureStatistics) -> Iterator[np.ndarray]:
    """Yield the frames of the preview, counting the colours of the frames they are made of."""
    shape = row_shape(row)
    for blob in row["frames"]:
        picture = blobs.decode_image(blob, shape.height, shape.width).transpose(1, 2, 0)
        colours.add(picture)
        yield small_picture(picture)
