"""Keep what was read of scenes and may be needed again, within a limit of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Part = TypeVar("Part")


class PartCache(Generic[Part]):
    """Keeps parts until they take more than `limit_bytes`; those not used for longest go first.

    It belongs to one thread. Nothing but speed depends on what it holds.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.num_bytes = 0
        self._parts: OrderedDict[Hashable, tuple[Part, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._parts

    def get(self, key: Hashable) -> Part | None:
        """Return a part and note that it was used; None where it is not kept."""
        if key not in self._parts:
            return None
        self._parts.move_to_end(key)
        return self._parts[key][0]

    def put(self, key: Hashable, part: Part, num_bytes: int) -> None:
        """Keep a part, after others have made room; one larger than the limit is not kept."""
        self._drop(key)
        if num_bytes > self.limit_bytes:
            return
        while self.num_bytes + num_bytes > self.limit_bytes:
            self._drop(next(iter(self._parts)))
        self._parts[key] = part, num_bytes
        self.num_bytes += num_bytes

    def _drop(self, key: Hashable) -> None:
        _, num_bytes = self._parts.pop(key, (None, 0))
        self.num_bytes -= num_bytes
