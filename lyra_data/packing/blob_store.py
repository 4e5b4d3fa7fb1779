"""Keep the blobs of encoded views, one copy of each, until a dataset holds the same bytes.

The store stands beside the folder of views: `outputs/encoded` beside `outputs/views`. An item is
named by the hash of its bytes, so that a view has one wherever its file is linked or copied to.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import xxhash

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import content_key, sha256_of_bytes
from lyra_data.engine.scratch import ScratchStore
from lyra_data.packing.blob_kinds import PACKED_FIELDS
from lyra_data.packing.cuts import table_of_cut
from lyra_data.packing.encoding import EncodedView
from lyra_data.packing.packed import Packed, PartTable
from lyra_data.packing.view_files import EncodedFile, read_encoded
from lyra_data.views.fields import Row

if TYPE_CHECKING:
    from lyra_data.engine.remote_work import RemoteWork

STORE, DATASET = "encoded", "dataset"
"""Names of the folders beside the folder of views in which its blobs are."""

BLOBS_FILE = "blobs"


class HeldBlobs(Protocol):
    """Knows blobs that a dataset holds in the same bytes; it reaches workers, so it pickles."""

    def media(self, view: EncodedFile) -> Mapping[str, Packed] | None:
        """Return the blobs of a view, each read when it is asked for; None: not all are there."""
        ...


class BlobStore:
    """The blobs of views.

    Args:
        outputs: the folder that the folder of views stands in.
        remote: where blobs are kept besides, its stage STORE listed; None: nowhere.
    """

    def __init__(self, outputs: Path, remote: RemoteWork | None = None) -> None:
        self._store = ScratchStore(outputs, STORE, remote)

    @property
    def folder(self) -> Path:
        return self._store.folder

    def put(self, media: Mapping[str, Packed]) -> str:
        """Keep the blobs of a view, and return their name.

        Raises:
            StorageError: the disk is full, read-only or not permitted.
        """
        key = content_key([sha256_of_bytes(media[name].data) for name in PACKED_FIELDS])
        with self._store.put(key) as item, (item / BLOBS_FILE).open("wb") as file:
            for name in PACKED_FIELDS:
                file.write(media[name].data)
        self._hide_from_git()
        return key

    def holds(self, key: str) -> bool:
        """Return whether blobs of this name are kept, after checking their bytes."""
        if self._store.get(key) is None:
            return False
        self._hide_from_git()  # they may have been fetched
        return True

    def media(self, view: EncodedFile) -> Mapping[str, Packed] | None:
        """Return the blobs of a view, each read and checked when it is asked for; None: not kept.

        Raises:
            CorruptDataError: on reading, a part does not have the hash that the view's file states.
        """
        path = self._store.folder / view.key / BLOBS_FILE
        if not path.is_file():
            return None
        begins, begin = {}, 0
        for name in PACKED_FIELDS:
            begins[name] = begin
            begin += view.cuts[name]["part_ends"][-1]

        def read(name: str) -> Packed:
            cut = view.cuts[name]
            with path.open("rb") as file:
                file.seek(begins[name])
                data = file.read(cut["part_ends"][-1])
            return checked_blob(data, cut, str(path))

        return ReadWhenAsked(read)

    def remove(self, key: str) -> None:
        """Let go of blobs that a dataset holds.

        Raises:
            StorageError: the file system does not permit it.
        """
        item = self._store.folder / key
        with storage_errors(item):
            if item.is_dir():
                shutil.rmtree(item)

    def _hide_from_git(self) -> None:
        """Have git leave the store alone, whatever the project's own .gitignore says."""
        path = self._store.folder / ".gitignore"
        if not path.exists():
            path.write_text("*\n", encoding="utf-8")


class ReadWhenAsked(Mapping[str, Packed]):
    """The blobs of a view by field; none is kept in memory."""

    def __init__(self, read: Callable[[str], Packed]) -> None:
        self._read = read

    def __getitem__(self, name: str) -> Packed:
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(PACKED_FIELDS)

    def __len__(self) -> int:
        return len(PACKED_FIELDS)


def outputs_of(view_file: Path) -> Path:
    """Return the folder beside whose `views` the blobs of a view's file are kept."""
    return Path(view_file).absolute().parent.parent.parent


def open_encoded(view_file: Path, held: HeldBlobs | None) -> EncodedView:
    """Return an encoded view, its blobs read when they are asked for.

    Args:
        held: of the dataset beside the folder of views.

    Raises:
        CorruptDataError: the file is cut or altered, or its blobs are nowhere.
    """
    view = read_encoded(view_file)
    outputs = outputs_of(view_file)
    media = BlobStore(outputs).media(view)
    if media is None and held is not None:
        media = held.media(view)
    if media is None:
        raise CorruptDataError(
            f"its frames, depth and latents are neither in {outputs / STORE} nor in "
            f"{outputs / DATASET}",
            where=str(view_file),
            fix="bring one of them back (`dvc checkout outputs/dataset`), or run `lyra-data "
            "generate`: it makes what is missing again",
        )
    return view.view(media)


def checked_blob(data: bytes, cut: Row, address: str) -> Packed:
    """Return a blob of these bytes.

    Raises:
        CorruptDataError: a part does not have the hash that `cut` states.
    """
    table = table_of_cut(cut)
    if len(data) != table.ends[-1] or _hashes(data, table) != list(cut["part_xxh3"]):
        raise CorruptDataError(
            f"the bytes of {cut['field']} do not have the hashes that the view's file states",
            where=address,
            fix="run `lyra-data generate`: it makes what is damaged again",
        )
    return Packed(data, table)


def _hashes(data: bytes, table: PartTable) -> list[int]:
    whole = memoryview(data)
    parts = range(len(table.ends))
    return [xxhash.xxh3_64_intdigest(whole[slice(*table.bounds(part))]) for part in parts]
