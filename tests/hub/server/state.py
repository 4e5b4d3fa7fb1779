"""The state of a Hub: accounts, repositories, contents, and what a test sets and reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.hub.server.clock import Clock
from tests.hub.server.contents import GIT_ATTRIBUTES, LARGE_FROM, Contents
from tests.hub.server.faults import Faults
from tests.hub.server.history import Commit, History, Tree
from tests.hub.server.limits import Limits
from tests.hub.server.records import CommitRecord, Records

TOKEN = "hf_of_this_test"
"""May write in the namespaces `tester` and `lab`."""
READ_TOKEN = "hf_of_this_test_that_reads_only"
OTHER_TOKEN = "hf_of_somebody_else"
"""May write in the namespace `stranger`."""

PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True)
class Account:
    name: str
    role: str = "write"
    organisations: tuple[str, ...] = ()

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.name, *self.organisations)


@dataclass
class Repository:
    """A repository.

    Attributes:
        card: what the listing states as the card's data; None: what README.md states.
        granted: names of accounts that may read it where it is gated.
    """

    kind: str
    name: str
    created: float
    private: bool = False
    gated: bool = False
    card: dict[str, Any] | None = None
    granted: set[str] = field(default_factory=set)
    history: History = field(default_factory=History)

    @property
    def key(self) -> str:
        """The name with the kind's prefix, e.g. datasets/tester/scenes."""
        return PREFIXES[self.kind] + self.name

    @property
    def namespace(self) -> str:
        return self.name.split("/")[0]

    @property
    def head(self) -> str:
        """The commit id of main."""
        return self.history.head("main")


class HubState:
    """Everything that a server holds.

    Attributes:
        repositories: by key: `tester/net`, `datasets/tester/scenes`, `spaces/tester/page`.
        accounts: by token.
        records, faults, limits, clock: see the modules of these names.
        stated: what listings say of a file instead of the truth, by name and key (`rfilename`,
            `size`, `blobId`, `lfs`).
        large_from: bytes from which on any file goes to the storage for large ones.
        page_size: entries of a page of a listing.
        multipart_from, part_bytes: LFS uploads from so many bytes on come in parts of so many.
        failures: mistakes of the server itself; `running_hub` raises the first when it ends.
        endpoint: the address, set when it is served.
    """

    def __init__(self, *, limits: Limits | None = None, seed: int = 0) -> None:
        self.repositories: dict[str, Repository] = {}
        self.accounts = {
            TOKEN: Account("tester", "write", ("lab",)),
            READ_TOKEN: Account("tester", "read", ("lab",)),
            OTHER_TOKEN: Account("stranger"),
        }
        self.contents = Contents()
        self.records = Records()
        self.limits = limits or Limits()
        self.clock = Clock()
        self.faults = Faults(seed)
        self.stated: dict[str, dict[str, Any]] = {}
        self.large_from = LARGE_FROM
        self.page_size = 1000
        self.multipart_from: int = 5 * 2**30
        self.part_bytes: int = 16 * 2**20
        self.parts: dict[str, dict[int, bytes]] = {}
        self.xet: Any = None
        self.failures: list[Exception] = []
        self.endpoint = ""

    @property
    def storage(self) -> str:
        """The address of the storage for large files: another host, for a client."""
        return self.endpoint.replace("127.0.0.1", "localhost")

    def create(self, kind: str, name: str, **settings: Any) -> Repository:
        """Make a repository with the first commit that the Hub makes."""
        repository = Repository(kind, name, self.clock.now(), **settings)
        self.repositories[repository.key] = repository
        first = {".gitattributes": self.contents.add_regular(GIT_ATTRIBUTES)}
        self.move(repository, "main", first, (), title="initial commit", author="system")
        return repository

    def add(
        self, name: str, files: Mapping[str, bytes], *, kind: str = "model", **settings: Any
    ) -> Repository:
        """Make a repository that holds `files`; settings are `private`, `gated`, `card`."""
        repository = self.create(kind, name, **settings)
        self.commit(repository, files)
        return repository

    def commit(
        self,
        repository: Repository,
        files: Mapping[str, bytes],
        *,
        deleted: Iterable[str] = (),
        ref: str = "main",
        title: str = "a commit",
    ) -> Commit:
        """Commit as somebody else would, beside the clients of the test."""
        parent = repository.history.head(ref)
        tree = dict(repository.history.commits[parent].files)
        for name in deleted:
            del tree[name]
        for name, data in files.items():
            tree[name] = self.contents.add(name, data, large_from=self.large_from)
        return self.move(repository, ref, tree, (parent,), title=title, author="somebody")

    def move(
        self, repository: Repository, ref: str, files: Tree, parents: tuple[str, ...], **words: str
    ) -> Commit:
        """Make a commit, move a ref to it, and record what its head holds now."""
        now = self.clock.now()
        commit = repository.history.add(
            ref,
            files,
            parents,
            title=words.pop("title"),
            author=words.pop("author"),
            time=now,
            **words,
        )
        hashes = {name: entry.oid for name, entry in files.items()}
        self.records.commits.append(
            CommitRecord(repository.key, ref, commit.oid, now, commit.title, hashes)
        )
        return commit

    def files(self, key: str, revision: str = "main") -> dict[str, bytes]:
        """Return all bytes of a revision, by name."""
        tree = self.repositories[key].history.commit_of(revision).files
        return {name: self.contents.read(entry) for name, entry in tree.items()}
