"""Lay out the columns that the files of every modality hold, derived from the list of fields.

Plain columns stand first, blobs last, so the plain ones of a scene are one range of bytes. A blob
that is cut into frames has its cuts beside it, so that it opens without the index.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from lyra_data.dataset.format.columns import EXTRAS, VIDEO_FEATURE, VIDEO_TYPE, Column, video_name
from lyra_data.engine.hashing import content_key
from lyra_data.packing.blob_kinds import kind_of
from lyra_data.packing.encoding import EncodedView
from lyra_data.views.fields import FIELD_BY_NAME, FIELDS, Field, Packing

FORMAT_VERSION = 2
"""Version of the files. Raised whenever a reader of the former version would misread them:
such a reader refuses, and `lyra-data package` writes the new version from the views, which are
kept."""

NESTED_BYTES_LIMIT = 2**31
"""Bytes of one column of videos or pictures in one row group, from which on pyarrow, pandas and
`load_dataset` refuse it ("Nested data conversions not implemented for chunked array outputs").
Columns that are no struct are read in pieces, whatever their size; so is everything by us."""

SPLIT_FORMAT_VERSION = 3
"""Version of a dataset in which a scene has several row groups. All else is as in FORMAT_VERSION,
so both are read; a release that knows one row group a scene refuses this one by its number."""

ROW_GROUP_BYTES = 256 * 2**20
"""Bytes of the blobs of one modality in one row group, beyond which a scene's next view begins
another one. The Hub's viewer takes 286 MiB, in which plain columns have to fit too."""

MODALITIES = ("preview", "rgb", "latent", "depth", "camera", "mask")
KEYS = ("scene_id", "view_index")


def index_path(modality: str) -> str:
    """Return where a modality's index lies in a dataset, relative to it."""
    return f"meta/index/{modality}.parquet"


def columns_of(modality: str) -> list[Column]:
    """Return the columns of a modality's files, in their order."""
    fields = [field for field in FIELDS if field.modality == modality and field.name not in KEYS]
    plain = [_plain(field) for field in fields if field.packing is None]
    packed = [
        column for field in fields if field.packing for column in _packed(field, field.packing)
    ]
    columns = [_plain(FIELD_BY_NAME[key]) for key in KEYS] + plain + packed + EXTRAS[modality]
    return sorted(columns, key=lambda column: column.is_last)  # stable


def arrow_schema(modality: str) -> pa.Schema:
    """Return the Arrow schema with the Hub's features in its metadata."""
    columns = columns_of(modality)
    features = {column.name: column.feature or _feature(column.type) for column in columns}
    metadata = {
        "huggingface": json.dumps({"info": {"features": features}}),
        "lyra_format_version": str(FORMAT_VERSION),
        "lyra_modality": modality,
    }
    fields = [
        pa.field(column.name, column.type, column.nullable or column.type == VIDEO_TYPE)
        for column in columns
    ]
    return pa.schema(fields).with_metadata(metadata)  # type: ignore[arg-type]


def layout_hash() -> str:
    """Return the hash of every column's name, type and encoding; meanings may be reworded."""
    return content_key(
        [
            [modality, column.name, str(column.type), column.encoding]
            for modality in MODALITIES
            for column in columns_of(modality)
        ]
    )


def blob_columns(modality: str) -> dict[str, str]:
    """Return the name of the leaf column in Parquet of every blob, by field, in their order."""
    return {
        column.blob_of: f"{column.name}.bytes" if column.type == VIDEO_TYPE else column.name
        for column in columns_of(modality)
        if column.blob_of
    }


def plain_columns(modality: str) -> list[str]:
    """Return the names of the columns that stand before all blobs."""
    return [column.name for column in columns_of(modality) if not column.is_last]


def _plain(field: Field) -> Column:
    name = field.name
    meaning = f"{field.meaning}; one entry a frame" if field.per_frame else field.meaning
    return Column(
        name, field.type, field.encoding, meaning, lambda view: view.row[name], field.nullable
    )


def _packed(field: Field, packing: Packing) -> list[Column]:
    """Return a blob with the name of its codec and, where it is cut into frames, the cuts."""
    name, kind = field.name, kind_of(field.name)

    def blob(view: EncodedView) -> Any:
        data = view.media[name].data
        return {"bytes": data, "path": video_name(view)} if kind.is_video else data

    codec_column = Column(
        f"{packing.column}_codec",
        pa.string(),
        "plain",
        kind.codecs,
        lambda view: view.media[name].table.codec,
    )
    offsets_column = Column(
        offsets_name(packing),
        pa.list_(pa.uint32()),
        "plain",
        f"where every frame's part of {packing.column} begins, and its end",
        lambda view: [0, *view.media[name].table.ends],
    )
    blob_column = Column(
        packing.column,
        VIDEO_TYPE if kind.is_video else pa.binary(),
        kind.encoding,
        field.meaning,
        blob,
        blob_of=name,
        feature=VIDEO_FEATURE if kind.is_video else None,
        is_last=True,
    )
    return [codec_column, *([offsets_column] if kind.has_offsets else ()), blob_column]


def offsets_name(packing: Packing) -> str:
    """Return the name of the column that says where every frame's part of a blob begins."""
    return f"{packing.column}_offsets"


def _feature(type: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(type):
        return {"feature": _feature(type.value_type), "_type": "List"}
    names = {pa.float64(): "float64", pa.float32(): "float32"}
    return {"dtype": names.get(type, str(type)), "_type": "Value"}
