"""Plan what is read of one blob: its parts, checked against their hashes, then decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from lyra_data.dataset.files.byte_ranges import RESTORE, Range
from lyra_data.dataset.format.blob_index import BlobEntry
from lyra_data.engine.errors import CorruptDataError
from lyra_data.packing.blob_kinds import kind_of
from lyra_data.views.fields import FIELD_BY_NAME


class BlobPlan:
    """Some frames of one blob, or all of it.

    Args:
        name: of the field.
        frames: in the order they are returned; None: all. They mean nothing to a field that is
            stored whole.

    Attributes:
        parts: those that decoding needs, frames back to a key frame among them.
    """

    def __init__(self, name: str, entry: BlobEntry, frames: Sequence[int] | None) -> None:
        self.name, self.entry, table = name, entry, entry.table
        num_frames = table.shape[0] if FIELD_BY_NAME[name].per_frame else 1
        whole = frames is None or not FIELD_BY_NAME[name].per_frame
        self._frames = list(range(num_frames)) if whole else list(frames or ())
        assert all(0 <= frame < num_frames for frame in self._frames), (self._frames, num_frames)
        self._decoded = table.frames_to_decode(self._frames)
        self.parts = [table.part_of(frame) for frame in self._decoded]
        self._data: list[bytes] = []
        self._address = ""

    def ranges(self) -> list[Range]:
        """Return the bytes that decoding needs."""
        return self.entry.ranges(self.parts)

    def take(self, data: Iterator[bytes], address: str) -> None:
        """Take the bytes of `ranges`, in their order, and check them.

        Args:
            address: of the file, for messages.

        Raises:
            CorruptDataError: a part has changed.
        """
        self._data, self._address = [next(data) for _ in self.parts], address
        self.entry.check(self.parts, self._data, address)

    def decode(self, *, as_stored: bool) -> torch.Tensor:
        """Return the frames in the order they were asked for, or the whole array; let go of bytes.

        Args:
            as_stored: halves stay halves.

        Raises:
            CorruptDataError: the bytes are as they were written, but not what their codec says.
        """
        parts = dict(zip(self._decoded, self._data, strict=True))
        try:
            values = kind_of(self.name).unpack(parts, self._frames, self.entry.table)
        except ValueError as error:
            raise CorruptDataError(
                f"the blob of {self.name} at byte {self.entry.offset} cannot be decoded: {error}",
                where=self._address,
                fix=RESTORE,
            ) from error
        self._data = []
        tensor = torch.from_numpy(values)
        return tensor.float() if tensor.dtype == torch.float16 and not as_stored else tensor
