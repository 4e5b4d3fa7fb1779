"""The terminal: consoles that print what they are given, brackets and colons included."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def terminal(*, stderr: bool = False) -> Console:
    """Return a console for standard output, or standard error, that reads no markup in texts.

    Paths and names hold brackets, `data [v1]`, and colons, `clip:car:`: rich would take them for
    styles and emoji. What is to be styled is a rich Text, which says so itself.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False)
