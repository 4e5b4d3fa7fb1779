"""Turn whatever damaged bytes make Arrow or a decoder raise into one CorruptDataError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from lyra_data.dataset.files.byte_ranges import RESTORE
from lyra_data.engine.errors import CorruptDataError


def altered(address: str, what: str) -> CorruptDataError:
    """Return the error of a damaged file; `what` says by what it is known."""
    return CorruptDataError(f"the file was cut or altered: {what}", where=address, fix=RESTORE)


@contextmanager
def corruption_of(address: str) -> Iterator[None]:
    """Raise errors of the code inside as damage of the file at `address`.

    Raises:
        CorruptDataError: instead of OSError, ValueError, KeyError, MemoryError and Arrow's own.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as error:
        raise altered(address, str(error)) from error
