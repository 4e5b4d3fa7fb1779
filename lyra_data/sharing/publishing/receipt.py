"""A receipt: what stands on the Hub after a publication, checked there file by file.

It holds no time of day: the same publication gives the same bytes, so that DVC sees no change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.documents import build_from_json
from lyra_data.engine.names import checked_path
from lyra_data.hub.errors import repository_page
from lyra_data.sharing.publishing.publication import Publication

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ReceiptFile:
    """A file at the tag.

    Attributes:
        size: in bytes.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Receipt:
    """The outcome of a publication.

    Attributes:
        commit: that the tag stands for.
        page: address of this version.
        key: the publication's (see `Publication.key`).
    """

    repository: str
    repository_type: str
    tag: str
    commit: str
    page: str
    licence: str
    key: str
    files: tuple[ReceiptFile, ...]
    facts: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def receipt_of(publication: Publication, commit: str) -> Receipt:
    """Return the receipt of a publication that stands at `commit`."""
    page = repository_page(publication.repository, publication.repository_type)
    return Receipt(
        repository=publication.repository,
        repository_type=publication.repository_type,
        tag=publication.tag,
        commit=commit,
        page=f"{page}/tree/{publication.tag}",
        licence=publication.licence,
        key=publication.key,
        files=tuple(
            ReceiptFile(file.path, file.size, file.sha256)
            for file in sorted(publication.files, key=lambda file: file.path)
        ),
        facts=dict(publication.facts),
    )


def write_receipt(receipt: Receipt, path: Path) -> None:
    """Write a receipt as JSON.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    values = {"format_version": FORMAT_VERSION, **asdict(receipt)}
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises:
        CorruptDataError: it is no receipt, or of another version.
        OSError: there is no such file.
    """

    def build(values: Any) -> Receipt:
        if values.pop("format_version") != FORMAT_VERSION:
            raise ValueError("it is of another version of the format")
        files = tuple(ReceiptFile(**file) for file in values.pop("files"))
        for file in files:
            checked_path(file.path, noun="path", where=str(path))
            if not isinstance(file.size, int) or not isinstance(file.sha256, str):
                raise ValueError(f"{file.path} has no size or no sha256")
        receipt = Receipt(**values, files=files)
        texts = (receipt.repository, receipt.tag, receipt.commit, receipt.page, receipt.licence)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("its values are no texts")
        return receipt

    return build_from_json(path, build, kind="receipt", fix="publish again: it is made anew")
