"""Plan what is read of one scene: its bytes are fetched at once, checked, and then decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from lyra_data.dataset.files.byte_ranges import RESTORE, Range
from lyra_data.dataset.files.corruption import corruption_of
from lyra_data.dataset.format.manifest import Codec, SceneEntry
from lyra_data.dataset.reading.blob_plan import BlobPlan
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.field_selection import FieldSelection
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.views.fields import FIELD_BY_NAME, Row, RowShape

_SIZES = ("num_frames", "height", "width")


class ScenePlan:
    """Reads selections of one scene.

    Raises:
        InputError: the scene has no such view, or the dataset was opened without a modality.
        CorruptDataError: the index does not know a blob, or it is encoded otherwise.
    """

    def __init__(
        self, files: DatasetFiles, entry: SceneEntry, selections: Sequence[FieldSelection]
    ) -> None:
        self._files, self._entry, self._selections = files, entry, selections
        for view_index in {view for one in selections for view in one.view_indices}:
            if view_index not in entry.view_indices:
                raise InputError(
                    f"scene {entry.scene_id} has no view {view_index}",
                    where=files.uri,
                    fix=f"its views are {', '.join(map(str, entry.view_indices))}",
                )
        self._columns = self._plain_columns()
        self._blobs = [
            {
                (view_index, name): self._blob(one, view_index, name)
                for name in one.packed()
                for view_index in dict.fromkeys(one.view_indices)
            }
            for one in selections
        ]
        self._rows: list[Row] = [{} for _ in entry.view_indices]
        self._plain_ranges = {
            modality: files.plain.ranges(files.plain_columns(entry, modality))
            for modality in self._columns
        }

    def ranges(self) -> list[Range]:
        """Return all bytes that are needed."""
        plain = [part for parts in self._plain_ranges.values() for part in parts]
        return plain + [part for plan in self._plans() for part in plan.ranges()]

    def fetch(self) -> None:
        """Read all bytes and check them.

        Raises:
            CorruptDataError: a part has changed.
        """
        self._files.read_checked(self.ranges(), self._take)

    def _take(self, pieces: Sequence[bytes]) -> None:
        """Take the bytes of `ranges`, in their order, and check them; raises as `fetch`."""
        data = iter(pieces)
        plain = {
            modality: [next(data) for _ in parts] for modality, parts in self._plain_ranges.items()
        }
        for plan in self._plans():
            plan.take(data, self._files.ranges.address(plan.entry.file))
        for modality, pieces in plain.items():
            self._take_rows(modality, pieces)

    def decode(self, number: int) -> Iterator[tuple[Row, RowShape]]:
        """Decode the selection of that number, view by view; once, since bytes are let go."""
        selection, blobs = self._selections[number], self._blobs[number]
        last = {view_index: number for number, view_index in enumerate(selection.view_indices)}
        decoded: dict[tuple[int, str], Any] = {}
        for row_number, view_index in enumerate(selection.view_indices):
            row = self._rows[self._entry.view_indices.index(view_index)]
            values: Row = {}
            for name in selection.names:
                key = view_index, name
                if key not in blobs:
                    values[name] = self._plain_value(row, name, selection.frames.get(view_index))
                    continue
                if key not in decoded:
                    decoded[key] = self._in_latent_space(
                        blobs[key].decode(as_stored=selection.as_stored), view_index, name
                    )
                    self._files.counts.add_blob(name, len(blobs[key].parts))
                is_last = row_number == last[view_index]
                values[name] = decoded.pop(key) if is_last else decoded[key].clone()
            yield values, _shape_of(row, self._entry.scene_id)

    def _in_latent_space(self, values: Tensor, view_index: int, name: str) -> Tensor:
        space = self._files.latent_space
        if name != "latents" or space is None:
            return values
        return space.latents_of(values, f"scene {self._entry.scene_id}, view {view_index}")

    def _plans(self) -> Iterator[BlobPlan]:
        for blobs in self._blobs:
            yield from blobs.values()

    def _plain_columns(self) -> dict[str, list[str]]:
        """Return the plain columns to read, by modality; sizes come with those of `preview`."""
        columns: dict[str, list[str]] = {}
        for selection in self._selections:
            for name in selection.plain() if selection.view_indices else ():
                columns.setdefault(FIELD_BY_NAME[name].modality, []).append(name)
        if "preview" in columns:
            columns["preview"] += _SIZES
        return columns

    def _blob(self, selection: FieldSelection, view_index: int, name: str) -> BlobPlan:
        modality = FIELD_BY_NAME[name].modality
        entry = self._files.blobs(self._entry, modality).get((view_index, name))
        if entry is None or entry.table.codec != self._files.codecs[name]:
            file = self._files.file_of(self._entry, modality)
            raise CorruptDataError(
                f"the index and the manifest do not agree on how {name} is encoded",
                where=self._files.ranges.address(file),
                fix=RESTORE,
            )
        return BlobPlan(name, entry, selection.frames.get(view_index))

    def _take_rows(self, modality: str, data: Sequence[bytes]) -> None:
        plain = self._files.plain_columns(self._entry, modality)
        rows = self._files.plain.rows(self._entry, plain, self._columns[modality], data)
        for row, more in zip(self._rows, rows, strict=True):
            row.update(more)

    def _plain_value(self, row: Row, name: str, frames: Sequence[int] | None) -> Any:
        field = FIELD_BY_NAME[name]
        file = self._files.file_of(self._entry, field.modality)
        with corruption_of(self._files.ranges.address(file)):
            value = row[name]
            if field.per_frame and frames is not None:
                value = [value[frame] for frame in frames]
            value = field.decode(value, _shape_of(row, self._entry.scene_id))
            if name == "provenance":
                _check_codec(value, self._files.manifest.codec)
                if (space := self._files.latent_space) is not None:
                    value |= {
                        "codec": space.codec,
                        "codec_fingerprint": space.codec_fingerprint,
                    }
        return value


def _shape_of(row: Mapping[str, Any], scene_id: str) -> RowShape:
    """Return the sizes of a row; they are read with the columns of `preview`, and unused without
    them.

    Raises:
        CorruptDataError: no view has them.
    """
    try:
        return RowShape(*(row.get(name, 0) for name in _SIZES), latent_shape=())
    except ValueError as error:
        raise CorruptDataError(str(error), where=f"scene {scene_id}", fix=RESTORE) from None


def _check_codec(provenance: Mapping[str, str], codec: Codec) -> None:
    stated = Codec(provenance["codec"], provenance["codec_fingerprint"])
    if stated != codec:
        raise ValueError(f"latents of codec {stated}, though the dataset's is {codec}")
