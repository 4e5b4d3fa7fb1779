"""Read some views of a scene as they are stored, without the blobs of the others."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lyra_data.dataset.format.blob_index import PLAIN_COLUMNS
from lyra_data.dataset.format.columns import video_name_of
from lyra_data.dataset.format.layout import (
    VIDEO_TYPE,
    arrow_schema,
    blob_columns,
    columns_of,
    plain_columns,
)
from lyra_data.dataset.reading.stored_scene import StoredScene


def table_of_views(stored: StoredScene, modality: str, views: Sequence[int]) -> pa.Table:
    """Read all columns of some views, every part checked; in the order of the scene.

    Raises:
        CorruptDataError, InputError: as `StoredScene.table`.
    """
    if _needs_all(stored, modality, views):
        table = stored.table(modality)
        if tuple(views) == stored.entry.view_indices:
            return table
        kept = pa.array(views, pa.int32())
        return table.filter(pc.is_in(table["view_index"], kept))  # type: ignore[attr-defined]
    rows = stored.rows(modality, plain_columns(modality))
    rows = [row for row in rows if row["view_index"] in views]
    types = {column.name: column.type for column in columns_of(modality)}
    for row in rows:
        view = row["view_index"]
        for field, leaf in blob_columns(modality).items():
            name = leaf.split(".")[0]
            data = stored.blob(view, field).data
            path = video_name_of(stored.entry.scene_id, view)
            row[name] = {"bytes": data, "path": path} if types[name] == VIDEO_TYPE else data
    return pa.Table.from_pylist(rows, schema=arrow_schema(modality))


def size_of_views(stored: StoredScene, modality: str, views: Sequence[int]) -> int:
    """Return the bytes that `table_of_views` reads, but for the footer and the heads of pages.

    Raises:
        CorruptDataError: the index or the footer is missing or altered.
    """
    blobs = stored.blobs(modality)
    plain = blobs[-1, PLAIN_COLUMNS]
    if _needs_all(stored, modality, views):
        group = stored.files.plain.footer(plain.file).row_group(plain.row_group)
        return sum(group.column(i).total_compressed_size for i in range(group.num_columns))
    sizes = [blobs[view, name].table.ends[-1] for view in views for name in blob_columns(modality)]
    return plain.table.ends[-1] + sum(sizes)


def _needs_all(stored: StoredScene, modality: str, views: Sequence[int]) -> bool:
    """Return whether the whole row group is read: no view is left out, or the index does not know
    where all blobs lie."""
    if tuple(views) == stored.entry.view_indices:
        return True
    return any(column.is_last and not column.blob_of for column in columns_of(modality))
