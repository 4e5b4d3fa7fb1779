"""Keep a view in the form of the dataset: encoded once, when it is made.

What compares it with the scene's other views is kept beside it, without loss: which views are good
enough does not depend on the form, and the blobs are not read for it.
"""

from __future__ import annotations

from pathlib import Path

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.errors import InputError
from lyra_data.generation.quality.siblings import COMPARED_FILE, compared_frames, write_compared
from lyra_data.packing.blob_store import BlobStore, HeldBlobs
from lyra_data.packing.encoding import Encoding, encode_view
from lyra_data.packing.view_files import encoded_row, read_encoded, write_row
from lyra_data.views.fields import Row


def write_encoded(folder: Path, file: str, row: Row, encoding: Encoding, blobs: BlobStore) -> int:
    """Encode a view: its blobs go to the store, its file and what is compared of it to `folder`.

    Args:
        row: the lossless view.

    Returns:
        The bytes of its blobs.

    Raises:
        InputError: a value does not fit in half floats.
        StorageError: the disk is full, read-only or not permitted.
    """
    try:
        with storage_errors(blobs.folder):  # encoders write files, too
            view = encode_view(row, encoding)
    except InputError as error:
        raise InputError(
            error.what,
            where=error.where,
            fix="write `generate.store: lossless`, or generate the scene in other units",
        ) from None
    key = blobs.put(view.media)
    write_row(folder / file, encoded_row(view, key), encoding)
    write_compared(folder / COMPARED_FILE, compared_frames(row))
    return sum(len(blob.data) for blob in view.media.values())


def is_whole(file: Path, blobs: BlobStore, held: HeldBlobs | None) -> bool:
    """Return whether the blobs of an encoded view are kept, in the store or in a dataset.

    Raises:
        CorruptDataError: the view's file is cut or altered, or the dataset is.
    """
    view = read_encoded(file)
    # The dataset first: the store may have to fetch what it has let go of.
    return (held is not None and held.media(view) is not None) or blobs.holds(view.key)
