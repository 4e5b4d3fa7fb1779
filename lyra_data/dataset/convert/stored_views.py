"""Read a view as a dataset stores it: its video to the byte, its depth some frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.packing.original_video import ORIGINAL, original_file
from lyra_data.packing.packed import PartTable
from lyra_data.packing.packet_order import PacketOrder

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

    def __init__(self, scene: SceneReader, view_index: int) -> None:
        self._scene, self.view_index = scene, view_index
        self.facts: dict[str, Any] = self._read(list(FACTS))

    @property
    def scene_id(self) -> str:
        return self._scene.scene_id

    @property
    def num_frames(self) -> int:
        return self.facts["num_frames"]

    @property
    def provenance(self) -> dict[str, str]:
        return self.facts["provenance"]

    def __str__(self) -> str:
        return f"scene {self.scene_id}, view {self.view_index}"

    def video(self) -> tuple[bytes, PartTable]:
        """Return the video file and how it is cut; one that others wrote is as they wrote it."""
        blob = self._scene.stored.blob(self.view_index, "frames")
        is_original = blob.table.codec == ORIGINAL
        return (original_file(blob.data, blob.table) if is_original else blob.data), blob.table

    def cameras(self) -> tuple[np.ndarray, np.ndarray]:
        """Read camera_to_world [frame 4 4] and intrinsics [frame 4], float32."""
        row = self._read(["camera_to_world", "intrinsics"])
        return row["camera_to_world"].numpy(), row["intrinsics"].numpy()

    def latents(self) -> np.ndarray:
        """Read the latents as stored: float16 or float32 [channel latent_frame height width]."""
        return self._read(["latents"])["latents"].numpy()

    def depth(self, frames: list[int]) -> Iterator[np.ndarray]:
        """Yield maps of some frames, in that order, as stored: float16 or float32."""
        return self._by_chunks("depth", frames)

    def pictures(self, frames: list[int]) -> Iterator[np.ndarray]:
        """Yield some frames, in that order, uint8 [height width 3]."""
        for picture in self._by_chunks("frames", frames):
            yield picture.transpose(1, 2, 0)

    def _by_chunks(self, field: str, frames: list[int]) -> Iterator[np.ndarray]:
        for start in range(0, len(frames), CHUNK):
            row = self._read([field], frames[start : start + CHUNK])
            yield from row[field].numpy()

    def _read(self, fields: list[str], frames: list[int] | None = None) -> dict[str, Any]:
        (row,) = self._scene.read_fields(
            fields, view_indices=[self.view_index], frames=frames, as_stored=True
        )
        return row


def stored_views(scene: SceneReader) -> Iterator[StoredView]:
    """Yield the views of a scene."""
    for view_index in scene.view_indices:
        yield StoredView(scene, view_index)


def plays_backwards(table: PartTable) -> bool:
    """Return whether a player shows the last frame of the view first."""
    return table.codec == ORIGINAL and PacketOrder.of(table.config).backwards
