"""Cut a blob into parts, so that single frames are read by their bytes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lyra_data.packing.packet_order import PacketOrder


@dataclass(frozen=True)
class PartTable:
    """The cuts of a blob into parts.

    Attributes:
        ends: where every part ends, counted from the blob's first byte; they cover all of it.
        num_leading: parts before the first frame's.
        key_frames: frames that decoding can start at; empty: every frame.
        shape: size of each axis of the decoded array.
        codec: name of the encoding.
        config: what a decoder must know besides the parts.
    """

    ends: tuple[int, ...]
    num_leading: int
    key_frames: tuple[int, ...]
    shape: tuple[int, ...]
    codec: str
    config: bytes

    def bounds(self, part: int) -> tuple[int, int]:
        """Return first byte and end of a part, counted from the blob's first byte."""
        return (self.ends[part - 1] if part else 0), self.ends[part]

    def part_of(self, frame: int) -> int:
        """Return the part that a frame's bytes are."""
        return self.num_leading + frame

    def frames_to_decode(self, frames: Sequence[int]) -> list[int]:
        """Return the frames and those that decoding them needs, ascending.

        Of a foreign video these are numbers of packets, which are stored in another order.
        """
        if self.codec == "original":
            return PacketOrder.of(self.config).packets_for(frames, self.key_frames)
        if not self.key_frames:
            return sorted(set(frames))
        needed: set[int] = set()
        for frame in frames:
            needed.update(range(max(key for key in self.key_frames if key <= frame), frame + 1))
        return sorted(needed)


@dataclass(frozen=True)
class Packed:
    """A blob and how it is cut."""

    data: bytes
    table: PartTable


def pack_parts(parts: Sequence[bytes], shape: Sequence[int], codec: str) -> Packed:
    """Put parts one after another, one a frame."""
    ends = tuple(itertools.accumulate(map(len, parts)))
    return Packed(b"".join(parts), PartTable(ends, 0, (), tuple(shape), codec, b""))
