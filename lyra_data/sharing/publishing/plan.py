"""Plan: what a publication would do, without writing anything on the Hub or on this disk."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lyra_data.engine.progress import Progress, silent
from lyra_data.hub.errors import UploadError
from lyra_data.hub.limits import CALLS, COMMITS
from lyra_data.hub.repository import HubRepository
from lyra_data.hub.retries import Clock
from lyra_data.sharing.publishing.changes import Changes, batches, changes_against
from lyra_data.sharing.publishing.publication import Publication
from lyra_data.sharing.publishing.sending import BYTES_A_GROUP
from lyra_data.sharing.publishing.upload import client_for
from lyra_data.sharing.publishing.upload_bar import UploadBar
from lyra_data.sharing.publishing.verify import differences_at_tag

UNREACHED_PATIENCE_SECONDS = 5.0
ENTRIES_A_PAGE = 1000
"""Entries in one answer of a listing of files."""

State = Literal["new", "changed", "there"]


@dataclass(frozen=True)
class PlannedFile:
    """A file and what becomes of it.

    Attributes:
        state: "there" is not sent again.
    """

    path: str
    size: int
    state: State


@dataclass(frozen=True)
class Plan:
    """The steps of a publication that has not begun.

    Attributes:
        unknown_because: why the Hub could not be asked; then all files count as new. Else None.
        exists: whether the repository does.
        tag: "free", "same" (published already: nothing to do) or "taken" (by other content: it
            will be refused).
        removed: paths that will be gone from main.
        num_commits: on main and on a pull request, its merge among them.
        num_calls: of the Hub's interface, about.
        seconds_by_limits: that the Hub's limits make it take at least, calls of late counted.
    """

    publication: Publication
    unknown_because: str | None
    exists: bool
    tag: Literal["free", "same", "taken"]
    files: tuple[PlannedFile, ...]
    removed: tuple[str, ...]
    num_commits: int
    num_calls: int
    seconds_by_limits: float

    @property
    def bytes_to_send(self) -> int:
        """Bytes of the files that are not there, at most: contents that the Hub knows from
        elsewhere are not sent."""
        return sum(file.size for file in self.files if file.state != "there")


def plan(
    publication: Publication,
    *,
    state: Path,
    progress: Progress = silent,
    clock: Clock | None = None,
) -> Plan:
    """Return what `publish` would do now.

    Args:
        state: as for `publish`; its record of calls is read. The calls of the plan itself are not
            recorded: they are three.
    """
    bar = UploadBar(progress)
    clock = clock or Clock()
    with tempfile.TemporaryDirectory() as folder:
        client = client_for(
            publication,
            Path(folder),
            bar,
            clock=clock,
            unreached_patience_seconds=UNREACHED_PATIENCE_SECONDS,
        )
        bar.compare()
        unknown, exists, tag, remote = None, False, "free", {}
        try:
            with client.session():
                repository = HubRepository(client)
                refs = repository.refs()
                exists = refs is not None
                if refs is not None and publication.tag in refs.tags:
                    remote = repository.files(publication.tag)
                    is_other = differences_at_tag(publication, repository, remote)
                    tag = "taken" if is_other else "same"
                if refs is not None and tag != "same":
                    remote = repository.files(refs.main)
        except UploadError as error:
            unknown = error.what
        bar.end()
    changes = changes_against(publication, remote)
    num_commits, num_calls = _counts(publication, changes, exists=exists, is_done=tag == "same")
    record = client_for(publication, state, bar, clock=clock).record
    return Plan(
        publication=publication,
        unknown_because=unknown,
        exists=exists,
        tag=tag,  # type: ignore[arg-type]
        files=tuple(
            PlannedFile(file.path, file.size, _state(file in pending, file.path in remote))
            for pending in [frozenset(changes.pending)]
            for file in publication.files
        ),
        removed=changes.removed,
        num_commits=num_commits,
        num_calls=num_calls,
        seconds_by_limits=max(
            record.seconds_for(COMMITS, num_commits), record.seconds_for(CALLS, num_calls)
        ),
    )


def _state(is_pending: bool, is_there: bool) -> State:
    if not is_pending:
        return "there"
    return "changed" if is_there else "new"


def _counts(
    publication: Publication, changes: Changes, *, exists: bool, is_done: bool
) -> tuple[int, int]:
    """Return the commits and about the calls that the changes take."""
    pages = -(-len(publication.files) // ENTRIES_A_PAGE)
    if is_done:
        return 0, 1 + pages
    asking = 2 + (0 if exists else 4)  # refs, the account; others of this name, making it, refs
    ending = pages + 2  # the files again, the tag, refs
    if not changes:
        return 0, asking + pages + ending
    parts = batches(changes)
    calls = 2 + sum(2 * _num_groups(part) + 1 for part in parts)  # the card is checked twice
    if len(parts) == 1:
        return 1, asking + pages + calls + ending
    # Looked for, made and read; its head and files twice; its commits, main; read, merged, read.
    around = 3 + 2 * (1 + pages) + 2 + 4
    return len(parts) + 1, asking + pages + around + calls + ending


def _num_groups(part: Changes) -> int:
    return max(-(-part.size // BYTES_A_GROUP), 1)
