"""Store views between generate and package: one self-checking file each.

`<folder>/<scene_id>/<view_index>_<trajectory>.parquet` is a shard of one row. Its metadata holds
the hash of the row's content, so it needs no manifest to be trusted, and package copies rows
without decoding them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import CorruptDataError, StageOrderError
from lyra_data.engine.hashing import canonical_json
from lyra_data.engine.names import checked_name, is_number
from lyra_data.scene.view import View
from lyra_data.views.fields import FIELDS, Row, row_from_view, view_from_row
from lyra_data.views.parquet import open_parquet_writer
from lyra_data.views.schema import FORMAT_VERSION, arrow_schema, schema_hash

COLUMNS = [field.name for field in FIELDS]
MAY_BE_UNKNOWN = "movement_distance"
"""Column that is NaN where nobody states it; every other number is finite or null."""

VERSION_KEY, SCHEMA_KEY = "lyra_format_version", "lyra_schema_hash"
CONTENT_KEY = "lyra_content_sha256"
"""Metadata of every view file."""

NAMES = ("scene_id", "trajectory")
"""Columns whose values become part of paths and of other names."""

VIEW_FILE = re.compile(r"[0-9].*_.*\.parquet")
GENERATE_AGAIN = "run `lyra-data generate` again"


def view_path(folder: Path, scene_id: str, view_index: int, trajectory: str) -> Path:
    """Return the path of a view below the store's folder."""
    return Path(folder) / scene_id / f"{view_index:03d}_{trajectory}.parquet"


def view_files(folder: Path) -> list[Path]:
    """Return all view files of a store, by scene_id and then view_index.

    Raises:
        StageOrderError: there are none.
        OSError: a folder may not be read.
    """
    files = [
        path
        for scene in (Path(folder).iterdir() if Path(folder).is_dir() else ())
        if scene.is_dir() and not scene.name.startswith(".")
        for path in scene.iterdir()  # Path.glob leaves out what may not be read
        if VIEW_FILE.fullmatch(path.name)
    ]
    for path in files:
        if not is_number(path.stem.partition("_")[0]):
            raise CorruptDataError(
                "this is no name of a view's file: 000_left.parquet, ... are",
                where=str(path),
                fix=f"move it away, or {GENERATE_AGAIN}",
            )
    files.sort(
        key=lambda path: (path.parent.name, int(path.stem.partition("_")[0])),
    )
    if not files:
        raise StageOrderError("there are no views", where=str(folder), fix=GENERATE_AGAIN)
    return files


def write_view(path: Path, view: View) -> None:
    """Write a view; the file appears whole or not at all. The same view gives the same bytes.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    write_row(path, row_from_view(view))


def write_row(path: Path, row: Row) -> None:
    """Write a view as `read_row` gives it, of which any column may have changed.

    Raises:
        StorageError: as `write_view`.
    """
    write_file(path, row, arrow_schema(), _version())


def write_file(path: Path, row: Row, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
    """Write a file of one row, which states the hash of its content besides `metadata`.

    Raises:
        StorageError: as `write_view`.
    """
    stated: Any = {**metadata, CONTENT_KEY: _content_sha256(row)}
    with (
        write_atomically(path) as temporary,
        open_parquet_writer(temporary, schema.with_metadata(stated)) as writer,
    ):
        writer.write_table(pa.Table.from_pylist([row], schema=schema))


def read_view(path: Path) -> View:
    """Read the view in a file.

    Raises:
        CorruptDataError: as `read_row`; or it states sizes that its values do not have, or that no
            view has.
    """
    row = read_row(path)
    with refusing_damage(path):
        return view_from_row(row)


def read_row(path: Path) -> Row:
    """Read the view in a file as stored, every value checked.

    Raises:
        CorruptDataError: the file is missing, cut, altered, or of another version.
    """
    return read_file(path, COLUMNS, _version())


def read_file(path: Path, columns: Sequence[str], version: Mapping[str, str]) -> Row:
    """Read a file of `write_file`: all its columns, every value checked.

    Args:
        version: metadata that the file has to state.

    Raises:
        CorruptDataError: as `read_row`.
    """
    with refusing_damage(path):
        row, metadata = _read(path, columns, columns, version)
        if _content_sha256(row).encode() != metadata.get(CONTENT_KEY.encode()):
            raise ValueError("its content does not have the hash it states")
    return row


def read_columns(path: Path, names: Sequence[str]) -> Row:
    """Read some columns of the view in a file and nothing else of it.

    The pages' checksums are verified. The content's hash is not: that takes the whole row.

    Raises:
        CorruptDataError: the file is missing, cut, of another version, or these columns altered.
    """
    return read_some(path, names, COLUMNS, _version())


def read_some(
    path: Path, names: Sequence[str], columns: Sequence[str], version: Mapping[str, str]
) -> Row:
    """Read some of the columns of a file of `write_file`, as `read_columns`."""
    with refusing_damage(path):
        return _read(path, names, columns, version)[0]


def content_hash(path: Path, version: Mapping[str, str] | None = None) -> str:
    """Read the hash that a view file states of its content; `read_row` compares them.

    Args:
        version: metadata that the file has to state; None: those of a lossless view.

    Raises:
        CorruptDataError: the file is missing, cut or of another version.
    """
    with refusing_damage(path):
        metadata = pq.read_schema(path).metadata or {}
        _check_version(path, metadata, version or _version())
        return metadata[CONTENT_KEY.encode()].decode()


def _version() -> dict[str, str]:
    return {VERSION_KEY: str(FORMAT_VERSION), SCHEMA_KEY: schema_hash()}


def _read(
    path: Path, names: Sequence[str], columns: Sequence[str], version: Mapping[str, str]
) -> tuple[Row, dict[bytes, bytes]]:
    """Read the one row, and the file's metadata."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        metadata = file.schema_arrow.metadata or {}
        _check_version(path, metadata, version)
        if file.schema_arrow.names != list(columns) or file.metadata.num_rows != 1:
            raise ValueError("it does not hold one view")
        rows = file.read(columns=list(names), use_threads=False).to_pylist()
    row = {name: rows[0][name] for name in names}
    for name in NAMES:
        if name in row:
            checked_name(row[name], noun=name, where=str(path))
    return row, metadata


@contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Raise whatever reading a damaged file runs into as one error that names it."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, MemoryError, pa.ArrowException) as error:
        raise CorruptDataError(
            f"the view was cut or altered: {error}", where=str(path), fix=GENERATE_AGAIN
        ) from error


def _check_version(path: Path, metadata: dict[bytes, bytes], expected: Mapping[str, str]) -> None:
    keys = (VERSION_KEY, SCHEMA_KEY)
    stated = tuple(metadata.get(key.encode(), b"?") for key in keys)
    known = tuple(expected[key] for key in keys)
    if stated != tuple(part.encode() for part in known):
        version, schema = (part.decode(errors="replace") for part in stated)
        raise CorruptDataError(
            f"format version {version}, schema {schema[:12]}; this release reads version "
            f"{known[0]}, schema {known[1][:12]}",
            where=str(path),
            fix=GENERATE_AGAIN,
        )


def _content_sha256(row: Row) -> str:
    """Return the hash of every value with its column's name and its length.

    Lengths are hashed before the bytes: no two rows run together into the same bytes.
    """
    digest = hashlib.sha256()
    for name, value in row.items():
        _feed(digest, name.encode())
        parts = value if isinstance(value, list) else [value]
        _feed(digest, str(len(parts)).encode())
        for part in parts:
            _feed(digest, part if isinstance(part, bytes) else _text_of(name, part).encode())
    return digest.hexdigest()


def _text_of(name: str, value: Any) -> str:
    """Return a value as JSON; a movement that nobody knows, as of Lyra's clips, as NaN."""
    if name == MAY_BE_UNKNOWN and value != value:
        return "NaN"
    return canonical_json(value)


def _feed(digest: Any, data: bytes) -> None:
    digest.update(len(data).to_bytes(8, "little"))
    digest.update(data)
