"""What is read of one blob: its parts, checked against their hashes, then decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch

from lyra_data.dataset.files.byte_ranges import RESTORE, Range
from lyra_data.dataset.format.blob_index import BlobPlace
from lyra_data.dataset.format.encoding import HALF, decode_latents, decode_map
from lyra_data.dataset.packing.half_depth import decode_half
from lyra_data.dataset.packing.video import decode_packets
from lyra_data.engine.errors import CorruptDataError


class BlobPlan:
    """Some frames of one blob, or all of it.

    Args:
        frames: in the order they are wanted; None: all.
    """

    def __init__(self, field: str, place: BlobPlace, frames: Sequence[int] | None) -> None:
        self.field, self.place = field, place
        table = place.table
        if field == "latents":
            self.wanted, self.decoded = [0], [0]
        else:
            num_frames = table.shape[0]
            self.wanted = list(range(num_frames)) if frames is None else list(frames)
            assert all(0 <= frame < num_frames for frame in self.wanted), (self.wanted, num_frames)
            self.decoded = table.frames_to_decode(self.wanted)
        self.parts = [table.part_of(frame) for frame in self.decoded]
        self._data: list[bytes] = []
        self._name = ""

    def ranges(self) -> list[Range]:
        """The bytes that decoding needs."""
        return self.place.ranges(self.parts)

    def take(self, data: Iterator[bytes], name: str) -> None:
        """Take the bytes of `ranges`, in their order.

        Raises:
            CorruptDataError: a part has changed.
        """
        self._data, self._name = [next(data) for _ in self.parts], name
        self.place.check(self.parts, self._data, name)

    def decode(self, as_stored: bool) -> torch.Tensor:
        """The frames in the order they are wanted, or the latents. Lets go of the bytes.

        Args:
            as_stored: halves stay halves.

        Raises:
            CorruptDataError: the bytes are as they were written, but not what their codec says.
        """
        try:
            values = self._decoded()
        except ValueError as error:
            raise CorruptDataError(
                f"the blob of {self.field} at byte {self.place.offset} cannot be decoded: {error}",
                where=self._name,
                fix=RESTORE,
            ) from error
        self._data = []
        tensor = torch.from_numpy(values)
        return tensor.float() if tensor.dtype == torch.float16 and not as_stored else tensor

    def _decoded(self) -> np.ndarray:
        table = self.place.table
        if self.field == "latents":
            return decode_latents(self._data[0], table)
        by_frame = dict(zip(self.decoded, self._data, strict=True))
        if self.field == "frames":
            found = decode_packets(by_frame, self.wanted, table)
            pictures = np.empty((len(self.wanted), 3, *table.shape[1:3]), np.uint8)
            for picture, frame in zip(pictures, self.wanted, strict=True):
                cv2.split(found[frame], list(picture))  # into the planes, in one go
            return pictures
        if not self.wanted:
            raise ValueError("no frames are wanted")
        if table.codec == HALF:
            return self._half_maps(by_frame)
        maps = {frame: decode_map(blob, table) for frame, blob in by_frame.items()}
        return np.stack([maps[frame] for frame in self.wanted])

    def _half_maps(self, blobs: dict[int, bytes]) -> np.ndarray:
        """Each map decoded where it is wanted first, and copied to where it is wanted again."""
        found = np.empty((len(self.wanted), *self.place.table.shape[1:]), np.float16)
        first: dict[int, int] = {}
        for position, frame in enumerate(self.wanted):
            if frame in first:
                found[position] = found[first[frame]]
                continue
            first[frame] = position
            decode_half(blobs[frame], *found.shape[1:], out=found[position])
        return found
