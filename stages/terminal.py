"""The terminal: consoles that print what they are given, brackets and colons included."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that move the cursor, name the window or turn the direction of writing."""


def terminal(*, stderr: bool = False) -> Console:
    """Return a console for standard output, or standard error, that reads no markup in texts.

    Paths and names hold brackets, `data [v1]`, and colons, `clip:car:`: rich would take them for
    styles and emoji. What is to be styled is a rich Text, which says so itself. Licences, names and
    reasons come from strangers: characters that steer a terminal are left out.
    """
    return _console_type()(stderr=stderr, markup=False, emoji=False)


@cache
def _console_type() -> type[Console]:
    """Return the type of our consoles; rich is imported when it is first needed."""
    from rich.console import Console
    from rich.segment import Segment

    class SafeConsole(Console):
        """A console whose texts cannot steer the terminal; what rich itself sends still does."""

        def render(self, *arguments: Any, **options: Any) -> Any:
            for text, style, control in super().render(*arguments, **options):
                yield Segment(text if control else _UNSEEN.sub("", text), style, control)

    return SafeConsole
