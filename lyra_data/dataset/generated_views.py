"""Read the views of a project, wherever the blobs of encoded ones are: beside them, or packaged.

`generate` keeps blobs in `outputs/encoded`; once `outputs/dataset` holds the same bytes, `package`
lets go of them there. So a view's file finds its blobs in either, by their hashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.packing.blob_store import DATASET, ReadWhenAsked, open_encoded, outputs_of
from lyra_data.packing.decoding import decode_view
from lyra_data.packing.encoding import Encoding
from lyra_data.packing.packed import Packed
from lyra_data.packing.view_files import EncodedFile, encoding_of
from lyra_data.scene.view import View
from lyra_data.views import store as lossless
from lyra_data.views.fields import FIELD_BY_NAME


class DatasetViews:
    """The views that a dataset holds in the bytes that `generate` encoded.

    It can be pickled; the dataset is opened when it is first asked, and again after it changed.

    Args:
        folder: of the dataset, which need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: tuple[tuple[int, int, int], SceneDataset] | None = None

    def media(self, view: EncodedFile) -> Mapping[str, Packed] | None:
        """Return the blobs of a view, each read and checked when it is asked for; None: not here.

        Raises:
            CorruptDataError: the dataset was cut or altered.
        """
        dataset = self._dataset()
        scene = view.row["scene_id"]
        if dataset is None or scene not in dataset:
            return None
        entry = dataset.entry(scene)
        index = self._index_of(dataset, entry, view)
        if index is None:
            return None
        stored = dataset[scene].stored
        return ReadWhenAsked(lambda name: stored.blob(index, name))

    def all_views(
        self, encoding: Encoding
    ) -> Iterator[tuple[tuple[str, tuple[int, ...]], Mapping[str, Packed]]]:
        """Yield what names every view's frames (`frames_of`), and its blobs, read when asked for.

        Nothing is yielded where there is no dataset, or it is of another encoding.

        Raises:
            CorruptDataError: the dataset was cut or altered.
        """
        dataset = self._dataset()
        if dataset is None or dataset.manifest.encoding != encoding.as_json():
            return
        for entry in dataset.scenes:
            stored, frames = dataset[entry.scene_id].stored, dataset.files.blobs(entry, "rgb")
            for index in entry.view_indices:
                name = entry.scene_id, frames[index, "frames"].hashes
                yield name, ReadWhenAsked(partial(stored.blob, index))

    def _index_of(self, dataset: SceneDataset, entry: SceneEntry, view: EncodedFile) -> int | None:
        """Return the view_index that has these blobs; it may be another than the file's."""
        for index in entry.view_indices:
            if all(self._is_same(dataset, entry, index, view, name) for name in view.cuts):
                return index
        return None

    @staticmethod
    def _is_same(
        dataset: SceneDataset, entry: SceneEntry, index: int, view: EncodedFile, name: str
    ) -> bool:
        modality = FIELD_BY_NAME[name].modality
        if modality not in dataset.files.modalities:
            return False
        blob, cut = dataset.files.blobs(entry, modality)[index, name], view.cuts[name]
        return list(blob.hashes) == cut["part_xxh3"] and list(blob.table.ends) == cut["part_ends"]

    def _dataset(self) -> SceneDataset | None:
        manifest = self._folder / "meta" / "manifest.json"
        if not manifest.is_file():
            return None
        facts = manifest.stat()
        # Another file may have the same time, where the clock was set back or is coarse.
        changed = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if self._opened is None or self._opened[0] != changed:
            self._opened = changed, SceneDataset(self._folder)
        return self._opened[1]


def frames_of(view: EncodedFile) -> tuple[str, tuple[int, ...]]:
    """Return what names the frames of a view: its scene, and the hashes of their parts."""
    return view.row["scene_id"], tuple(view.cuts["frames"]["part_xxh3"])


def read_view(view_file: Path) -> View:
    """Read the view in a file, lossless or encoded.

    Raises:
        CorruptDataError: the file, or what it names, is missing, cut, altered or of another
            version.
    """
    if encoding_of(view_file) is None:
        return lossless.read_view(view_file)
    held = DatasetViews(outputs_of(view_file) / DATASET)
    view = open_encoded(view_file, held)
    with lossless.refusing_damage(view_file):
        return decode_view(view)
