"""Open a dataset that another one is to be made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.dataset.format.layout import columns_of
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.stored_scene import StoredScene
from lyra_data.views.fields import Row


class OpenedDataset:
    """A dataset with its modalities.

    Args:
        revision: tag, branch or commit, where `uri` is hf://.
        modalities: those that are read; None: all that it has.

    Raises:
        StageOrderError: there is no such folder.
        CorruptDataError: a file is missing, cut, altered, or of another version.
        InputError: the address cannot be read.
    """

    def __init__(
        self,
        uri: Path | str,
        *,
        revision: str | None = None,
        modalities: Sequence[str] | None = None,
    ) -> None:
        self._dataset = SceneDataset(uri, revision=revision, modalities=modalities)
        self.uri, self.manifest = str(uri), self._dataset.manifest

    @property
    def scenes(self) -> tuple[SceneEntry, ...]:
        return self.manifest.scenes

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities that are read."""
        return self._dataset.files.modalities

    def keep_unfinished(self, folder: Path) -> None:
        """Keep bytes that arrive from afar, until the range they are of is whole."""
        if isinstance(ranges := self._dataset.files.ranges, RemoteFiles):
            ranges.keep_unfinished(folder)

    def stored(self, entry: SceneEntry) -> StoredScene:
        """Return a scene as it is stored."""
        return self._dataset[entry.scene_id].stored

    def preview(self, entry: SceneEntry, columns: Sequence[str]) -> list[Row]:
        """Read plain columns of `preview`, a row a view."""
        return self.stored(entry).rows("preview", columns)

    def source_of(self, entry: SceneEntry) -> str:
        """Return the name of the scene's source."""
        return self.preview(entry, ["source_id"])[0]["source_id"]

    @property
    def scenes_per_shard(self) -> int:
        return max(shard.num_scenes for shard in self.manifest.shards)

    def as_input(self) -> dict[str, Any]:
        """Return what the manifest of a dataset made of it says of it."""
        return input_entry(self.manifest)


def input_entry(manifest: Manifest) -> dict[str, Any]:
    """Return hashes and provenance of an input, for the provenance of what is made of it."""
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
