"""Give the parts of chosen clips of a release as files, fetched when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lyra_data.dataset.convert.lyra_layout import SUFFIXES
from lyra_data.dataset.convert.lyra_scenes import ClipFiles, LyraClip, LyraScene, StoredPart
from lyra_data.dataset.convert.lyra_source import named_as_origins
from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.hub.errors import AGAIN, DownloadError
from lyra_data.hub.listing import NOT_STATED, Listing
from lyra_data.hub.ranges import HubRanges
from lyra_data.sharing.pulling.released_scenes import ReleasedScene, RemotePart


class RemoteScenes:
    """Chosen scenes of a release, as `convert_from_lyra` takes them.

    Attributes:
        path: what messages call the release.
        facts: what the provenance of every view says of it.
    """

    def __init__(
        self, listing: Listing, ranges: HubRanges, chosen: Sequence[ReleasedScene], scratch: Path
    ) -> None:
        self.path = listing.page
        self.facts: Mapping[str, str] = {
            "source_repository": listing.repository,
            "source_revision": listing.revision,
            "source_licence": "" if listing.licence == NOT_STATED else listing.licence,
        }
        self._ranges, self._chosen, self._scratch = ranges, chosen, scratch
        self._hashes = {file.name: file.sha256 or listing.revision for file in listing.files}

    @property
    def num_clips(self) -> int:
        return sum(len(scene.clips) for scene in self._chosen)

    def scenes(self) -> Iterator[LyraScene]:
        """Yield the scenes; the files of one are removed when the next one is asked for."""
        for scene in self._chosen:
            clips = [
                LyraClip(index, {name: self._stored(part) for name, part in parts.items()})
                for index, parts in scene.clips.items()
            ]
            yield LyraScene(scene.root, scene.name, scene.scene_id, tuple(clips))
            for parts in scene.clips.values():
                for name, part in parts.items():
                    self._file(part, name).unlink(missing_ok=True)

    @contextmanager
    def files_of(self, scene: LyraScene, clip: LyraClip) -> Iterator[ClipFiles]:
        """Fetch the parts of a clip that are not there yet.

        Nothing says how the bytes of a part should be. So where a clip cannot be read it is fetched
        once more: the bytes that arrived may have been others.

        Raises:
            DownloadError: the Hub refuses or cannot be reached, or the bytes had arrived altered.
            InputError: the clip cannot be read, and is so in the release.
        """
        (released,) = (
            one for one in self._chosen if (one.root, one.name) == (scene.root, scene.name)
        )
        parts = released.clips[clip.index]
        files = {name: self._file(part, name) for name, part in parts.items()}
        self._fetch({name: part for name, part in parts.items() if not files[name].is_file()})
        origins = {
            str(files[name]): f"{self.path}: {part.tar}: {clip.index}/{name}/{scene.name}"
            for name, part in parts.items()
        }
        try:
            with named_as_origins(origins):
                yield files
        except InputError as error:
            before = {name: sha256_of_bytes(file.read_bytes()) for name, file in files.items()}
            self._fetch(parts)
            after = {name: sha256_of_bytes(file.read_bytes()) for name, file in files.items()}
            if before == after:
                raise
            raise DownloadError(
                f"the clip arrived altered ({error.what})", where=error.where, fix=AGAIN
            ) from error

    def _stored(self, part: RemotePart) -> StoredPart:
        """Return what names the bytes of a part: the tar's hash and where they lie in it."""
        return StoredPart(Path("/hub") / self._hashes[part.tar], part.offset, part.size, 0)

    def _file(self, part: RemotePart, name: str) -> Path:
        return self._scratch / f"{self._hashes[part.tar][:16]}-{part.offset}{SUFFIXES[name]}"

    def _fetch(self, parts: Mapping[str, RemotePart]) -> None:
        ranges = [(part.tar, part.offset, part.offset + part.size) for part in parts.values()]
        for (name, part), data in zip(parts.items(), self._ranges.read_all(ranges), strict=True):
            with write_atomically(self._file(part, name)) as temporary:
                temporary.write_bytes(data)
