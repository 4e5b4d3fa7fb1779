"""The layout: which columns the files of every modality hold, derived from the list of fields.

Plain columns stand first, blobs last, so the plain ones of a scene are one range of bytes. A blob
that is cut into frames has its cuts beside it, so that it opens without the index.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from lyra_data.dataset.format.columns import EXTRAS, VIDEO_FEATURE, VIDEO_TYPE, Column, video_name
from lyra_data.dataset.format.encoding import EncodedView
from lyra_data.engine.hashing import content_key
from lyra_data.views.fields import FIELD_BY_NAME, FIELDS, Field

FORMAT_VERSION = 2
"""Of the dataset. Raised whenever a reader of the former version would misread the files: such a
reader refuses, and `lyra-data package` writes the new version from the views, which are kept."""

MODALITIES = ("preview", "rgb", "latent", "depth", "camera", "mask")
KEYS = ("scene_id", "view_index")


def columns_of(modality: str) -> list[Column]:
    """The columns of a modality's files, in their order."""
    fields = [field for field in FIELDS if field.modality == modality and field.name not in KEYS]
    plain = [_plain(field) for field in fields if field.packed_as is None]
    packed = [column for field in fields if field.packed_as for column in _packed(field)]
    columns = [_plain(FIELD_BY_NAME[key]) for key in KEYS] + plain + packed + EXTRAS[modality]
    return sorted(columns, key=lambda column: column.is_last)  # stable


def arrow_schema(modality: str) -> pa.Schema:
    """The Arrow schema with the Hub's features in its metadata."""
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


def hub_features(modality: str) -> dict[str, Any]:
    """What `datasets` calls the features of a modality."""
    return {column.name: column.feature or _feature(column.type) for column in columns_of(modality)}


def layout_hash() -> str:
    """Hash of every column's name, type and encoding; their meaning may be reworded freely."""
    return content_key(
        [
            [modality, column.name, str(column.type), column.encoding]
            for modality in MODALITIES
            for column in columns_of(modality)
        ]
    )


def blob_columns(modality: str) -> dict[str, str]:
    """Field -> name of its blob's leaf column in Parquet, in the order of the columns."""
    return {
        column.blob_of: f"{column.name}.bytes" if column.type == VIDEO_TYPE else column.name
        for column in columns_of(modality)
        if column.blob_of
    }


def plain_columns(modality: str) -> list[str]:
    return [column.name for column in columns_of(modality) if not column.is_last]


def _plain(field: Field) -> Column:
    name = field.name
    meaning = f"{field.meaning}; one entry a frame" if field.per_frame else field.meaning
    return Column(
        name, field.type, field.encoding, meaning, lambda view: view.row[name], field.nullable
    )


def _packed(field: Field) -> list[Column]:
    """A blob with the name of its codec and, where it is cut into frames, the cuts."""
    name, packed = field.name, str(field.packed_as)

    def data(view: EncodedView) -> Any:
        blob = view.media[name].data
        return {"bytes": blob, "path": video_name(view)} if name == "frames" else blob

    def offsets(view: EncodedView) -> list[int]:
        return [0, *view.media[name].table.ends]

    codec = Column(
        f"{packed}_codec",
        pa.string(),
        "plain",
        _CODEC_MEANINGS[name],
        lambda view: view.media[name].table.codec,
    )
    cuts = Column(
        f"{packed}_offsets",
        pa.list_(pa.uint32()),
        "plain",
        f"where every frame's part of {packed} begins, and its end",
        offsets,
    )
    is_video = name == "frames"
    blob = Column(
        packed,
        VIDEO_TYPE if is_video else pa.binary(),
        _ENCODINGS[name],
        field.meaning,
        data,
        blob_of=name,
        feature=VIDEO_FEATURE if is_video else None,
        is_last=True,
    )
    return [codec, blob] if name in ("frames", "latents") else [codec, cuts, blob]


def _feature(type: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(type):
        return {"feature": _feature(type.value_type), "_type": "List"}
    names = {pa.float64(): "float64", pa.float32(): "float32"}
    return {"dtype": names.get(type, str(type)), "_type": "Value"}


_CODEC_MEANINGS = {
    "frames": "lossless (H.264 RGB), train (AV1), compat (H.264) or original (a file of others)",
    "depth": "lossless or half",
    "depth_valid": "bits",
    "filled": "bits",
    "latents": "lossless or half",
}
_ENCODINGS = {
    "frames": "MP4: no B-frames, header first; original: as it was; then the byte 1",
    "depth": "a part a frame: lossless: zstd of float32 split into four byte planes; half: p or z, "
    "then pcodec or zstd of each row of float16 bits less the row above; then the byte 1",
    "depth_valid": "a part a frame: zstd of packed bits, then the byte 1",
    "filled": "a part a frame: zstd of packed bits, then the byte 1",
    "latents": "little-endian float32 (lossless) or float16 (half), then the byte 1",
}
