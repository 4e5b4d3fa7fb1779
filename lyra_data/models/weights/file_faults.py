"""Reading the files of others: whatever the reader stumbles over, the file is at fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lyra_data.engine.errors import InputError


@contextmanager
def file_at_fault(path: Path, *, kind: str) -> Iterator[None]:
    """Raise InputError, "not a readable `kind`" and why, for every error but want of memory."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"not a readable {kind}: {reason}",
            where=str(path),
            fix="fetch the file again, or give another: it is cut, altered, or no checkpoint",
        ) from error
