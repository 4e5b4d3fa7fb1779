"""Inputs of a project: which files belong to one, brought in, and compared by content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lyra_data.engine.atomic import is_partial, link_or_copy
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import require_regular_file
from lyra_data.engine.hashing import content_key, sha256_of_file

COPIED_BYTES = 64 * 2**20
"""Inputs of up to so many bytes are copied, so that whoever edits the original in place does not
change what a project was made of; larger ones are linked, for they may be many gigabytes."""

RECORD = "lyra-project.json"
"""Folder, in a project's own, of what the project was made of."""


def files_below(folder: Path) -> dict[str, Path]:
    """Return an input's files by their path relative to `folder`, sorted; links are followed.

    Projects that lie inside it are no part of it (`lyra-data run .` makes one there), nor is
    unfinished work. A link to a folder that it lies in is left out: it would never end.

    Raises:
        InputError: a link leads nowhere, or a pipe, a socket or a device is among the files.
    """
    return dict(sorted(_files(folder, "", frozenset())))


def bring_in(path: Path, target: Path) -> None:
    """Copy an input's file, or every file of its folder, to `target`; link a large input's.

    Where links are refused, all is copied.

    Raises:
        InputError: as `files_below`.
    """
    if not path.is_dir():
        require_regular_file(path)
        _taker([path])(path, target)
        return
    files = files_below(path)
    take = _taker(files.values())
    target.mkdir()
    for name, file in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        take(file, target / name)


def _taker(files: Iterable[Path]) -> Callable[[Path, Path], object]:
    """Return what brings an input's files in: a copy, or a link where they are large together."""
    is_large = sum(file.stat().st_size for file in files) > COPIED_BYTES
    return link_or_copy if is_large else shutil.copyfile


def hash_of_input(path: Path) -> str:
    """Return the sha256 of a file, or one hash of the names and bytes of all files of a folder."""
    if not path.is_dir():
        return sha256_of_file(path)
    return content_key({name: sha256_of_file(file) for name, file in files_below(path).items()})


def same_content(one: Path, other: Path) -> bool:
    """Return whether two inputs hold the same bytes under the same names.

    Files that are links of one another are not read.
    """
    if one.is_dir() != other.is_dir():
        return False
    if not one.is_dir():
        return _same_file(one, other)
    ones, others = files_below(one), files_below(other)
    return ones.keys() == others.keys() and all(
        _same_file(file, others[name]) for name, file in ones.items()
    )


def _same_file(one: Path, other: Path) -> bool:
    if one.samefile(other):
        return True
    same_size = one.stat().st_size == other.stat().st_size
    return same_size and sha256_of_file(one) == sha256_of_file(other)


def _files(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files of `folder`; `above` are the real paths of the folders that lead to it."""
    above = above | {os.path.realpath(folder)}
    with os.scandir(folder) as entries:
        paths = sorted(Path(entry.path) for entry in entries)
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise InputError(
                    "this link leads nowhere", where=str(path), fix="mend the link, or remove it"
                )
            require_regular_file(path)
            yield f"{prefix}{path.name}", path
        elif not _is_none_of_it(path, above):
            yield from _files(path, f"{prefix}{path.name}/", above)


def _is_none_of_it(folder: Path, above: frozenset[str]) -> bool:
    """Return whether a folder in an input is unfinished work, a project, or a link back up."""
    is_project = (folder / RECORD).is_file()
    return is_partial(folder.name) or is_project or os.path.realpath(folder) in above
