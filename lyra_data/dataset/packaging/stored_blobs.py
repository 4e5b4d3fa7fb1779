"""Move the blobs of encoded views between the store beside the views and the dataset.

A dataset's shards hold the blobs of many views one behind the other, so no file of the store can be
linked into them. One copy is enough: that of the dataset, once it is whole on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lyra_data.dataset.generated_views import DatasetViews
from lyra_data.engine.errors import ParamsError
from lyra_data.packing.blob_store import DATASET, BlobStore, HeldBlobs, open_encoded, outputs_of
from lyra_data.packing.encoding import Encoding
from lyra_data.packing.view_files import encoding_of, read_encoded


def is_stored_as(view_file: Path, encoding: Encoding) -> bool:
    """Return whether a view is kept in just this encoding.

    Raises:
        ParamsError: it is kept with losses, and without them it is to be packaged.
        CorruptDataError: the file is missing or cut.
    """
    stored = encoding_of(view_file)
    if stored is not None:
        require_possible(stored, encoding)
    return stored == encoding


def require_possible(stored: Encoding, encoding: Encoding) -> None:
    """Refuse an encoding that promises what the views' own has lost.

    Raises:
        ParamsError: naming the key of `package`.
    """
    kept = stored.as_json()
    for key, kind in encoding.as_json().items():
        if kind == "lossless" and kept[key] != "lossless":
            raise ParamsError(
                f"lossless {key} cannot be packaged: generate.store keeps them as {kept[key]}",
                where=f"package.{key}",
                fix=f"write `package.{key}: {kept[key]}`, or `generate.store: lossless`, for which "
                "views are made again",
            )


def bring_back(view_files: Iterable[Path], held: HeldBlobs | None) -> None:
    """Put the blobs of views into the store that a dataset alone holds, before it is replaced.

    Raises:
        CorruptDataError: they are nowhere, or damaged.
        StorageError: the disk is full, read-only or not permitted.
    """
    for path in view_files:
        if encoding_of(path) is not None:
            blobs, view = BlobStore(outputs_of(path)), read_encoded(path)
            if not blobs.holds(view.key):
                blobs.put(open_encoded(path, held).media)


def let_go(view_files: Iterable[Path], dataset: Path) -> int:
    """Remove those blobs from the store that a whole dataset holds in the same bytes.

    Nothing is removed where the dataset does not lie beside the views, where they look for it. The
    dataset's writer has read every blob back from its shard and compared the hashes, and its files
    were flushed to the disk before its folder had its name.

    Returns:
        How many views' blobs the dataset holds alone.
    """
    held, num_held = DatasetViews(dataset), 0
    for path in view_files:
        outputs, view = outputs_of(path), read_encoded(path)
        is_beside = (outputs / DATASET).resolve() == dataset.resolve()
        if is_beside and held.media(view) is not None:
            BlobStore(outputs).remove(view.key)
            num_held += 1
    return num_held
