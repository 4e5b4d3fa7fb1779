"""A view as a dataset stores it: its blobs to the byte, its depth a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lyra_data.dataset.format.blob_index import BlobIndex
from lyra_data.dataset.packing.original_video import ORIGINAL, original_file
from lyra_data.dataset.packing.packed import PartTable
from lyra_data.dataset.packing.packet_order import PacketOrder
from lyra_data.dataset.reading.checking import load_index
from lyra_data.dataset.reading.reader import SceneDataset

CHUNK = 16
"""Frames that are in memory at a time."""

FACTS = (
    "trajectory",
    "motion_reversed",
    "num_frames",
    "height",
    "width",
    "fps",
    "movement_distance",
    "depth_scale",
    "seed",
    "known_fraction",
    "provenance",
)


class StoredView:
    """One view of a dataset.

    Attributes:
        facts: the plain columns FACTS by name.
    """

    def __init__(self, views: StoredViews, scene_id: str, view_index: int) -> None:
        self._views, self.scene_id, self.view_index = views, scene_id, view_index
        self.facts: dict[str, Any] = self._read(list(FACTS))

    @property
    def num_frames(self) -> int:
        return self.facts["num_frames"]

    @property
    def provenance(self) -> dict[str, str]:
        return self.facts["provenance"]

    def __str__(self) -> str:
        return f"scene {self.scene_id}, view {self.view_index}"

    def video(self) -> tuple[bytes, PartTable]:
        """The video file, and how it is cut; one that others wrote is as they wrote it."""
        blob, table = self._views.blob(self.scene_id, self.view_index, "rgb", "frames")
        return (original_file(blob, table) if table.codec == ORIGINAL else blob), table

    def cameras(self) -> tuple[np.ndarray, np.ndarray]:
        """camera_to_world [frame 4 4] and intrinsics [frame 4], float32."""
        row = self._read(["camera_to_world", "intrinsics"])
        return row["camera_to_world"].numpy(), row["intrinsics"].numpy()

    def latents(self) -> np.ndarray:
        """As stored: float16 or float32 [channel latent_frame height width]."""
        return self._read(["latents"])["latents"].numpy()

    def depth(self, frames: list[int]) -> Iterator[np.ndarray]:
        """Maps of some frames, in that order, as stored: float16 or float32 [height width]."""
        return self._by_chunks("depth", frames)

    def pictures(self, frames: list[int]) -> Iterator[np.ndarray]:
        """Some frames, in that order, uint8 [height width 3]."""
        for picture in self._by_chunks("frames", frames):
            yield picture.transpose(1, 2, 0)

    def _by_chunks(self, field: str, frames: list[int]) -> Iterator[np.ndarray]:
        for start in range(0, len(frames), CHUNK):
            row = self._read([field], frames[start : start + CHUNK])
            yield from row[field].numpy()

    def _read(self, fields: list[str], frames: list[int] | None = None) -> dict[str, Any]:
        (row,) = self._views.dataset.read_fields(
            self.scene_id, fields, view_indices=[self.view_index], frames=frames, as_stored=True
        )
        return row


class StoredViews:
    """The views of a dataset, scene by scene."""

    def __init__(self, dataset: SceneDataset) -> None:
        self.dataset = dataset
        self._indexes: dict[str, BlobIndex] = {}

    def of_scene(self, scene_id: str) -> Iterator[StoredView]:
        for view_index in self.dataset.view_indices(scene_id):
            yield StoredView(self, scene_id, view_index)

    def blob(
        self, scene_id: str, view_index: int, modality: str, field: str
    ) -> tuple[bytes, PartTable]:
        """A blob, checked against its hashes.

        Raises:
            CorruptDataError: it has changed.
        """
        files = self.dataset.files
        if modality not in self._indexes:
            self._indexes[modality] = load_index(files, self.dataset.manifest, modality)
        place = self._indexes[modality].places(scene_id)[view_index, field]
        parts = list(range(len(place.table.ends)))
        data = files.read(place.ranges(parts))
        place.check(parts, data, files.place(place.file))
        return b"".join(data), place.table


def plays_backwards(table: PartTable) -> bool:
    """Whether a player shows the last frame of the view first."""
    return table.codec == ORIGINAL and PacketOrder.of(table.config).backwards
