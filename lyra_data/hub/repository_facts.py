"""Facts that the Hub states about a repository and its visitors."""

from __future__ import annotations

from dataclasses import dataclass


class StaleParentError(Exception):
    """The branch has moved since its head was read."""


@dataclass(frozen=True)
class Refs:
    """The commits that names stand for.

    Attributes:
        main: head of the main branch.
        tags: commit of each tag.
    """

    main: str
    tags: dict[str, str]


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the Hub knows it.

    Attributes:
        status: "draft", "open", "merged" or "closed".
        merge_commit: on main, where it is merged and the Hub says so.
    """

    number: int
    title: str
    author: str
    status: str
    merge_commit: str | None = None

    @property
    def revision(self) -> str:
        """The branch that it is filled on."""
        return f"refs/pr/{self.number}"


@dataclass(frozen=True)
class Account:
    """Who a token belongs to.

    Attributes:
        organisations: that the account is a member of.
        role: of the token: "read", "write", "fineGrained"; None where the Hub does not say.
    """

    name: str
    organisations: tuple[str, ...]
    role: str | None
