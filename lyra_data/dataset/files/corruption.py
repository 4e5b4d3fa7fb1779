"""Whatever damaged bytes make Arrow or a decoder say, as one CorruptDataError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from lyra_data.dataset.files.byte_ranges import RESTORE
from lyra_data.engine.errors import CorruptDataError


@contextmanager
def corruption(place: str) -> Iterator[None]:
    """What is raised inside is told as damage of the file at `place`.

    Raises:
        CorruptDataError: instead of OSError, ValueError, KeyError, MemoryError and Arrow's own.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as error:
        raise CorruptDataError(
            f"the file was cut or altered: {error}", where=place, fix=RESTORE
        ) from error
