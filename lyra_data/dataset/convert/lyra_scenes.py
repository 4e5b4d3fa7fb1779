"""Describe scenes in Lyra's layout, wherever their clips' parts lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class StoredPart:
    """The bytes of one part of a clip, in a file of its own or inside a tar.

    Attributes:
        container: a file that is the part, or a tar that holds it.
        offset: -1 where the file is the part.
        changed: when the container was written, in nanoseconds.
    """

    container: Path
    offset: int
    size: int
    changed: int


ClipFiles = Mapping[str, Path]
"""The parts of a clip as files, by name."""


@dataclass(frozen=True)
class LyraClip:
    """One clip of a scene: the folder it lies in, and its parts by name."""

    index: int
    parts: Mapping[str, StoredPart]


@dataclass(frozen=True)
class LyraScene:
    """All clips of one name below one root.

    Attributes:
        root: from the source's folder to the numbered ones, "/" between parts; "": none.
        scene_id: root and name joined by "-"; of scenes that would share one (a-b/c and a/b-c),
            with a hash of both at its end.
    """

    root: str
    name: str
    scene_id: str
    clips: tuple[LyraClip, ...]


class LyraScenes(Protocol):
    """The promise of whatever holds scenes in Lyra's layout.

    Attributes:
        facts: what the provenance of every view says of the source.
    """

    @property
    def path(self) -> Path | str: ...

    @property
    def facts(self) -> Mapping[str, str]: ...

    @property
    def num_clips(self) -> int: ...

    def scenes(self) -> Iterator[LyraScene]:
        """Yield all scenes, one after another."""
        ...

    def files_of(self, scene: LyraScene, clip: LyraClip) -> AbstractContextManager[ClipFiles]:
        """Give the parts of a clip as files for as long as the block lasts.

        Raises:
            InputError: they cannot be read.
        """
        ...
