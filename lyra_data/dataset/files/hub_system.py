"""The few methods of fsspec's file systems that are used here, for hf://datasets/OWNER/NAME.

The Hub's own file system reads 5 MiB ahead of every range, and asks for each anew where it lies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from lyra_data.hub.ranges import HubRanges

_ADDRESS = re.compile(r"hf://datasets/([^/@]+/[^/@]+)(?:@([^/]+))?((?:/[^/]+)*)")


def hub_system(uri: str) -> tuple[HubSystem, str] | None:
    """Return the files of a dataset's repository on the Hub, and the folder of `uri` in it; None:
    it is another address."""
    address = _ADDRESS.fullmatch(uri)
    if address is None:
        return None
    from lyra_data.hub.ranges import HubRanges

    repository, revision, folder = address.groups()
    ranges = HubRanges(repository, "dataset", None if revision is None else unquote(revision))
    return HubSystem(ranges), folder


class HubSystem:
    """The files of one repository, each named by its path after a "/"."""

    def __init__(self, ranges: HubRanges) -> None:
        self.ranges = ranges

    def cat_file(self, path: str) -> bytes:
        return self.ranges.read_whole(path[1:])

    def info(self, path: str) -> dict[str, Any]:
        return {"size": self.ranges.size(path[1:])}

    def cat_ranges(
        self,
        paths: Sequence[str],
        begins: Sequence[int],
        ends: Sequence[int],
        on_error: str,  # noqa: ARG002
    ) -> list[bytes]:
        parts = zip(paths, begins, ends, strict=True)
        return self.ranges.read_all([(path[1:], begin, end) for path, begin, end in parts])
