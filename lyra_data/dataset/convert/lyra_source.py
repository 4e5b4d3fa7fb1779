"""Find the clips of a source in Lyra's layout, in its folders and tars, and where their parts are.

They are kept in a small database on the disk, so that memory does not grow with it.
"""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from lyra_data.dataset.convert.lyra_layout import NUM_FOLDERS, SUFFIXES, ClipPart, part_of
from lyra_data.dataset.convert.lyra_scenes import ClipFiles, LyraClip, LyraScene, StoredPart
from lyra_data.dataset.convert.tar_members import tar_members
from lyra_data.engine.atomic import temporary_folder
from lyra_data.engine.errors import InputError, LyraError
from lyra_data.engine.foreign_files import raise_error
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.engine.names import is_safe_name

_TABLE = """CREATE TABLE parts (
    root TEXT, name TEXT, number INTEGER, part TEXT,
    container TEXT, offset INTEGER, size INTEGER, changed INTEGER,
    PRIMARY KEY (root, name, number, part)
) WITHOUT ROWID"""
_SHARED = """SELECT scene_id FROM (
    SELECT DISTINCT root, name,
        CASE root WHEN '' THEN name ELSE replace(root, '/', '-') || '-' || name END AS scene_id
    FROM parts WHERE part = 'rgb'
) GROUP BY scene_id HAVING COUNT(*) > 1"""
"""Ids that several scenes would have."""

_PIECE = 1 << 22
MAX_PLAIN_LENGTH = 100
"""Characters that are kept of a name that no scene may have."""


class LyraSource:
    """The clips below a folder or in a tar, found once.

    Raises:
        InputError: there is no such file or folder, no clip in it, a part is there twice, a folder
            has a number beyond 11, or a tar is refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = ExitStack()
        folder = self._open.enter_context(temporary_folder())
        self._table = sqlite3.connect(folder / "parts.sqlite")
        self._table.execute("PRAGMA synchronous = OFF")
        self._table.execute(_TABLE)
        try:
            self._find()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LyraSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._table.close()
        self._open.close()

    @property
    def num_clips(self) -> int:
        return self._count("SELECT COUNT(*) FROM parts WHERE part = 'rgb'")

    @property
    def num_scenes(self) -> int:
        query = "SELECT DISTINCT root, name FROM parts WHERE part = 'rgb'"
        return self._count(f"SELECT COUNT(*) FROM ({query})")

    def scenes(self) -> Iterator[LyraScene]:
        """Yield all scenes by root and name; a clip is whatever has a video."""
        shared = {scene_id for (scene_id,) in self._table.execute(_SHARED)}
        rows = self._table.execute("SELECT * FROM parts ORDER BY root, name, number, part")
        for (root, name), group in itertools.groupby(rows, key=lambda row: row[:2]):
            clips = []
            for number, parts in itertools.groupby(group, key=lambda row: row[2]):
                by_name = {row[3]: StoredPart(Path(row[4]), *row[5:]) for row in parts}
                if "rgb" in by_name:
                    clips.append(LyraClip(number, by_name))
            if clips:
                yield LyraScene(root, name, scene_id_of(root, name, shared), tuple(clips))

    @staticmethod
    def files_of(scene: LyraScene, clip: LyraClip) -> AbstractContextManager[ClipFiles]:
        """Give the parts of a clip as files, as `as_files` does; other processes can, too."""
        return as_files(clip, scene.name)

    @property
    def facts(self) -> Mapping[str, str]:
        """Return what the provenance of every view says of the source: nothing is known."""
        return {}

    def keep(self, scene: LyraScene) -> None:
        """Forget all other scenes."""
        self._table.execute(
            "DELETE FROM parts WHERE root != ? OR name != ?", (scene.root, scene.name)
        )
        self._table.commit()

    def _count(self, query: str) -> int:
        return self._table.execute(query).fetchone()[0]

    def _find(self) -> None:
        if not self.path.exists():
            raise InputError(
                "there is no such file or folder",
                where=str(self.path),
                fix="give a folder of Lyra's data, one of its tars, or a dataset of lyra-data",
            )
        if self.path.is_dir():
            self._find_below(self.path)
        else:
            self._find_in_tar(self.path, PurePosixPath())
        self._table.commit()
        if not self.num_clips:
            raise InputError(
                "there is neither a clip of Lyra's (INDEX/rgb/NAME.mp4, also in tars) nor a "
                "manifest of a dataset",
                where=str(self.path),
                fix="give the folder that holds the folders 0 to 5, or one above it",
            )

    def _find_below(self, folder: Path) -> None:
        visited = {_identity(folder)}
        for directory, below, files in os.walk(folder, followlinks=True, onerror=raise_error):
            # Folders before links to folders, so that what is there twice has its own name.
            below.sort(key=lambda name: ((Path(directory) / name).is_symlink(), name))
            below[:] = [name for name in below if _is_new(Path(directory) / name, visited)]
            for file in sorted(files):
                path = Path(directory) / file
                relative = PurePosixPath(path.relative_to(folder).as_posix())
                if path.suffix == ".tar":
                    self._find_in_tar(path, relative.parent)
                elif part := part_of(relative):
                    facts = path.stat()
                    self._add(part, StoredPart(path, -1, facts.st_size, facts.st_mtime_ns))

    def _find_in_tar(self, path: Path, above: PurePosixPath) -> None:
        changed = path.stat().st_mtime_ns
        for member in tar_members(path):
            if part := part_of(above / member.path):
                self._add(part, StoredPart(path, member.offset, member.size, changed))

    def _add(self, part: ClipPart, stored: StoredPart) -> None:
        if part.index >= NUM_FOLDERS:
            raise InputError(
                f"clip {part.name!r} lies in folder {part.index}; the layout has 0 to "
                f"{NUM_FOLDERS - 1}",
                where=str(stored.container),
                fix="give the data as it was released; six paths, and six of the reversed motion",
            )
        row = (part.root, part.name, part.index, part.part)
        try:
            self._table.execute(
                "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, str(stored.container), stored.offset, stored.size, stored.changed),
            )
        except sqlite3.IntegrityError:
            query = "SELECT container FROM parts WHERE root=? AND name=? AND number=? AND part=?"
            (other,) = self._table.execute(query, row).fetchone()
            raise InputError(
                f"{part.part} of clip {part.index}/{part.name} is there twice: in {other} too",
                where=str(stored.container),
                fix="give each clip once: not its tar and what was unpacked from it",
            ) from None


def scene_id_of(root: str, name: str, shared: Collection[str] = ()) -> str:
    """Return the name that a scene has in a dataset, made safe as a file's name where it is not."""
    scene_id = "-".join((*root.split("/"), name)) if root else name
    if scene_id not in shared and is_safe_name(scene_id):
        return scene_id
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", scene_id).lstrip(".")[:MAX_PLAIN_LENGTH]
    full = f"{root}/{name}" if scene_id in shared else scene_id
    return f"{plain}-{sha256_of_bytes(full.encode(errors='surrogateescape'))[:16]}"


def _identity(folder: Path) -> tuple[int, int]:
    """Return what names a folder, whatever path or link leads to it."""
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _is_new(folder: Path, visited: set[tuple[int, int]]) -> bool:
    """Return whether a folder was not come by yet, and note that it was now."""
    identity = _identity(folder)
    is_new = identity not in visited
    visited.add(identity)
    return is_new


@contextmanager
def as_files(clip: LyraClip, name: str) -> Iterator[ClipFiles]:
    """Give the parts of a clip as files: those in a tar are copied for as long as this lasts.

    An error that names a copy is raised with the tar's name instead.

    Raises:
        InputError: a tar is cut.
    """
    with temporary_folder() as folder:
        files, copies = {}, {}
        for part, stored in clip.parts.items():
            if stored.offset < 0:
                files[part] = stored.container
                continue
            path = folder / f"{part}{SUFFIXES[part]}"
            _copy(stored, path)
            files[part] = path
            copies[str(path)] = f"{stored.container}: {clip.index}/{part}/{name}{SUFFIXES[part]}"
        with named_as_origins(copies):
            yield files


@contextmanager
def named_as_origins(origins: Mapping[str, str]) -> Iterator[None]:
    """Raise errors that name a copy with the name of what it is a copy of."""
    try:
        yield
    except LyraError as error:
        where = error.where or ""
        for copy, origin in origins.items():
            where = where.replace(copy, origin)
        raise type(error)(error.what, where=where, fix=error.fix) from error


def _copy(stored: StoredPart, path: Path) -> None:
    left = stored.size
    with stored.container.open("rb") as source, path.open("wb") as target:
        source.seek(stored.offset)
        while left and (piece := source.read(min(left, _PIECE))):
            target.write(piece)
            left -= len(piece)
    if left:
        raise InputError(
            f"the tar is cut: {left} bytes are missing",
            where=str(stored.container),
            fix="copy it again",
        )
