"""Changes that a publication makes in a repository, cut into commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lyra_data.engine.hashing import content_key
from lyra_data.hub.errors import UploadError
from lyra_data.hub.listing import RemoteFile
from lyra_data.sharing.publishing.publication import Publication, PublishedFile

FILES_A_COMMIT = 100
"""The Hub advises 50 to 100 changes a commit; it gives up on one after 60 s."""

INLINE_BYTES = 10 * 2**20
"""Text files up to this size may travel inside the commit itself."""

INLINE_BYTES_A_COMMIT = 48 * 2**20
"""Such bytes in a commit at most: base64 makes 64 MiB of them."""


@dataclass(frozen=True)
class Changes:
    """The difference between a publication and what a branch holds.

    Attributes:
        pending: files that are not there with this content.
        removed: paths that are there and no longer belong to it.
    """

    pending: tuple[PublishedFile, ...]
    removed: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pending) + len(self.removed)

    @property
    def size(self) -> int:
        """Bytes of the pending files: at most these are sent."""
        return sum(file.size for file in self.pending)

    @property
    def key(self) -> str:
        """Hash of the changes."""
        return content_key([{file.path: file.sha256 for file in self.pending}, self.removed])


def changes_against(publication: Publication, remote: Mapping[str, RemoteFile]) -> Changes:
    """Return what has to change on a branch that holds `remote`."""
    paths = {file.path for file in publication.files}
    return Changes(
        pending=tuple(
            file for file in publication.files if not file.is_same(remote.get(file.path))
        ),
        removed=tuple(
            sorted(path for path in remote if path not in paths and not publication.is_kept(path))
        ),
    )


def batches(changes: Changes) -> list[Changes]:
    """Return the changes as parts of which each is one commit, removals last."""
    parts: list[Changes] = []
    files: list[PublishedFile] = []
    inline = 0
    for file in changes.pending:
        own = file.size if file.size <= INLINE_BYTES else 0
        if files and (len(files) == FILES_A_COMMIT or inline + own > INLINE_BYTES_A_COMMIT):
            parts.append(Changes(tuple(files), ()))
            files, inline = [], 0
        files.append(file)
        inline += own
    room = FILES_A_COMMIT - len(files)
    if files or changes.removed[:room]:
        parts.append(Changes(tuple(files), changes.removed[:room]))
    parts.extend(
        Changes((), changes.removed[first : first + FILES_A_COMMIT])
        for first in range(room, len(changes.removed), FILES_A_COMMIT)
    )
    return parts


def refuse_touched(
    publication: Publication,
    removed: tuple[str, ...],
    before: Mapping[str, RemoteFile],
    after: Mapping[str, RemoteFile],
    *,
    page: str,
    fix: str,
) -> None:
    """Raise UploadError where somebody else changed, meanwhile, what is being published."""
    paths = {file.path for file in publication.files} | set(removed)
    ours = {file.path: file for file in publication.files}
    touched = sorted(
        path
        for path in paths
        if before.get(path) != after.get(path)
        and not (path in ours and ours[path].is_same(after.get(path)))
        and not (path not in ours and path not in after)
    )
    if touched:
        others = f" and {len(touched) - 1} more" if len(touched) > 1 else ""
        raise UploadError(
            f"{touched[0]}{others} was changed on main by somebody else meanwhile; main was left "
            "as it is",
            where=page,
            fix=fix,
        )
