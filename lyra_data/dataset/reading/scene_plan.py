"""What is read of one scene: its bytes are fetched at once, checked, and then decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from lyra_data.dataset.files.byte_ranges import RESTORE, Range
from lyra_data.dataset.files.corruption import corruption
from lyra_data.dataset.format.manifest import Codec, SceneEntry
from lyra_data.dataset.reading.blob_plan import BlobPlan
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.views.fields import FIELD_BY_NAME, RowShape

if TYPE_CHECKING:
    from lyra_data.dataset.reading.reader import SceneDataset

FrameSelection: TypeAlias = Sequence[int] | Mapping[int, Sequence[int]] | None
"""Frames to read, in that order: of every view, or by view_index; None: all."""

_SIZES = ("num_frames", "height", "width")


@dataclass(frozen=True)
class Wanted:
    """Some fields of some views (names and meanings: `fields.FIELDS`).

    Attributes:
        view_indices: in the order they are wanted.
        as_stored: depth and latents stay halves where they are stored so.
    """

    fields: Sequence[str]
    view_indices: Sequence[int]
    frames: FrameSelection = None
    as_stored: bool = False

    def frames_of(self, view_index: int) -> Sequence[int] | None:
        return self.frames.get(view_index) if isinstance(self.frames, Mapping) else self.frames

    def named(self, *, packed: bool) -> list[str]:
        """The fields that are blobs, or those that are plain columns."""
        return [name for name in self.fields if bool(FIELD_BY_NAME[name].packed_as) == packed]


class ScenePlan:
    """Reads what is wanted of a scene.

    Raises:
        InputError: the scene has no such view, or the dataset was opened without a modality.
        CorruptDataError: the index does not know a blob, or it is encoded otherwise.
    """

    def __init__(self, dataset: SceneDataset, entry: SceneEntry, wanted: Sequence[Wanted]) -> None:
        self.dataset, self.entry, self.wanted = dataset, entry, wanted
        for one in wanted:
            unknown = [name for name in one.fields if name not in FIELD_BY_NAME]
            assert not unknown, f"no columns {unknown}; there are {list(FIELD_BY_NAME)}"
            for view_index in one.view_indices:
                if view_index not in entry.view_indices:
                    raise InputError(
                        f"scene {entry.scene_id} has no view {view_index}",
                        where=dataset.uri,
                        fix=f"its views are {', '.join(map(str, entry.view_indices))}",
                    )
        self._columns = self._plain_columns()
        self._blobs = [
            {
                (view_index, name): self._blob(one, view_index, name)
                for name in one.named(packed=True)
                for view_index in dict.fromkeys(one.view_indices)
            }
            for one in wanted
        ]
        self._rows: list[dict[str, Any]] = [{} for _ in entry.view_indices]
        self._plain_ranges: dict[str, list[Range]] = {}
        for modality in self._columns:
            place = dataset.plain_place(entry, modality)
            with corruption(dataset.files.place(place.file)):
                self._plain_ranges[modality] = dataset.plain_columns.ranges(place)

    def ranges(self) -> list[Range]:
        """All bytes that are needed."""
        plain = [part for parts in self._plain_ranges.values() for part in parts]
        return plain + [part for plan in self._plans() for part in plan.ranges()]

    def fetch(self) -> None:
        """Read all bytes and check them.

        Raises:
            CorruptDataError: a part has changed.
        """
        files = self.dataset.files
        fetched = files.read(self.ranges())
        self.dataset.counts.add_bytes(sum(map(len, fetched)))
        data = iter(fetched)
        plain = {
            modality: [next(data) for _ in parts] for modality, parts in self._plain_ranges.items()
        }
        for plan in self._plans():
            plan.take(data, files.place(plan.place.file))
        for modality, parts in plain.items():
            self._take_rows(modality, parts)

    def rows(self, wanted: Wanted) -> Iterator[tuple[dict[str, Any], RowShape]]:
        """Decode one of the things that are wanted, view by view; once, since bytes are let go."""
        blobs = self._blobs[next(n for n, one in enumerate(self.wanted) if one is wanted)]
        last = {view_index: n for n, view_index in enumerate(wanted.view_indices)}
        decoded: dict[tuple[int, str], Any] = {}
        for number, view_index in enumerate(wanted.view_indices):
            row = self._rows[self.entry.view_indices.index(view_index)]
            values: dict[str, Any] = {}
            for name in wanted.fields:
                if (view_index, name) not in blobs:
                    values[name] = self._plain_value(row, name, wanted.frames_of(view_index))
                    continue
                key = view_index, name
                if key not in decoded:
                    decoded[key] = blobs[key].decode(wanted.as_stored)
                    self.dataset.counts.add_blob(name, len(blobs[key].parts))
                again = number < last[view_index]
                values[name] = decoded[key].clone() if again else decoded.pop(key)
            yield values, _shape_of(row)

    def _plans(self) -> Iterator[BlobPlan]:
        for blobs in self._blobs:
            yield from blobs.values()

    def _plain_columns(self) -> dict[str, list[str]]:
        """By modality, the plain columns that are asked for; sizes come with `preview`."""
        columns: dict[str, list[str]] = {}
        for one in self.wanted:
            for name in one.named(packed=False):
                columns.setdefault(FIELD_BY_NAME[name].modality, []).append(name)
        if "preview" in columns:
            columns["preview"] += _SIZES
        return {
            modality: list(dict.fromkeys(("scene_id", "view_index", *names)))
            for modality, names in columns.items()
        }

    def _blob(self, wanted: Wanted, view_index: int, name: str) -> BlobPlan:
        modality = FIELD_BY_NAME[name].modality
        place = self.dataset.places(self.entry, modality).get((view_index, name))
        if place is None or place.table.codec != self.dataset.codecs[name]:
            file = self.dataset.plain_place(self.entry, modality).file
            raise CorruptDataError(
                f"the index and the manifest do not agree on how {name} is encoded",
                where=self.dataset.files.place(file),
                fix=RESTORE,
            )
        return BlobPlan(name, place, wanted.frames_of(view_index))

    def _take_rows(self, modality: str, data: Sequence[bytes]) -> None:
        place = self.dataset.plain_place(self.entry, modality)
        with corruption(self.dataset.files.place(place.file)):
            found = self.dataset.plain_columns.rows(place, self._columns[modality], data)
            indices = tuple(row["view_index"] for row in found)
            owners = {row["scene_id"] for row in found}
            if indices != self.entry.view_indices or owners != {self.entry.scene_id}:
                raise ValueError(f"row group {place.row_group} is not scene {self.entry.scene_id}")
        for row, more in zip(self._rows, found, strict=True):
            row.update(more)

    def _plain_value(self, row: dict[str, Any], name: str, frames: Sequence[int] | None) -> Any:
        field = FIELD_BY_NAME[name]
        file = self.dataset.plain_place(self.entry, field.modality).file
        with corruption(self.dataset.files.place(file)):
            value = row[name]
            if field.per_frame and frames is not None:
                value = [value[frame] for frame in frames]
            value = field.decode(value, _shape_of(row))
            if name == "provenance":
                _check_codec(value, self.dataset.codec)
        return value


def _shape_of(row: Mapping[str, Any]) -> RowShape:
    """The sizes of a row; they are read with the columns of `preview` and unused without them."""
    return RowShape(*(row.get(name, 0) for name in _SIZES), latent_shape=())


def _check_codec(provenance: Mapping[str, str], codec: Codec) -> None:
    found = Codec(provenance["codec"], provenance["codec_fingerprint"])
    if found != codec:
        raise ValueError(f"latents of codec {found}, though the dataset's is {codec}")
