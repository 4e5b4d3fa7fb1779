"""Open what is compared: a folder, an address, or FOLDER@REVISION of a project of DVC."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lyra_data.dataset.comparison.git_files import GitRevisionFiles
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.reading.dataset_files import DatasetFiles, read_manifest
from lyra_data.dataset.reading.stored_scene import StoredScene


@dataclass(frozen=True)
class Side:
    """One of the two datasets, its manifest read and nothing else.

    Attributes:
        name: as it was given.
        scenes: by scene_id, in the order of the dataset.
    """

    name: str
    files: DatasetFiles
    scenes: dict[str, SceneEntry]

    @property
    def manifest(self) -> Manifest:
        return self.files.manifest

    @property
    def sizes(self) -> dict[str, int]:
        """Return bytes by modality; `meta` is the indexes, the card and the manifest."""
        sizes: dict[str, int] = dict.fromkeys(MODALITIES, 0)
        for shard in self.manifest.shards:
            sizes[shard.modality] += shard.size
        meta = sum(entry.size for entry in self.manifest.files) + len(self.manifest.text())
        return {**sizes, "meta": meta}

    def stored(self, scene_id: str) -> StoredScene:
        """Return a scene as it is stored."""
        return StoredScene(self.files, self.scenes[scene_id])


def open_side(name: str) -> Side:
    """Open a dataset by its folder, its address (perhaps hf://datasets/OWNER/NAME@TAG) or
    FOLDER@REVISION, where no folder is called so.

    Raises:
        StageOrderError: there is no such folder.
        CorruptDataError: the manifest is missing, altered, or of another version.
        InputError: the address or the revision cannot be read.
    """
    folder, at, revision = name.rpartition("@")
    if "://" in name or Path(name).exists() or not (folder and at and revision):
        files = DatasetFiles.open(name)
    else:
        ranges = GitRevisionFiles(Path(folder), revision)
        files = DatasetFiles(ranges, read_manifest(ranges))
    return Side(name, files, {scene.scene_id: scene for scene in files.manifest.scenes})
