"""Choose scenes in the tars of a release, by their headers alone.

A release in Lyra's layout is cut into tars of whole scenes. A scene is taken as soon as all of its
folders are found; what its tar lacks is looked for in the next one, and then it is taken as it is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lyra_data.dataset.convert.lyra_clip import NEEDED
from lyra_data.dataset.convert.lyra_layout import (
    NUM_FOLDERS,
    SUFFIXES,
    TRAJECTORIES,
    ClipPart,
    part_of,
    trajectory_of,
)
from lyra_data.dataset.convert.lyra_source import (
    scene_id_of,
)
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress
from lyra_data.hub.download import MIB
from lyra_data.hub.listing import Listing, RemoteFile
from lyra_data.hub.ranges import HubRanges
from lyra_data.sharing.pulling.choice import PartChoice
from lyra_data.sharing.pulling.tar_index import TarIndex

STILL = "static"
"""Folder of the release whose scenes have the six paths alone, no reversed motion."""


@dataclass(frozen=True)
class RemotePart:
    """The bytes of one part of a clip, in a tar."""

    tar: str
    offset: int
    size: int


@dataclass
class ReleasedScene:
    """A scene as far as its tars are known.

    Attributes:
        clips: parts by name, by the number of the folder.
        tars: those that it has parts in.
    """

    root: str
    name: str
    clips: dict[int, dict[str, RemotePart]] = field(default_factory=dict)
    tars: list[str] = field(default_factory=list)

    @property
    def scene_id(self) -> str:
        return scene_id_of(self.root, self.name)

    def is_full(self) -> bool:
        """Return whether nothing more of it can come."""
        folders = len(TRAJECTORIES) if STILL in self.root.split("/") else NUM_FOLDERS
        return self._has(range(folders), tuple(SUFFIXES))

    def is_whole(self) -> bool:
        """Return whether it has all six paths, each with all that a clip needs."""
        return self._has({*range(len(TRAJECTORIES)), *self.clips}, NEEDED)

    def _has(self, folders: Sequence[int] | set[int], parts: Sequence[str]) -> bool:
        return all(part in self.clips.get(index, {}) for index in folders for part in parts)

    def chosen(self, choice: PartChoice) -> ReleasedScene | None:
        """Return it with those clips that are chosen; None where there are none."""
        clips = {
            index: parts
            for index, parts in sorted(self.clips.items())
            if "rgb" in parts
            and (not choice.trajectories or trajectory_of(index) in choice.trajectories)
        }
        return ReleasedScene(self.root, self.name, clips, self.tars) if clips else None

    @property
    def num_bytes(self) -> int:
        return sum(part.size for parts in self.clips.values() for part in parts.values())


def require_choosable(choice: PartChoice, listing: Listing) -> None:
    """Refuse what cannot be known of a release's tars before they are converted.

    Raises:
        InputError: splits, quality or modalities are chosen, or there is no such camera path.
    """
    options = {"split": choice.splits, "where": choice.conditions, "modalities": choice.modalities}
    given = next((option for option, value in options.items() if value), None)
    if given is not None:
        raise InputError(
            f"scenes in tars are chosen by --scenes, --trajectories and --max-gb, not by --{given}",
            where=listing.page,
            fix=f"leave --{given} out, and use `lyra-data filter` on what was pulled",
        )
    choice.require_trajectories(TRAJECTORIES)


def choose_scenes(
    listing: Listing, ranges: HubRanges, choice: PartChoice, folder: Path, *, progress: Progress
) -> list[ReleasedScene]:
    """Return the scenes that are chosen, in the order in which the tars have them.

    Headers of tars are read until there are enough; what was read is kept in `folder`.

    Raises:
        InputError: nothing fits, a tar is refused, or a scene's part is there twice.
        DownloadError, StorageError: the Hub or the disk refuses.
    """
    chosen: list[ReleasedScene] = []
    taken: set[str] = set()
    with closing(_scenes(listing, ranges, choice, folder, progress)) as scenes:
        for scene in scenes:
            part = scene.chosen(choice)
            if part is None:
                continue
            if choice.max_bytes is not None:
                total = sum(one.num_bytes for one in chosen) + part.num_bytes
                if total > choice.max_bytes:
                    _require_any(chosen, part)
                    break
            if part.scene_id in taken:
                raise InputError(
                    f"two scenes would be called {part.scene_id}",
                    where=listing.page,
                    fix="pull them one by one, into folders of their own",
                )
            taken.add(part.scene_id)
            chosen.append(part)
            if _is_enough(chosen, choice):
                break
    progress.finish()
    choice.require_fitting(name for scene in chosen for name in (scene.scene_id, scene.name))
    if not chosen:
        raise InputError(
            "no tar of it holds a scene in Lyra's layout (INDEX/rgb/NAME.mp4)",
            where=listing.page,
            fix="pull it whole, without --scenes",
        )
    return chosen


def _scenes(
    listing: Listing, ranges: HubRanges, choice: PartChoice, folder: Path, progress: Progress
) -> Generator[ReleasedScene, None, None]:
    """Yield scenes that are named, each once nothing more of it is to come."""
    open_scenes: dict[tuple[str, str], ReleasedScene] = {}
    yielded: set[tuple[str, str]] = set()
    for tar in (file for file in listing.files if file.name.endswith(".tar")):
        for part, remote in _parts(tar, ranges, folder, progress):
            key = part.root, part.name
            names = scene_id_of(*key), part.name
            if key in yielded or not any(map(choice.names_scene, names)):
                continue
            scene = open_scenes.setdefault(key, ReleasedScene(*key))
            _add(scene, part, remote, listing)
            if scene.is_full():
                yielded.add(key)
                yield open_scenes.pop(key)
        for key, scene in list(open_scenes.items()):
            if scene.is_whole() or scene.tars[-1] != tar.name:
                yielded.add(key)
                yield open_scenes.pop(key)
    yield from open_scenes.values()


def _parts(
    tar: RemoteFile, ranges: HubRanges, folder: Path, progress: Progress
) -> Iterator[tuple[ClipPart, RemotePart]]:
    progress.start(f"Indexing {tar.name}", max(tar.size // MIB, 1), "MiB")
    seen = 0
    with closing(TarIndex(ranges, tar, folder).members()) as members:
        for member in members:
            progress.advance(member.next_header // MIB - seen // MIB)
            seen = member.next_header
            part = part_of(PurePosixPath(tar.name).parent / member.path)
            if part is not None:
                yield part, RemotePart(tar.name, member.offset, member.size)
    progress.finish()


def _add(scene: ReleasedScene, part: ClipPart, remote: RemotePart, listing: Listing) -> None:
    if part.index >= NUM_FOLDERS:
        raise InputError(
            f"clip {part.name!r} lies in folder {part.index}; the layout has 0 to "
            f"{NUM_FOLDERS - 1}",
            where=f"{listing.page}: {remote.tar}",
            fix="pull it whole, without --scenes, and look at it",
        )
    parts = scene.clips.setdefault(part.index, {})
    if part.part in parts:
        raise InputError(
            f"{part.part} of clip {part.index}/{part.name} is there twice, in "
            f"{parts[part.part].tar} too",
            where=f"{listing.page}: {remote.tar}",
            fix="pull another revision, or ask who published it",
        )
    parts[part.part] = remote
    if remote.tar not in scene.tars:
        scene.tars.append(remote.tar)


def _is_enough(chosen: Sequence[ReleasedScene], choice: PartChoice) -> bool:
    """Return whether no further scene is needed."""
    if choice.num_scenes is not None:
        return len(chosen) >= choice.num_scenes
    are_names = all(not set(name) & set("*?[") for name in choice.scenes)
    names = {name for scene in chosen for name in (scene.scene_id, scene.name)}
    return bool(choice.scenes) and are_names and set(choice.scenes) <= names


def _require_any(chosen: Sequence[ReleasedScene], first: ReleasedScene) -> None:
    if not chosen:
        raise InputError(
            f"the first scene, {first.scene_id}, has {first.num_bytes / 1e9:.3f} GB",
            where="--max-gb",
            fix="allow more, or leave camera paths out (--trajectories)",
        )
