"""The history of a repository: commits, branches, tags and pull requests, as git has them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.hub.server.contents import Entry
from tests.hub.server.refusals import RefusalError

Tree = Mapping[str, Entry]


@dataclass(frozen=True)
class Commit:
    """A whole state of the files, with what came before."""

    oid: str
    parents: tuple[str, ...]
    files: Tree
    title: str
    message: str
    author: str
    time: float


@dataclass
class Discussion:
    """A discussion, or a pull request with a branch of its own, refs/pr/NUMBER.

    Attributes:
        status: draft, open, closed or merged.
        base: the commit of main at which a pull request began.
    """

    number: int
    title: str
    author: str
    time: float
    is_pull_request: bool
    status: str
    base: str = ""
    merge_commit: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


class History:
    """Commits and the names that point at them.

    Attributes:
        branches, tags, pulls: commit ids by name, or by number.
    """

    def __init__(self) -> None:
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.pulls: dict[int, str] = {}
        self.discussions: dict[int, Discussion] = {}

    def commit_of(self, revision: str) -> Commit:
        """Return the commit that a branch, tag, pull request or id names."""
        return self.commits[self._oid_of(revision)]

    def _oid_of(self, revision: str) -> str:
        number = pull_number(revision)
        for oid in (
            self.pulls.get(number) if number is not None else None,
            self.branches.get(revision.removeprefix("refs/heads/")),
            self.tags.get(revision.removeprefix("refs/tags/")),
            revision if revision in self.commits else None,
        ):
            if oid is not None:
                return oid
        raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def head(self, ref: str) -> str:
        """Return the commit id of a branch or pull request: what can be committed to."""
        number = pull_number(ref)
        oid = self.pulls.get(number) if number is not None else self.branches.get(ref)
        if oid is None:
            raise RefusalError(404, f"Invalid rev id: {ref}", "RevisionNotFound")
        return oid

    def add(
        self,
        ref: str,
        files: Tree,
        parents: tuple[str, ...],
        *,
        title: str,
        message: str = "",
        author: str,
        time: float,
    ) -> Commit:
        """Make a commit and move a branch or pull request to it."""
        listing = "".join(f"{name}\0{files[name].git_hash}\n" for name in sorted(files))
        words = f"{listing}\0{parents}\0{title}\0{message}\0{author}\0{len(self.commits)}"
        oid = hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()
        commit = Commit(oid, parents, dict(files), title, message, author, time)
        self.commits[oid] = commit
        number = pull_number(ref)
        if number is None:
            self.branches[ref] = oid
        else:
            self.pulls[number] = oid
        return commit

    def open_discussion(
        self, title: str, author: str, time: float, *, is_pull_request: bool, status: str
    ) -> Discussion:
        number = len(self.discussions) + 1
        discussion = Discussion(number, title, author, time, is_pull_request, status)
        if is_pull_request:
            discussion.base = self.pulls[number] = self.branches["main"]
        self.discussions[number] = discussion
        return discussion

    def merged_files(self, discussion: Discussion) -> tuple[Tree, list[str]]:
        """Return main's files with a pull request's changes, and the files that both changed."""
        base = self.commits[discussion.base].files
        ours = self.commits[self.branches["main"]].files
        theirs = self.commits[self.pulls[discussion.number]].files
        merged, conflicts = dict(ours), []
        for name in base.keys() | theirs.keys():
            if theirs.get(name) == base.get(name):
                continue
            if ours.get(name) not in (base.get(name), theirs.get(name)):
                conflicts.append(name)
            elif name in theirs:
                merged[name] = theirs[name]
            else:
                merged.pop(name, None)
        return merged, sorted(conflicts)

    def ancestors(self, oid: str) -> Iterator[Commit]:
        """Go through a commit and what came before it, each once, the newest first."""
        waiting, seen = [oid], {oid}
        while waiting:
            commit = self.commits[waiting.pop(0)]
            yield commit
            for parent in commit.parents:
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)


def pull_number(ref: str) -> int | None:
    match = re.fullmatch(r"refs/pr/(\d+)", ref)
    return int(match[1]) if match else None


def folders_of(files: Tree) -> set[str]:
    """Return every folder that files lie in."""
    return {
        "/".join(parts[:depth])
        for name in files
        for parts in [name.split("/")]
        for depth in range(1, len(parts))
    }
