"""Find near-duplicates: scenes whose sources show nearly the same first picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lyra_data.dataset.editing.copying import CopiedScene, require_target, write_copies
from lyra_data.dataset.editing.likeness import perceptual_hash
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.progress import Progress
from lyra_data.media.png_data import decode_png


@dataclass(frozen=True)
class Duplicate:
    """Two scenes that are alike; `other` stands later in the dataset.

    Attributes:
        distance: bits of their perceptual hashes that differ.
        is_leak: whether they are in different splits.
    """

    scene: str
    other: str
    distance: int
    is_leak: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def find_duplicates(
    dataset: OpenedDataset, *, threshold: int, progress: Progress
) -> list[Duplicate]:
    """Return all pairs of scenes whose hashes differ by at most `threshold` bits, in their order.

    Eight bytes a scene are kept in memory, and the pairs.

    Raises:
        CorruptDataError: bytes of the dataset have changed.
    """
    progress.start("Hashing", len(dataset.scenes), "scenes")
    hashes = np.zeros(len(dataset.scenes), np.uint64)
    for number, entry in enumerate(dataset.scenes):
        hashes[number] = perceptual_hash(first_picture(dataset, entry))
        progress.advance(note=entry.scene_id)
    progress.finish()
    pairs = []
    for number, entry in enumerate(dataset.scenes):
        distances = np.bitwise_count(hashes[number + 1 :] ^ hashes[number])
        for later in np.flatnonzero(distances <= threshold):
            other = dataset.scenes[number + 1 + int(later)]
            leak = entry.split != other.split
            pairs.append(Duplicate(entry.scene_id, other.scene_id, int(distances[later]), leak))
    return pairs


def without_duplicates(names: Sequence[str], duplicates: Sequence[Duplicate]) -> list[str]:
    """Return the scenes that are kept: all but those that are like an earlier one that is kept."""
    earlier: dict[str, list[str]] = {}
    for pair in duplicates:
        earlier.setdefault(pair.other, []).append(pair.scene)
    kept: dict[str, None] = {}
    for name in names:
        if not any(other in kept for other in earlier.get(name, ())):
            kept[name] = None
    return list(kept)


def dedup_dataset(
    dataset: OpenedDataset,
    target: Path,
    duplicates: Sequence[Duplicate],
    *,
    threshold: int,
    scenes_per_shard: int | None,
    progress: Progress,
) -> Manifest:
    """Write the dataset `target` without the later scene of every pair.

    Raises:
        InputError, CorruptDataError, StorageError: as `write_copies`.
    """
    require_target(target, [dataset])
    kept = set(without_duplicates([entry.scene_id for entry in dataset.scenes], duplicates))
    return write_copies(
        [
            CopiedScene(dataset, entry, views=entry.view_indices, split=entry.split)
            for entry in dataset.scenes
            if entry.scene_id in kept
        ],
        target,
        command={"verb": "dedup", "threshold": threshold},
        inputs=[dataset],
        dropped=[view for view in dataset.manifest.dropped if view.scene_id in kept],
        scenes_per_shard=scenes_per_shard or dataset.scenes_per_shard,
        progress=progress,
    )


def first_picture(dataset: OpenedDataset, entry: SceneEntry) -> np.ndarray:
    """Return the source's first picture, small, RGB: the thumbnail of the first forward view."""
    rows = dataset.preview(entry, ["motion_reversed"])
    first = next((n for n, row in enumerate(rows) if not row["motion_reversed"]), 0)
    thumbnails = dataset.stored(entry).table("preview", ["thumbnail"])["thumbnail"]
    with file_at_fault(
        f"scene {entry.scene_id}",
        kind="thumbnail",
        fix="package the dataset again",
        error=CorruptDataError,
    ):
        picture = decode_png(thumbnails[first].as_py()["bytes"], cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
