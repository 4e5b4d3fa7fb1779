"""Reading a dataset: any frames of any views, refusing whatever is not as it was written.

Blobs are found through the index and read by their bytes, from a folder or from afar; every part is
compared with its hash before it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import torch

from lyra_data.dataset.blob_index import PLAIN_COLUMNS, BlobIndex, BlobPlace
from lyra_data.dataset.blob_plan import BlobPlan
from lyra_data.dataset.byte_ranges import RESTORE, Range, open_ranges
from lyra_data.dataset.checking import check_files, check_shards, load_index, load_manifest
from lyra_data.dataset.encoding import Encoding
from lyra_data.dataset.fields import FIELD_BY_NAME, VIEW_FIELDS, RowShape, view_from_values
from lyra_data.dataset.layout import MODALITIES
from lyra_data.dataset.manifest import Codec, SceneEntry
from lyra_data.dataset.plain_columns import PlainColumns
from lyra_data.dataset.scene_reader import SceneReader
from lyra_data.errors import CorruptDataError, InputError
from lyra_data.view import View

FrameSelection: TypeAlias = Sequence[int] | Mapping[int, Sequence[int]] | None
"""Frames to read, in that order: of every view, or by view_index; None: all."""

_SIZES = ("num_frames", "height", "width")


class SceneDataset:
    """The scenes of a packaged dataset, in the order they were written.

    It can be forked and pickled: nothing that is open is shared with a worker.

    Args:
        uri: the folder that `lyra-data package` wrote, or where it was copied to: http(s)://,
            s3://, hf://datasets/OWNER/NAME, or what else fsspec reads.
        revision: tag, branch or commit, where `uri` is hf://.
        split: only this split's scenes; None: all.
        modalities: those that are read, and have to be there; None: all.
        cache_dir: keeps what was read from afar; nothing is kept where it is None.
        verify: "index" checks the manifest and, in a folder, every file's size and footer at once,
            and every part when it is read; "full" checks every byte at once.

    Raises:
        StageOrderError: there is no such folder.
        CorruptDataError: a file is missing, cut, altered, or of another version.
        InputError: the address cannot be read, or there is no such split or modality.
    """

    def __init__(
        self,
        uri: Path | str,
        *,
        revision: str | None = None,
        split: str | None = None,
        modalities: Sequence[str] | None = None,
        cache_dir: Path | None = None,
        verify: Literal["index", "full"] = "index",
    ) -> None:
        self.uri = str(uri)
        self.files = open_ranges(uri, revision, cache_dir)
        self.manifest = load_manifest(self.files)
        self.modalities = tuple(MODALITIES if modalities is None else modalities)
        unknown = [name for name in self.modalities if name not in MODALITIES]
        if unknown:
            raise InputError(
                f"there is no modality {unknown[0]!r}",
                where=self.uri,
                fix=f"modalities: {', '.join(MODALITIES)}",
            )
        check_shards(self.files, self.manifest, self.modalities)
        if verify == "full":
            check_files(self.files, self.manifest, self.modalities)
        self.scenes: list[SceneEntry] = [
            scene for scene in self.manifest.scenes if split in (None, scene.split)
        ]
        self._position = {scene.scene_id: index for index, scene in enumerate(self.scenes)}
        self._indexes: dict[str, BlobIndex] = {}
        self._plain = PlainColumns(self.files, self.manifest)
        self._codecs = Encoding(**self.manifest.encoding).codecs  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, position: int) -> SceneReader:
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        return SceneReader(self, self.scenes[position])

    @property
    def scene_ids(self) -> list[str]:
        return [scene.scene_id for scene in self.scenes]

    @property
    def codec(self) -> Codec:
        """The codec of all latents."""
        return self.manifest.codec

    def view_indices(self, scene: int | str) -> tuple[int, ...]:
        return self.entry(scene).view_indices

    def scene(self, scene: int | str) -> list[View]:
        """All views of a scene, given by position or scene_id."""
        return [view_from_values(values, shape) for values, shape in self._read(scene, VIEW_FIELDS)]

    def read_view(
        self, scene: int | str, view_index: int, frames: Sequence[int] | None = None
    ) -> View:
        """One view, whole or with some frames only; its latents are always those of all frames."""
        ((values, shape),) = self._read(scene, VIEW_FIELDS, [view_index], frames)
        return view_from_values(values, shape)

    def read_fields(
        self,
        scene: int | str,
        fields: Sequence[str],
        *,
        view_indices: Sequence[int] | None = None,
        frames: FrameSelection = None,
        as_stored: bool = False,
    ) -> list[dict[str, Any]]:
        """Some fields of some views, decoded (names and meanings: `fields.FIELDS`).

        Nothing else is read; frames that are not asked for are not decoded.

        Args:
            view_indices: of the views to read, in that order; None: all.
            as_stored: depth and latents stay halves where they are stored so.
        """
        return [values for values, _ in self._read(scene, fields, view_indices, frames, as_stored)]

    def entry(self, scene: int | str) -> SceneEntry:
        if isinstance(scene, int):
            return self.scenes[scene]
        if scene not in self._position:
            raise InputError(
                f"there is no scene {scene!r}",
                where=self.uri,
                fix=f"scenes: {', '.join(self.scene_ids[:10])}{', ...' * (len(self) > 10)}",
            )
        return self.scenes[self._position[scene]]

    def frame_size(self, entry: SceneEntry, view_index: int) -> tuple[int, int]:
        """Height and width of a view's frames, in pixels."""
        if "rgb" in self.modalities:
            _, height, width, _ = self._places(entry, "rgb")[view_index, "frames"].table.shape
            return height, width
        (row,) = self.read_fields(entry.scene_id, ["height", "width"], view_indices=[view_index])
        return row["height"], row["width"]

    def _read(
        self,
        scene: int | str,
        fields: Sequence[str],
        view_indices: Sequence[int] | None = None,
        frames: FrameSelection = None,
        as_stored: bool = False,
    ) -> Iterator[tuple[dict[str, Any], RowShape]]:
        unknown = [name for name in fields if name not in FIELD_BY_NAME]
        assert not unknown, f"no columns {unknown}; there are {list(FIELD_BY_NAME)}"
        entry = self.entry(scene)
        wanted = list(entry.view_indices if view_indices is None else view_indices)
        for view_index in wanted:
            if view_index not in entry.view_indices:
                raise InputError(
                    f"scene {entry.scene_id} has no view {view_index}",
                    where=self.uri,
                    fix=f"its views are {', '.join(map(str, entry.view_indices))}",
                )
        rows = self._plain_rows(entry, fields)
        blobs = self._blobs(entry, fields, wanted, frames)
        for view_index in wanted:
            row = rows[entry.view_indices.index(view_index)]
            chosen = frames.get(view_index) if isinstance(frames, Mapping) else frames
            values: dict[str, Any] = {}
            for name in fields:
                field = FIELD_BY_NAME[name]
                if field.packed_as:
                    values[name] = blobs[view_index, name](as_stored)
                    continue
                with _corruption(self.files.place(self._plain_place(entry, field.modality).file)):
                    value = row[name]
                    if field.per_frame and chosen is not None:
                        value = [value[frame] for frame in chosen]
                    values[name] = field.decode(value, _shape_of(row))
                    if name == "provenance":
                        _check_codec(values[name], self.codec)
            yield values, _shape_of(row)

    def _plain_rows(self, entry: SceneEntry, fields: Sequence[str]) -> list[dict[str, Any]]:
        """The plain columns of a scene's views that are asked for, and their sizes."""
        rows: list[dict[str, Any]] = [{} for _ in entry.view_indices]
        asked: dict[str, list[str]] = {}
        for name in fields:
            field = FIELD_BY_NAME[name]
            if not field.packed_as:
                asked.setdefault(field.modality, []).append(name)
        if "preview" in asked:
            asked["preview"] = [*asked["preview"], *_SIZES]
        for modality, names in asked.items():
            place = self._plain_place(entry, modality)
            columns = list(dict.fromkeys(("scene_id", "view_index", *names)))
            with _corruption(self.files.place(place.file)):
                found = self._plain.read(place, columns)
                indices = tuple(row["view_index"] for row in found)
                owners = {row["scene_id"] for row in found}
                if indices != entry.view_indices or owners != {entry.scene_id}:
                    raise ValueError(f"row group {place.row_group} is not scene {entry.scene_id}")
            for row, more in zip(rows, found, strict=True):
                row.update(more)
        return rows

    def _blobs(
        self,
        entry: SceneEntry,
        fields: Sequence[str],
        view_indices: Sequence[int],
        frames: FrameSelection,
    ) -> dict[tuple[int, str], Callable[[bool], torch.Tensor]]:
        """Fetch the parts of all blobs that are asked for at once; what decodes each of them."""
        plans: list[tuple[tuple[int, str], BlobPlan]] = []
        for name in fields:
            field = FIELD_BY_NAME[name]
            if not field.packed_as:
                continue
            places = self._places(entry, field.modality)
            for view_index in dict.fromkeys(view_indices):
                chosen = frames.get(view_index) if isinstance(frames, Mapping) else frames
                place = places.get((view_index, name))
                if place is None or place.table.codec != self._codecs[name]:
                    raise _mixed(
                        self.files.place(self._plain_place(entry, field.modality).file), name
                    )
                plans.append(((view_index, name), BlobPlan(name, place, chosen)))
        ranges: list[Range] = [part for _, plan in plans for part in plan.ranges()]
        data = iter(self.files.read(ranges))
        ready = {}
        for key, plan in plans:
            plan.take(data, self.files.place(plan.place.file))
            ready[key] = plan.decode
        return ready

    def _plain_place(self, entry: SceneEntry, modality: str) -> BlobPlace:
        return self._places(entry, modality)[-1, PLAIN_COLUMNS]

    def _places(self, entry: SceneEntry, modality: str) -> dict[tuple[int, str], BlobPlace]:
        if modality not in self.modalities:
            raise InputError(
                f"{modality} is read, but the dataset was opened without it",
                where=self.uri,
                fix=f"open it with modalities={[*self.modalities, modality]}",
            )
        if modality not in self._indexes:
            self._indexes[modality] = load_index(self.files, self.manifest, modality)
        with _corruption(self.files.place(f"meta/index/{modality}.parquet")):
            return self._indexes[modality].places(entry.scene_id)


def _shape_of(row: Mapping[str, Any]) -> RowShape:
    """The sizes of a row; they are read with the columns of `preview` and unused without them."""
    return RowShape(*(row.get(name, 0) for name in _SIZES), latent_shape=())


def _check_codec(provenance: Mapping[str, str], codec: Codec) -> None:
    found = Codec(provenance["codec"], provenance["codec_fingerprint"])
    if found != codec:
        raise ValueError(f"latents of codec {found}, though the dataset's is {codec}")


def _mixed(place: str, field: str) -> CorruptDataError:
    return CorruptDataError(
        f"the index and the manifest do not agree on how {field} is encoded",
        where=place,
        fix=RESTORE,
    )


@contextmanager
def _corruption(place: str) -> Iterator[None]:
    """Whatever a damaged file makes Arrow or a decoder say, as one CorruptDataError."""
    try:
        yield
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as error:
        raise CorruptDataError(
            f"the file was cut or altered: {error}", where=place, fix=RESTORE
        ) from error
