"""Ask before anything is fetched."""

from __future__ import annotations

import sys

import typer


def require_consent(yes: bool) -> None:
    """Go on if `yes`, or if whoever sits at the terminal agrees to size and licence.

    Raises:
        InputError: nobody is there to ask.
        Exit: the answer is no.
    """
    from lyra_data.engine.errors import InputError

    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(
            "nothing was fetched: nobody is there to confirm the size and the licence above",
            fix="run the same command with --yes",
        )
    if not typer.confirm("Fetch these files, and accept their licence?", err=True):
        raise typer.Exit(1)
