"""Map frames of a foreign video to its packets: B-frames are stored out of order.

A packet's *rank* is the position of its frame among the frames as a player shows them.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass

from lyra_data.engine.documents import parse_json


@dataclass(frozen=True)
class PacketOrder:
    """Facts of a video that others wrote, as its decoder needs them.

    Attributes:
        decoder: its name in FFmpeg.
        extradata: what the container tells the decoder.
        ranks: of every packet, in the order they are stored and decoded.
        sizes: of every packet, in bytes; the part that holds it may be longer.
        num_bytes: of the file. A blob may have a few more behind them.
        backwards: frame 0 is the one that a player shows last.
    """

    decoder: str
    extradata: bytes
    ranks: tuple[int, ...]
    sizes: tuple[int, ...]
    num_bytes: int
    backwards: bool

    def as_config(self) -> bytes:
        """Return all of it as bytes, for `PartTable.config`."""
        values = {
            "decoder": self.decoder,
            "extradata": base64.b64encode(self.extradata).decode(),
            "ranks": list(self.ranks),
            "sizes": list(self.sizes),
            "num_bytes": self.num_bytes,
            "backwards": self.backwards,
        }
        return json.dumps(values, separators=(",", ":")).encode()

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def of(config: bytes) -> PacketOrder:
        """Read what `as_config` wrote.

        Raises:
            ValueError: these bytes are nothing of the kind.
        """
        try:
            values = parse_json(config)
            order = PacketOrder(
                decoder=str(values["decoder"]),
                extradata=base64.b64decode(values["extradata"], validate=True),
                ranks=tuple(map(int, values["ranks"])),
                sizes=tuple(map(int, values["sizes"])),
                num_bytes=int(values["num_bytes"]),
                backwards=bool(values["backwards"]),
            )
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"the order of the video's packets is damaged: {error}") from error
        if len(order.sizes) != len(order.ranks) or min(order.sizes, default=1) < 1:
            raise ValueError("the sizes of the video's packets are damaged")
        if sorted(order.ranks) != list(range(len(order.ranks))):
            raise ValueError("the order of the video's packets shows a frame twice or never")
        return order

    def rank_of(self, frame: int) -> int:
        """Return the rank of the packet that shows a frame."""
        return len(self.ranks) - 1 - frame if self.backwards else frame

    def packets_for(self, frames: Sequence[int], key_packets: Sequence[int]) -> list[int]:
        """Return the packets that decoding these frames takes, ascending.

        Decoding starts at the last key packet that is neither stored nor shown behind the frame:
        frames shown before a key frame and stored behind it may need the group before.
        """
        packet_of = {rank: packet for packet, rank in enumerate(self.ranks)}
        needed: set[int] = set()
        for frame in frames:
            rank = self.rank_of(frame)
            last = packet_of[rank]
            starts = [key for key in key_packets if key <= last and self.ranks[key] <= rank]
            needed.update(range(max(starts, default=0), last + 1))
        return sorted(needed)
