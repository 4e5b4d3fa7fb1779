"""Derive the Arrow schema of a view file from the fields."""

from __future__ import annotations

import pyarrow as pa

from lyra_data.engine.hashing import content_key
from lyra_data.views.fields import FIELDS

FORMAT_VERSION = 1
"""Raised whenever a reader of the former version would misread the files."""


def arrow_schema() -> pa.Schema:
    """Return the schema: one Arrow field a column."""
    return pa.schema(
        [pa.field(field.name, field.type, nullable=field.nullable) for field in FIELDS]
    )


def schema_hash() -> str:
    """Return the hash of every column's name, type and encoding; meanings may be reworded."""
    return content_key([[field.name, str(field.type), field.encoding] for field in FIELDS])
