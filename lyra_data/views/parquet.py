"""Write Parquet files whose bytes depend on the rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def open_parquet_writer(
    path: Path, schema: pa.Schema, *, statistics_of: Sequence[str] = ()
) -> pq.ParquetWriter:
    """Open a Parquet file for writing.

    Blobs are compressed already, so columns are not; without a dictionary every blob stands in its
    page byte for byte, where it can be read alone. Pages carry checksums and hold few blobs: Arrow
    ends a page when it looks at its size, which it does after `write_batch_size` values.

    Args:
        statistics_of: columns whose least and largest values are written; filters use them.
    """
    statistics: Any = list(statistics_of) or False
    return pq.ParquetWriter(
        path,
        schema,
        compression="none",
        use_dictionary=False,
        write_statistics=statistics,
        write_page_index=True,
        write_page_checksum=True,
        write_batch_size=1,
        data_page_size=64 * 1024,
        data_page_version="1.0",
        version="2.6",
    )
