"""Copy scenes of one dataset into another, their blobs as they are, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lyra_data.clips.formats.export_folders import require_free
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.layout import VIDEO_TYPE
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.reading.chosen_views import table_of_views
from lyra_data.dataset.reading.stored_scene import StoredScene
from lyra_data.dataset.writing.packed_scene import (
    LATENT_SUMS,
    RGB_SUMS,
    PackedScene,
    latent_sums_of,
    rgb_sums_of,
)
from lyra_data.dataset.writing.writer import assemble_dataset
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import engine_commit, engine_version
from lyra_data.packing.encoding import Encoding
from lyra_data.views.dropped import DroppedView
from lyra_data.views.fields import Row


class CopiedScene:
    """Some views of a scene, perhaps under another name.

    Attributes:
        views: view_index of those to copy.
        scene_id: what it is to be called.
        split: that it goes to.
    """

    def __init__(
        self,
        dataset: OpenedDataset,
        entry: SceneEntry,
        *,
        views: Sequence[int],
        split: str,
        scene_id: str | None = None,
    ) -> None:
        self.dataset, self.entry, self.split = dataset, entry, split
        self.views = tuple(view for view in entry.view_indices if view in views)
        self.scene_id = scene_id or entry.scene_id

    def stored(self) -> StoredScene:
        """Return the scene that is copied, as it is stored."""
        return self.dataset.stored(self.entry)

    def packed(self) -> PackedScene:
        """Return its rows; each modality is read when it is written, and checked."""
        stored, modalities = self.stored(), self.dataset.modalities
        has_latents = "latent" in modalities
        return PackedScene(
            self.scene_id,
            self.views,
            self.dataset.manifest.codec,
            latent_sums_of(self.rows("latent", LATENT_SUMS)) if has_latents else None,
            rgb_sums_of(self.rows("preview", RGB_SUMS)),
            _Tables(self),
            {modality: stored.cuts(modality, self.scene_id, self.views) for modality in modalities},
        )

    def rows(self, modality: str, columns: Sequence[str]) -> list[Row]:
        """Read some plain columns of the views that are copied, a row a view."""
        rows = self.stored().rows(modality, columns)
        return [row for row in rows if row["view_index"] in self.views]

    def table(self, modality: str) -> pa.Table:
        """Read all columns of the views that are copied, under the name that they have now."""
        return table_of_views(self.stored(), modality, self.views)


def write_copies(
    scenes: Sequence[CopiedScene],
    target: Path,
    *,
    command: Mapping[str, Any],
    inputs: Sequence[OpenedDataset],
    dropped: Sequence[DroppedView],
    scenes_per_shard: int,
    progress: Progress,
    part_of: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write scenes as the new dataset `target`; it appears whole or not at all.

    One modality of one scene is in memory at a time. The same scenes in the same shards give the
    files and the dataset hash that they had.

    Args:
        command: verb and options, for the manifest.
        inputs: the datasets that the scenes are of; all of one encoding and codec, and of the
            same modalities.
        part_of: of a part that was pulled, the dataset that it is part of.

    Raises:
        InputError: something stands at `target`, it lies in an input, or nothing is left.
        CorruptDataError: bytes of an input have changed.
        StorageError: the disk is full, read-only or not permitted.
    """
    require_target(target, inputs)
    if not scenes:
        raise InputError(
            "no view is left", where=str(target), fix="ask for less: nothing was written"
        )
    encoding = Encoding(**inputs[0].manifest.encoding)  # type: ignore[arg-type]
    progress.start("Copying", len(scenes), "scenes")

    def packed() -> Iterator[PackedScene]:
        for scene in scenes:
            yield scene.packed()
            progress.advance(note=scene.scene_id)

    manifest = assemble_dataset(
        packed(),
        target,
        splits={scene.scene_id: scene.split for scene in scenes},
        scenes_per_shard=scenes_per_shard,
        provenance={
            "engine_commit": engine_commit(),
            "engine_version": engine_version(),
            "command": dict(command),
            "inputs": [dataset.as_input() for dataset in inputs],
            **({} if part_of is None else {"part_of": dict(part_of)}),
        },
        encoding=encoding,
        dropped=dropped,
        modalities=inputs[0].modalities,
    )
    progress.finish()
    return manifest


def require_target(target: Path, inputs: Sequence[OpenedDataset]) -> None:
    """See that nothing would be replaced, before anything is read.

    Raises:
        InputError: something stands at `target`, or it lies in an input.
    """
    require_free(target)
    for dataset in inputs:
        if "://" not in dataset.uri and Path(dataset.uri).resolve() in target.resolve().parents:
            raise InputError(
                "a dataset must not lie inside the one it is made of",
                where=str(target),
                fix="name a folder elsewhere",
            )


class _Tables(Mapping[str, pa.Table]):
    """The rows of a copied scene by modality, read when they are asked for and not kept."""

    def __init__(self, scene: CopiedScene) -> None:
        self._scene = scene

    def __iter__(self) -> Iterator[str]:
        return iter(self._scene.dataset.modalities)

    def __len__(self) -> int:
        return len(self._scene.dataset.modalities)

    def __getitem__(self, modality: str) -> pa.Table:
        scene = self._scene
        table = scene.table(modality)
        if scene.scene_id != scene.entry.scene_id:
            table = _renamed(table, scene.entry.scene_id, scene.scene_id)
        return table


def _renamed(table: pa.Table, before: str, after: str) -> pa.Table:
    """Write another name into the column and into the names of videos and pictures; blobs stay."""
    for number, field in enumerate(table.schema):
        if field.name == "scene_id":
            names = pa.array([after] * len(table), field.type)
            table = table.set_column(number, field, names)
        elif field.type == VIDEO_TYPE:
            chunks = [_with_paths(chunk, before, after) for chunk in table[number].chunks]
            table = table.set_column(number, field, pa.chunked_array(chunks, field.type))
    return table


def _with_paths(chunk: Any, before: str, after: str) -> pa.StructArray:
    paths = [after + path.removeprefix(before) for path in chunk.field("path").to_pylist()]
    parts = [chunk.field("bytes"), pa.array(paths, pa.string())]
    return pa.StructArray.from_arrays(parts, fields=list(VIDEO_TYPE))
