"""Consent: people confirm what is fetched or published, or say beforehand that they do."""

from __future__ import annotations

import sys

import typer

FETCH = "Fetch these files, and accept their licence?"
NOT_FETCHED = "nothing was fetched: nobody is there to confirm the size and the licence above"


def require_consent(yes: bool, *, question: str = FETCH, refusal: str = NOT_FETCHED) -> None:
    """Go on if `yes`, or if whoever sits at the terminal agrees; a no ends with exit code 1.

    Args:
        refusal: what was not done and why, where nobody is there to answer.

    Raises:
        InputError: nobody is there to answer.
    """
    from lyra_data.engine.errors import InputError

    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(refusal, fix="run the same command with --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
