"""Read and write the files of generated views, whichever of two forms they have.

A lossless view's file holds all of it (`views.store`). An encoded view's file holds all but the
blobs that the dataset keeps in the same bytes: it states their hashes, and `blob_store` keeps them.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.engine.documents import parse_json
from lyra_data.engine.hashing import canonical_json, content_key
from lyra_data.packing.blob_kinds import PACKED_FIELDS
from lyra_data.packing.channel_statistics import ChannelStatistics
from lyra_data.packing.cuts import cut_of, table_of_cut
from lyra_data.packing.encoding import EncodedView, Encoding
from lyra_data.packing.packed import Packed
from lyra_data.views import store as lossless
from lyra_data.views.fields import FIELDS, Row, row_shape

ENCODING = "lyra_encoding"
"""Metadata of an encoded view's file, and of no other."""

ENCODED_VERSION = 1
"""Raised whenever a reader of the former version would misread an encoded view's file."""

BLOBS = "blobs"
"""Column that no lossless view has."""

PLAIN_FIELDS = tuple(field for field in FIELDS if field.packing is None)

_SCHEMA = pa.schema(
    [
        *(pa.field(field.name, field.type, nullable=field.nullable) for field in PLAIN_FIELDS),
        pa.field("preview", pa.large_binary(), nullable=False),
        pa.field("thumbnail", pa.large_binary(), nullable=False),
        pa.field("latent_source_exact", pa.bool_(), nullable=False),
        pa.field("depth_valid_fraction", pa.float64(), nullable=False),
        pa.field("latent_mean", pa.list_(pa.float64()), nullable=False),
        pa.field("latent_std", pa.list_(pa.float64()), nullable=False),
        pa.field("rgb_mean", pa.list_(pa.float64()), nullable=False),
        pa.field("rgb_std", pa.list_(pa.float64()), nullable=False),
        pa.field("blobs_key", pa.string(), nullable=False),
        pa.field(BLOBS, pa.string(), nullable=False),
    ]
)
"""`blobs`: JSON, how each is cut and the xxh3 of every part, by field. `blobs_key`: the name of
their bytes in the blob store."""


@dataclass(frozen=True)
class EncodedFile:
    """What an encoded view's file holds.

    Attributes:
        row: columns of the file.
        cuts: by field, rows of CUT_SCHEMA without names.
    """

    row: Row
    encoding: Encoding
    cuts: Mapping[str, Row]

    @property
    def key(self) -> str:
        """Return the name of the blobs in the blob store."""
        return self.row["blobs_key"]

    def view(self, media: Mapping[str, Packed]) -> EncodedView:
        """Return the encoded view with these blobs."""
        row = self.row
        return EncodedView(
            row={field.name: row[field.name] for field in PLAIN_FIELDS},
            media=media,
            preview=row["preview"],
            thumbnail=row["thumbnail"],
            latent_source_exact=row["latent_source_exact"],
            depth_valid_fraction=row["depth_valid_fraction"],
            latent_channels=_statistics(row["latent_mean"], row["latent_std"]),
            rgb_channels=_statistics(row["rgb_mean"], row["rgb_std"]),
        )


def encoded_row(view: EncodedView, blobs_key: str) -> Row:
    """Return the columns of an encoded view's file."""
    plain = {field.name: view.row[field.name] for field in PLAIN_FIELDS}
    cuts = {name: _cut(view, name) for name in PACKED_FIELDS}
    return {
        **plain,
        "preview": view.preview,
        "thumbnail": view.thumbnail,
        "latent_source_exact": view.latent_source_exact,
        "depth_valid_fraction": view.depth_valid_fraction,
        "latent_mean": [channel.mean for channel in view.latent_channels],
        "latent_std": [channel.std for channel in view.latent_channels],
        "rgb_mean": [channel.mean for channel in view.rgb_channels],
        "rgb_std": [channel.std for channel in view.rgb_channels],
        "blobs_key": blobs_key,
        BLOBS: canonical_json(cuts),
    }


def write_row(path: Path, row: Row, encoding: Encoding | None) -> None:
    """Write a view's file: an encoded one, or, where `encoding` is None, a lossless one.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    if encoding is None:
        lossless.write_row(path, row)
        return
    metadata = {**_version(), ENCODING: canonical_json(encoding.as_json())}
    lossless.write_file(path, row, _SCHEMA, metadata)


def read_row(path: Path) -> tuple[Row, Encoding | None]:
    """Read the columns of a view's file and, of an encoded view, its encoding.

    Raises:
        CorruptDataError: the file is missing, cut, altered, or of another version.
    """
    encoding = encoding_of(path)
    if encoding is None:
        return lossless.read_row(path), None
    return lossless.read_file(path, _SCHEMA.names, _version()), encoding


def read_encoded(path: Path) -> EncodedFile:
    """Read an encoded view's file.

    Raises:
        CorruptDataError: the file is missing, cut, altered, of another version, or a lossless view.
    """
    row, encoding = read_row(path)
    with lossless.refusing_damage(path):
        if encoding is None:
            raise ValueError("it is not encoded")
        cuts = {name: _parsed_cut(cut) for name, cut in parse_json(row[BLOBS]).items()}
        _require_fitting(row, encoding, cuts)
        return EncodedFile(row, encoding, cuts)


def read_columns(path: Path, names: Sequence[str]) -> Row:
    """Read some plain columns of a view's file and nothing else, as `views.store.read_columns`."""
    if encoding_of(path) is None:
        return lossless.read_columns(path, names)
    return lossless.read_some(path, names, _SCHEMA.names, _version())


def content_hash(path: Path) -> str:
    """Read the hash that a view's file states of its content, blobs included.

    Raises:
        CorruptDataError: the file is missing, cut or of another version.
    """
    version = None if encoding_of(path) is None else _version()
    return lossless.content_hash(path, version)


def encoding_of(path: Path) -> Encoding | None:
    """Read the encoding of a view's file; None of a lossless view.

    Raises:
        CorruptDataError: the file is missing or cut, or names no encoding.
    """
    with lossless.refusing_damage(path):
        stated = (pq.read_schema(path).metadata or {}).get(ENCODING.encode())
        return None if stated is None else Encoding(**parse_json(stated.decode()))


def _version() -> dict[str, str]:
    columns = [[field.name, field.encoding] for field in PLAIN_FIELDS]
    schema = content_key([columns, [[field.name, str(field.type)] for field in _SCHEMA]])
    return {
        lossless.VERSION_KEY: f"encoded-{ENCODED_VERSION}",
        lossless.SCHEMA_KEY: schema,
    }


def _cut(view: EncodedView, name: str) -> Row:
    cut = cut_of("", 0, name, view.media[name])
    kept = {key: value for key, value in cut.items() if key not in ("scene_id", "view_index")}
    return {**kept, "config": base64.b64encode(cut["config"]).decode()}


def _parsed_cut(cut: dict[str, Any]) -> Row:
    return {**cut, "config": base64.b64decode(cut["config"])}


def _require_fitting(row: Row, encoding: Encoding, cuts: Mapping[str, Row]) -> None:
    """Refuse cuts that are not those of a view of this size: decoders make room by their numbers.

    Raises:
        ValueError: naming the field.
    """
    shape = row_shape(row)
    size = (shape.num_frames, shape.height, shape.width)
    shapes = {"frames": (*size, 3), "latents": shape.latent_shape}
    if set(cuts) != set(PACKED_FIELDS) or re.fullmatch("[0-9a-f]{64}", row["blobs_key"]) is None:
        raise ValueError("it does not name the blobs of a view")
    for name, cut in cuts.items():
        table = table_of_cut(cut)
        ends = (0, *table.ends)
        is_cut = len(ends) > 1 and all(one <= other for one, other in itertools.pairwise(ends))
        if table.shape != shapes.get(name, size) or table.codec != encoding.codecs[name]:
            raise ValueError(f"its {name} are {table.codec} of shape {table.shape}")
        if not is_cut or len(table.ends) != len(cut["part_xxh3"]):
            raise ValueError(f"its {name} are not cut into parts")


def _statistics(means: Sequence[float], stds: Sequence[float]) -> tuple[ChannelStatistics, ...]:
    return tuple(ChannelStatistics(*one) for one in zip(means, stds, strict=True))
