"""OpenedDataset: a dataset that another one is to be made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lyra_data.dataset.format.layout import columns_of
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.scene_tables import SceneTables
from lyra_data.views.fields import Row


class OpenedDataset:
    """A dataset, with all its modalities there.

    Raises:
        StageOrderError: there is no such folder.
        CorruptDataError: a file is missing, cut, altered, or of another version.
        InputError: the address cannot be read.
    """

    def __init__(self, uri: Path | str) -> None:
        dataset = SceneDataset(uri)
        self.uri, self.manifest = str(uri), dataset.manifest
        self.tables = SceneTables(dataset.files, dataset.manifest)

    @property
    def scenes(self) -> tuple[SceneEntry, ...]:
        return self.manifest.scenes

    def preview(self, entry: SceneEntry, columns: Sequence[str]) -> list[Row]:
        """Plain columns of `preview`, a row a view."""
        return self.tables.rows(entry, "preview", columns)

    def source_of(self, entry: SceneEntry) -> str:
        """What names the scene's source."""
        return self.preview(entry, ["source_id"])[0]["source_id"]

    @property
    def scenes_per_shard(self) -> int:
        return max(shard.num_scenes for shard in self.manifest.shards)

    def as_input(self) -> dict[str, Any]:
        """What the manifest of a dataset made of it says of it."""
        return input_entry(self.manifest)


def input_entry(manifest: Manifest) -> dict[str, Any]:
    return {
        "manifest_hash": manifest.manifest_hash,
        "dataset_hash": manifest.dataset_hash,
        "provenance": manifest.provenance,
    }


NUMBERS_AND_NAMES = tuple(
    column.name
    for column in columns_of("preview")
    if not column.is_last and not str(column.type).startswith("list")
)
"""Columns of `preview` that hold one value a view."""
