"""weights.json: what a folder of weights holds, byte by byte, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lyra_data import __version__
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.foreign_files import file_at_fault, files_below
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.engine.names import stays_inside

MANIFEST = "weights.json"
FORMAT_VERSION = 1
FINGERPRINT_DIGITS = 16
COMPARED = "compared_with_pull"
"""Fact: the sources that agreed with the weights.json of a pull when they were converted."""


@dataclass(frozen=True)
class FileRecord:
    """Length in bytes and hash of one file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        return cls(path.stat().st_size, sha256_of_file(path))


@dataclass(frozen=True)
class Manifest:
    """The content of weights.json.

    Attributes:
        kind: "gen3c", "cosmos-tokenizer", "lyra-decoder", "download".
        files: every file of the folder, by path relative to it.
        sources: the files it was made from, by role, e.g. "network/model.pt".
        facts: what else there is to know: options, names left out, repository and revision.
        converter: the release that wrote it.
    """

    kind: str
    files: dict[str, FileRecord]
    sources: dict[str, FileRecord] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    converter: str = f"lyra-data {__version__}"

    def write(self, folder: Path) -> None:
        values = {"format_version": FORMAT_VERSION, **asdict(self)}
        text = json.dumps(values, indent=2, sort_keys=True) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")


def files_of(folder: Path) -> list[str]:
    """List files below `folder` by relative path, sorted; hidden ones and weights.json do not
    count."""
    paths = (path.relative_to(folder) for path in files_below(folder))
    return sorted(
        path.as_posix()
        for path in paths
        if not any(part.startswith(".") for part in path.parts) and path.as_posix() != MANIFEST
    )


def hash_files(folder: Path) -> dict[str, FileRecord]:
    """Return length and hash of every file below `folder`."""
    return {name: FileRecord.of(folder / name) for name in files_of(folder)}


def read_manifest(folder: Path) -> Manifest:
    """Read weights.json of `folder`.

    Raises:
        InputError: the folder or its weights.json is not there.
        CorruptDataError: weights.json cannot be read, names a file outside the folder, or a later
            release wrote it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        what = f"has no {MANIFEST}" if folder.is_dir() else "there is no such folder"
        raise InputError(
            what,
            where=str(folder),
            fix="give a folder that `lyra-data weights convert` or `pull` has written",
        )
    fix = "convert or pull the weights again"
    values = read_json_object(path, kind="list of weights", fix=fix)
    with file_at_fault(path, kind="list of weights", fix=fix, error=CorruptDataError):
        version = values.pop("format_version")
        if version == FORMAT_VERSION:
            for group in ("files", "sources"):
                values[group] = {
                    name: FileRecord(**record) for name, record in values[group].items()
                }
            manifest = Manifest(**values)
            _refuse_strange(manifest)
            _refuse_outside(manifest, path)
            return manifest
    raise CorruptDataError(
        f"has format {version!r}, this release reads {FORMAT_VERSION}",
        where=str(path),
        fix="use the release that wrote it, or convert the weights again",
    )


def _refuse_strange(manifest: Manifest) -> None:
    for record in (*manifest.files.values(), *manifest.sources.values()):
        if type(record.size) is not int or not isinstance(record.sha256, str):
            raise ValueError(f"a file has the size {record.size!r} and hash {record.sha256!r}")
    if not isinstance(manifest.kind, str) or not isinstance(manifest.facts, dict):
        raise ValueError("its kind or its facts are missing")


def record_of(path: Path) -> FileRecord | None:
    """Return what the weights.json beside a file, or of the folder above, states of it; else None.

    Raises:
        CorruptDataError: that weights.json cannot be read.
    """
    for folder in (path.parent, path.parent.parent):
        if (folder / MANIFEST).is_file():
            return read_manifest(folder).files.get(path.relative_to(folder).as_posix())
    return None


def compared_sources(paths: Mapping[str, Path], records: Mapping[str, FileRecord]) -> list[str]:
    """Return the roles of sources that are what the weights.json of a pull beside them states."""
    return sorted(role for role, path in paths.items() if record_of(path) == records[role])


def _refuse_outside(manifest: Manifest, path: Path) -> None:
    outside = [name for name in manifest.files if not stays_inside(name)]
    if outside:
        raise CorruptDataError(
            f"names a file outside its folder, {outside[0]!r}",
            where=str(path),
            fix="do not use this folder; convert or pull the weights again",
        )


def weights_fingerprint(folder: Path) -> str:
    """Return a short name for the exact bytes of the weights in `folder`: "weights-" and 16 digits.

    It takes the hashes of weights.json, in `folder` or in the folder above it (then of one part,
    e.g. `vae`), as long as names and lengths of the files agree with it; else every file is hashed.
    Both ways lead to the same name.

    Raises:
        InputError: there are no files in `folder`.
    """
    names = files_of(folder) if folder.is_dir() else []
    if not names:
        raise InputError(
            "there are no weights",
            where=str(folder),
            fix="get them with `lyra-data weights pull` and `lyra-data weights convert`",
        )
    records = _known_records(folder, names) or hash_files(folder)
    hashes = {name: record.sha256 for name, record in records.items()}
    return f"weights-{content_key(hashes)[:FINGERPRINT_DIGITS]}"


def _known_records(folder: Path, names: list[str]) -> dict[str, FileRecord] | None:
    """Return a manifest's records of exactly these files, or None where none has them."""
    for owner, prefix in ((folder, ""), (folder.parent, f"{folder.name}/")):
        if not (owner / MANIFEST).is_file():
            continue
        records = {
            name.removeprefix(prefix): record
            for name, record in read_manifest(owner).files.items()
            if name.startswith(prefix)
        }
        if sorted(records) == names and all(
            (folder / name).stat().st_size == record.size for name, record in records.items()
        ):
            return records
    return None
