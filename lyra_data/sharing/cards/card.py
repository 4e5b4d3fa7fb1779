"""A card: the text of README.md, and the files that belong to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from huggingface_hub import get_token

from lyra_data.engine.errors import InputError
from lyra_data.engine.names import is_safe_name

CARD_FOLDER = "card"
"""Folder of a repository that holds the card's pictures."""

_SECRETS = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bapi_org_[A-Za-z0-9]{20,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|://[^/\s@]+@"
)
"""Tokens of the Hub, of Amazon and of GitHub, and addresses with a user or a password."""


@dataclass(frozen=True)
class Card:
    """README.md of a repository.

    Attributes:
        files: what else is to be written for it, bytes by path in the repository; README.md is
            not among them.
    """

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)


def require_no_secret(text: str, *, where: str) -> None:
    """Refuse a text that holds a token or a password, or the token that is logged in with, whatever
    it looks like; the message does not repeat it.

    Raises:
        InputError: naming the kind of thing and its line.
    """
    token = get_token()
    own = re.compile(re.escape(token)) if token else _SECRETS
    for number, line in enumerate(text.splitlines(), 1):
        match = own.search(line) or _SECRETS.search(line)
        if match:
            raise InputError(
                f"line {number} holds what looks like a token or a password "
                f"({match[0][:3]}..., {len(match[0])} characters)",
                where=where,
                fix="remove it where the card's facts come from: params.yaml, prompts, provenance; "
                "and make the token invalid, for it stands in files",
            )


def require_repository(repository: str | None) -> None:
    """Refuse a repository that is not OWNER/NAME: it becomes part of commands and addresses.

    Raises:
        InputError: it is something else.
    """
    parts = (repository or "owner/name").split("/")
    if len(parts) != 2 or not all(map(is_safe_name, parts)):
        raise InputError(
            f"repository {repository!r} is not OWNER/NAME",
            where="publish",
            fix="write it as the Hub's address has it, e.g. you/lyra-scenes",
        )


def require_version(version: str | None) -> None:
    """Refuse a version that is no tag's name.

    Raises:
        InputError: it is something else.
    """
    if version is not None and not is_safe_name(version):
        raise InputError(
            f"version {version!r} is no name of a tag",
            where="publish",
            fix="use letters, digits, '.', '-' and '_', e.g. v1.0",
        )
