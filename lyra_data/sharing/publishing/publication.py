"""A publication: the files that one version of a repository of the Hub is to hold."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import files_below
from lyra_data.engine.hashing import content_key, sha256_of_bytes, sha256_of_file
from lyra_data.engine.names import checked_path, inside, shortened
from lyra_data.hub.listing import RemoteFile

REPOSITORY_TYPES = ("dataset", "model", "space")

KEPT = (".gitattributes", ".gitignore")
"""Files of the repository that are the Hub's or its owner's: they stay, whatever is published."""

MAX_MESSAGE_LENGTH = 80
"""Characters; the Hub takes 200 in a title, and the publication's mark follows."""

MAX_FILES = 100_000
MAX_FILES_IN_FOLDER = 10_000
MAX_FILE_BYTES = 200 * 10**9
"""The Hub's limits."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_IN_DVC_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")
"""The end of a path in a cache of DVC: contents are named by their hash there."""

_FOREIGN_FOLDERS = (".git", ".cache")


@dataclass(frozen=True)
class PublishedFile:
    """A file as it is to stand in the repository.

    Attributes:
        path: in the repository, with "/" between parts.
        source: the file, or its bytes.
        size: in bytes.
    """

    path: str
    source: Path | bytes = field(repr=False)
    size: int
    sha256: str

    def is_same(self, remote: RemoteFile | None) -> bool:
        """Return whether the Hub's file holds the same bytes: it states a sha256 of large files,
        git's name of small ones."""
        if remote is None or remote.size != self.size:
            return False
        if remote.sha256 is not None:
            return remote.sha256 == self.sha256
        return remote.git_hash == self.git_hash()

    def git_hash(self) -> str:
        """Return the name that git gives the content."""
        content = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        head = b"blob %d\0" % len(content)
        return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Publication:
    """One version of a repository.

    Attributes:
        repository: OWNER/NAME.
        repository_type: "dataset", "model" or "space".
        tag: the version, e.g. "v1.0.0"; it never moves.
        files: all files of this version. Others that the repository holds are removed from its
            main branch (older versions keep them), but those that match `kept`.
        licence: SPDX id, or "other".
        message: first words of the commits' titles.
        private: whether a repository that has to be made is seen by its owners alone.
        facts: whatever the receipt is to hold beside: hashes of the dataset, of the DVC lock.
        kept: patterns of paths that stay as they are on the Hub.
    """

    repository: str
    repository_type: str
    tag: str
    files: tuple[PublishedFile, ...]
    licence: str
    message: str
    private: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] = KEPT

    def __post_init__(self) -> None:
        _check_names(self)
        _check_paths(self)

    @property
    def key(self) -> str:
        """Hash of all that decides what stands at the tag; equal for the same files again."""
        return content_key(
            {
                "repository": self.repository,
                "repository_type": self.repository_type,
                "tag": self.tag,
                "files": {file.path: file.sha256 for file in self.files},
                "kept": self.kept,
            }
        )

    @property
    def mark(self) -> str:
        """The end of titles of commits and pull requests, by which they are known again."""
        return f"[lyra-data {self.tag} {self.key[:16]}]"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def is_kept(self, path: str) -> bool:
        """Return whether a file of the repository stays although it is not published."""
        return any(fnmatch(path, pattern) for pattern in self.kept)


def file_of_bytes(path: str, content: bytes) -> PublishedFile:
    """Return a file that is made for the publication: a card, a picture of it."""
    return PublishedFile(path, content, len(content), sha256_of_bytes(content))


def files_of_folder(
    folder: Path,
    *,
    below: str = "",
    sha256_of: Callable[[Path], str] = sha256_of_file,
) -> tuple[PublishedFile, ...]:
    """Return every file of a folder, in order of its path.

    Links into DVC's cache are files of the folder: `cache.type symlink` makes such.

    Args:
        below: folder of the repository that they are put into, e.g. "data/".
        sha256_of: `HashCache(...).sha256` spares hashing an unchanged file again.

    Raises:
        InputError: a link leads out of the folder to somewhere else: what it leads to was not
            meant to be published.
    """
    names = sorted((path.relative_to(folder).as_posix(), path) for path in files_below(folder))
    for name, path in names:
        if not inside(folder, name) and not _IN_DVC_CACHE.search(path.resolve().as_posix()):
            raise InputError(
                "is a link that leads out of the folder to be published",
                where=str(path),
                fix="put the file itself in its place, or remove the link",
            )
    return tuple(
        PublishedFile(f"{below}{name}", path, path.stat().st_size, sha256_of(path))
        for name, path in names
    )


def _check_names(publication: Publication) -> None:
    owner, _, name = publication.repository.partition("/")
    is_name = all(_REPOSITORY.fullmatch(part) for part in (owner, name))
    if (
        not is_name
        or len(publication.repository) > 96
        or re.search(r"--|\.\.", publication.repository)
        or name.endswith(".git")
    ):
        raise InputError(
            f"{shortened(publication.repository)} is no name that the Hub allows",
            where="repository",
            fix="write OWNER/NAME, each of letters, digits, '-', '_' and '.', 96 at most together, "
            "not beginning or ending with '-' or '.', without '--' and '..'",
        )
    if publication.repository_type not in REPOSITORY_TYPES:
        raise InputError(
            f"{shortened(publication.repository_type)} is no type of repository",
            where="repository type",
            fix=f"choose one of {', '.join(REPOSITORY_TYPES)}",
        )
    message = publication.message
    if not message.strip() or len(message) > MAX_MESSAGE_LENGTH or not message.isprintable():
        raise InputError(
            f"{shortened(message)} is no message",
            where="message",
            fix=f"write one line of at most {MAX_MESSAGE_LENGTH} characters",
        )
    tag = publication.tag
    if (
        not _TAG.fullmatch(tag)
        or ".." in tag
        or tag.endswith((".lock", "."))
        or tag in ("main", "HEAD")
        or _COMMIT.fullmatch(tag)
    ):
        raise InputError(
            f"{shortened(tag)} is no tag",
            where="version",
            fix="write a version such as v1.0.0: letters, digits, '.', '-' and '_'",
        )


def _check_paths(publication: Publication) -> None:
    where = f"files of {publication.repository}"
    if not publication.files:
        raise InputError("there is nothing to publish", where=where, fix="make the files first")
    folders: Counter[str] = Counter()
    for file in publication.files:
        path = PurePosixPath(checked_path(file.path, noun="path", where=where, error=InputError))
        if path.as_posix() != file.path or any(part in _FOREIGN_FOLDERS for part in path.parts):
            raise InputError(
                f"{shortened(file.path)} cannot stand in a repository",
                where=where,
                fix="write plain relative paths; no folder is named .git or .cache",
            )
        if file.size > MAX_FILE_BYTES:
            raise InputError(
                f"{file.path} has {file.size / 1e9:,.0f} GB; the Hub takes 200 GB a file",
                where=where,
                fix="write smaller shards: at most 500 MB each is best",
            )
        folders[path.parent.as_posix()] += 1
    paths = Counter(file.path for file in publication.files)
    parents = {parent.as_posix() for path in paths for parent in PurePosixPath(path).parents}
    twice = next((path for path, count in paths.items() if count > 1 or path in parents), None)
    if twice is not None:
        raise InputError(
            f"{shortened(twice)} stands twice, or for a file and a folder",
            where=where,
            fix="give each file a path of its own",
        )
    folder, count = folders.most_common(1)[0]
    if count > MAX_FILES_IN_FOLDER or len(paths) > MAX_FILES:
        raise InputError(
            f"{len(paths):,} files, {count:,} of them in the folder {folder}; the Hub takes "
            f"{MAX_FILES:,} a repository and {MAX_FILES_IN_FOLDER:,} a folder",
            where=where,
            fix="write larger shards",
        )
