"""Records of everything that was asked of the server, for a test to count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Served(NamedTuple):
    """An answer with bytes of a large file."""

    name: str
    first: int
    num_bytes: int


class RequestRecord(NamedTuple):
    """A request that was answered; status 0 where the connection was cut."""

    method: str
    path: str
    status: int
    time: float
    seconds: float
    account: str


@dataclass(frozen=True)
class CommitRecord:
    """A commit, merge or squash: what a ref's head held from then on.

    Attributes:
        ref: `main`, another branch, or `refs/pr/1`.
        files: hash (SHA-256 of large files, else git's) by name.
    """

    repository: str
    ref: str
    oid: str
    time: float
    title: str
    files: Mapping[str, str]


@dataclass
class Records:
    """Counters.

    Attributes:
        requests: all of them, in the order of their answers.
        calls: times of API calls (paths below /api, and the LFS batch).
        commits: commits, merges and squashes of all refs, in order.
        received: bytes of bodies that arrived, by the content's hash: SHA-256 of a file in LFS
            mode, the xorb's hash in Xet mode. Bytes of cut uploads count too.
        finished: uploads that arrived whole, by the same hash.
        resent: bytes of finished contents that arrived again, by the same hash; in Xet mode also
            chunks that were part of a finished file.
        served: every answer with a large file's bytes: (name, first byte, bytes sent).
        bytes_served: bytes of file contents by (repository, name), small files too; bytes of
            xorbs by ("xorb", hash).
        range_requests: requests for a part of a file.
        tokens_elsewhere: tokens that arrived at the storage's host.
    """

    requests: list[RequestRecord] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    commits: list[CommitRecord] = field(default_factory=list)
    received: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    resent: Counter[str] = field(default_factory=Counter)
    served: list[Served] = field(default_factory=list)
    bytes_served: Counter[tuple[str, str]] = field(default_factory=Counter)
    range_requests: list[Served] = field(default_factory=list)
    tokens_elsewhere: list[str] = field(default_factory=list)

    def receive(self, content: str, num_bytes: int) -> None:
        self.received[content] += num_bytes
        if self.finished[content]:
            self.resent[content] += num_bytes

    def heads(self, repository: str, ref: str = "main") -> list[Mapping[str, str]]:
        """Return what the head of a ref held, one entry a commit, oldest first."""
        return [
            commit.files
            for commit in self.commits
            if (commit.repository, commit.ref) == (repository, ref)
        ]

    def most_commits_an_hour(self) -> int:
        """Return the commits of the busiest hour in any repository."""
        names = {commit.repository for commit in self.commits}
        return max(
            (
                _most_within(3600.0, [c.time for c in self.commits if c.repository == name])
                for name in names
            ),
            default=0,
        )

    def most_calls_in_five_minutes(self) -> int:
        return _most_within(300.0, self.calls)

    def total_served(self, repository: str | None = None) -> int:
        """Return the bytes of file contents that were sent, of all repositories or of one."""
        return sum(
            num for (owner, _), num in self.bytes_served.items() if repository in (None, owner)
        )

    def clear(self) -> None:
        """Forget what was asked so far; what is stored stays known as finished."""
        finished = self.finished
        self.__init__()
        self.finished = finished


def _most_within(seconds: float, times: Sequence[float]) -> int:
    ordered, begin, most = sorted(times), 0, 0
    for end, time in enumerate(ordered):
        while ordered[begin] <= time - seconds:
            begin += 1
        most = max(most, end - begin + 1)
    return most
