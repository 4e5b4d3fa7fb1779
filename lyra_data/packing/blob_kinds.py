"""Kinds of blobs: how the values of a packed field become one blob a view, and come back.

A field names its kind in `Field.packing`; columns, encodings, writer and reader follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import cv2
import numpy as np

from lyra_data.engine.errors import InputError
from lyra_data.packing.half_depth import decode_half, encode_half
from lyra_data.packing.packed import Packed, PartTable, pack_parts
from lyra_data.packing.video import decode_packets, pack_video
from lyra_data.views import blobs
from lyra_data.views.field import BlobKindName
from lyra_data.views.fields import FIELD_BY_NAME, FIELDS, Field, Row, row_shape

LOSSLESS, HALF, BITS = "lossless", "half", "bits"


class BlobKind(Protocol):
    """One way to store a packed field.

    Attributes:
        codecs: the names of its codecs, in words for the card.
        encoding: how a value becomes bytes; a change makes another format version.
        only_codec: the codec of fields that no option chooses one for.
        is_video: whether players open the blob.
        has_offsets: whether a column beside the blob says where every frame's part begins.
    """

    codecs: str
    encoding: str
    only_codec: str
    is_video: bool
    has_offsets: bool

    def pack(self, row: Row, field: Field, codec: str) -> Packed:
        """Make the blob of a view that is stored as `row`, one frame in memory at a time.

        Raises:
            ValueError: the row holds bytes that are not what the field says.
            InputError: a value does not fit in half floats.
        """
        ...

    def unpack(
        self, parts: Mapping[int, bytes], frames: Sequence[int], table: PartTable
    ) -> np.ndarray:
        """Decode frames in the given order, or the whole array of a field without frames.

        Args:
            parts: bytes by number of the frame, of `table.frames_to_decode(frames)`.

        Raises:
            ValueError: the bytes are not what their codec says.
        """
        ...


class VideoBlob:
    """RGB frames as MP4, uint8 [frame 3 height width]."""

    codecs = "lossless (H.264 RGB), train (AV1), compat (H.264) or original (a file of others)"
    encoding = "MP4: no B-frames, header first; original: as it was; then the byte 1"
    only_codec = LOSSLESS
    is_video, has_offsets = True, False

    def pack(self, row: Row, field: Field, codec: str) -> Packed:
        shape = row_shape(row)
        pictures = (
            blobs.decode_image(blob, shape.height, shape.width).transpose(1, 2, 0)
            for blob in row[field.name]
        )
        return pack_video(pictures, row["fps"], codec)

    def unpack(
        self, parts: Mapping[int, bytes], frames: Sequence[int], table: PartTable
    ) -> np.ndarray:
        decoded = decode_packets(parts, frames, table)
        pictures = np.empty((len(frames), 3, *table.shape[1:3]), np.uint8)
        for picture, frame in zip(pictures, frames, strict=True):
            cv2.split(decoded[frame], list(picture))  # into the planes, in one go
        return pictures


class DepthBlob:
    """A depth map a frame, float32 or float16 as stored, [frame height width]."""

    codecs = "lossless or half"
    encoding = (
        "a part a frame: lossless: zstd of float32 split into four byte planes; half: p or z, "
        "then pcodec or zstd of each row of float16 bits less the row above; then the byte 1"
    )
    only_codec = LOSSLESS
    is_video, has_offsets = False, True

    def pack(self, row: Row, field: Field, codec: str) -> Packed:
        shape = row_shape(row)
        parts = list(row[field.name])
        if codec == HALF:
            try:
                parts = [
                    encode_half(blobs.decode_map(blob, shape.height, shape.width)) for blob in parts
                ]
            except OverflowError as error:
                raise _beyond_halves(field.name, str(error), view_address(row)) from None
        return pack_parts(parts, (shape.num_frames, shape.height, shape.width), codec)

    def unpack(
        self, parts: Mapping[int, bytes], frames: Sequence[int], table: PartTable
    ) -> np.ndarray:
        height, width = table.shape[1:]
        halves = table.codec == HALF
        maps = np.empty((len(frames), height, width), np.float16 if halves else np.float32)
        first: dict[int, int] = {}  # a map is decoded where it is asked for first, then copied
        for number, frame in enumerate(frames):
            if first.setdefault(frame, number) != number:
                maps[number] = maps[first[frame]]
            elif halves:
                decode_half(parts[frame], height, width, out=maps[number])
            else:
                maps[number] = blobs.decode_map(parts[frame], height, width)
        return maps


class MaskBlob:
    """A mask a frame, bool [frame height width]."""

    codecs = BITS
    encoding = "a part a frame: zstd of packed bits, then the byte 1"
    only_codec = BITS
    is_video, has_offsets = False, True

    def pack(self, row: Row, field: Field, codec: str) -> Packed:
        shape = row_shape(row)
        return pack_parts(row[field.name], (shape.num_frames, shape.height, shape.width), codec)

    def unpack(
        self, parts: Mapping[int, bytes], frames: Sequence[int], table: PartTable
    ) -> np.ndarray:
        height, width = table.shape[1:]
        masks = {frame: blobs.decode_mask(blob, height, width) for frame, blob in parts.items()}
        chosen = np.empty((len(frames), height, width), np.bool_)
        for mask, frame in zip(chosen, frames, strict=True):
            mask[...] = masks[frame]
        return chosen


class ArrayBlob:
    """An array of floats without frames, float32 or float16 as stored."""

    codecs = "lossless or half"
    encoding = "little-endian float32 (lossless) or float16 (half), then the byte 1"
    only_codec = LOSSLESS
    is_video, has_offsets = False, False

    def pack(self, row: Row, field: Field, codec: str) -> Packed:
        values = field.decode(row[field.name], row_shape(row)).numpy()
        return pack_array(values, codec, field.name, view_address(row))

    def unpack(
        self,
        parts: Mapping[int, bytes],
        frames: Sequence[int],  # noqa: ARG002
        table: PartTable,
    ) -> np.ndarray:
        return unpack_array(parts[0], table)


BLOB_KINDS: Mapping[BlobKindName, BlobKind] = {
    "video": VideoBlob(),
    "depth": DepthBlob(),
    "mask": MaskBlob(),
    "array": ArrayBlob(),
}

PACKED_FIELDS: tuple[str, ...] = tuple(field.name for field in FIELDS if field.packing is not None)
"""Names of the fields that are stored as one blob a view."""


def kind_of(name: str) -> BlobKind:
    """Return the kind of a packed field."""
    packing = FIELD_BY_NAME[name].packing
    assert packing is not None, f"{name} is a plain column"
    return BLOB_KINDS[packing.kind]


def pack_array(values: np.ndarray, codec: str, name: str, where: str) -> Packed:
    """Make the blob of a float32 array of any shape.

    Args:
        name, where: of the field and its view, for messages.

    Raises:
        ValueError: a value is no number.
        InputError: a value does not fit in half floats.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"{name} hold values that are no numbers")
    if codec == HALF:
        with np.errstate(over="ignore"):
            half = values.astype("<f2")
        if np.isinf(half).any():
            raise _beyond_halves(name, f"{name} up to {np.abs(values).max():g}", where)
        data = half.tobytes() + blobs.TRAILER
    else:
        data = blobs.encode_array(values)
    return Packed(data, PartTable((len(data),), 0, (), tuple(values.shape), codec, b""))


def unpack_array(blob: bytes, table: PartTable) -> np.ndarray:
    """Return the array of `pack_array`, float32 or float16 as stored.

    Raises:
        ValueError: the bytes are no such array.
    """
    if table.codec == LOSSLESS:
        return blobs.decode_array(blob, table.shape)
    expected = 2 * int(np.prod(table.shape)) + len(blobs.TRAILER)
    if len(blob) != expected or not blob.endswith(blobs.TRAILER):
        raise ValueError(f"{len(blob)} bytes are no half array of shape {table.shape}")
    return np.frombuffer(blob, "<f2", count=expected // 2).reshape(table.shape).copy()


def holds_exactly(packed: Packed, values: np.ndarray) -> bool:
    """Return whether a packed array comes back as these float32 values, to the bit."""
    return bool((unpack_array(packed.data, packed.table).astype(np.float32) == values).all())


def view_address(row: Row) -> str:
    """Return what a message calls a view that is being packed."""
    return f"scene {row['scene_id']}, view {row['view_index']}"


def _beyond_halves(name: str, what: str, where: str) -> InputError:
    packing = FIELD_BY_NAME[name].packing
    assert packing is not None
    return InputError(
        f"{what}: too large, or too small, for half floats",
        where=where,
        fix=f"write `package.{packing.option}: lossless`, or generate the scene in other units",
    )
