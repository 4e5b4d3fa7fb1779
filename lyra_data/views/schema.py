"""The Arrow schema of a shard, derived from the fields, and how shards are written to Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.engine.hashing import content_key
from lyra_data.views.fields import FIELDS

FORMAT_VERSION = 1
"""Raised whenever a reader of the former version would misread the files."""


def arrow_schema() -> pa.Schema:
    """One Arrow field a column."""
    return pa.schema(
        [pa.field(field.name, field.type, nullable=field.nullable) for field in FIELDS]
    )


def schema_hash() -> str:
    """Hash of every column's name, type and encoding; their meaning may be reworded freely."""
    return content_key([[field.name, str(field.type), field.encoding] for field in FIELDS])


def open_parquet_writer(path: Path, metadata: dict[str, str] | None = None) -> pq.ParquetWriter:
    """A Parquet writer whose bytes depend on the rows alone.

    Blobs are compressed already, so columns are not; pages carry checksums and hold few blobs.
    """
    schema: Any = arrow_schema().with_metadata(metadata or {})
    return pq.ParquetWriter(
        path,
        schema,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_index=True,
        write_page_checksum=True,
        write_batch_size=1,
        data_page_size=64 * 1024,
        data_page_version="1.0",
        version="2.6",
    )
