"""Move the blobs of encoded views between the store beside the views and the dataset.

A dataset's shards hold the blobs of many views one behind the other, so no file of the store can be
linked into them. One copy is enough: that of the dataset, once it is whole on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lyra_data.dataset.generated_views import DatasetViews, frames_of
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.engine.errors import CorruptDataError, ParamsError
from lyra_data.packing.blob_store import DATASET, BlobStore, open_encoded, outputs_of
from lyra_data.packing.encoding import Encoding, StoredForm, encoding_of_store
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


def check_store(params: PackageParams, store: StoredForm) -> None:
    """Refuse an encoding that promises what `generate.store` loses.

    Raises:
        ParamsError: naming the key.
    """
    stored = encoding_of_store(store)
    if stored is not None:
        require_possible(stored, params.encoding)


def bring_back(view_files: Sequence[Path], encoding: Encoding, held: DatasetViews) -> None:
    """Put those blobs into the store that the former dataset alone has, and the next will not.

    They are of views that are to be encoded anew, and of views that `generate` no longer wants:
    asked for again, these would have to be made again.

    Args:
        view_files: of all views of the next dataset.
        encoding: of the next dataset.
        held: the former dataset.

    Raises:
        CorruptDataError: the former dataset cannot be read, or blobs are nowhere.
        StorageError: the disk is full, read-only or not permitted.
    """
    files = [path for path in view_files if encoding_of(path) is not None]
    if not files:
        return
    blobs, kept = BlobStore(outputs_of(files[0])), set()
    for path in files:
        view = read_encoded(path)
        if view.encoding == encoding:
            kept.add(frames_of(view))
        elif not blobs.holds(view.key):
            blobs.put(open_encoded(path, held).media)
    stored = read_encoded(files[0]).encoding
    try:
        for frames, media in held.all_views(stored):
            if frames not in kept:
                blobs.put(media)
    except CorruptDataError as error:
        raise CorruptDataError(
            f"the dataset that is to be replaced cannot be read: {error.what}",
            where=error.where,
            fix="bring it back (`dvc checkout outputs/dataset`), or move it away: `lyra-data "
            "generate` then makes those views again whose bytes it alone has",
        ) from error


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
