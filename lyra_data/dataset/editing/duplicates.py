"""Find near-duplicates: scenes whose sources show nearly the same first picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt64

from lyra_data.dataset.editing.copying import CopiedScene, require_target, write_copies
from lyra_data.dataset.editing.likeness import perceptual_hash
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.progress import Progress
from lyra_data.media.png_data import decode_png

MOST_PAIRS = 50_000
"""Pairs of scenes that are kept in memory and told: 316 scenes of one picture have as many."""


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
    """Return pairs of scenes whose hashes differ by at most `threshold` bits, in their order.

    All pairs are returned up to MOST_PAIRS, for n like scenes make n (n - 1) / 2. From there on
    only those that decide: each further scene with the first that is kept, and with the first of
    another split. Eight bytes a scene are kept in memory, and the pairs.

    Raises:
        CorruptDataError: bytes of the dataset have changed.
    """
    progress.start("Hashing", len(dataset.scenes), "scenes")
    hashes = np.zeros(len(dataset.scenes), np.uint64)
    for number, entry in enumerate(dataset.scenes):
        hashes[number] = perceptual_hash(first_picture(dataset, entry))
        progress.advance(note=entry.scene_id)
    progress.finish()
    return pairs_of([(entry.scene_id, entry.split) for entry in dataset.scenes], hashes, threshold)


def pairs_of(
    scenes: Sequence[tuple[str, str]], hashes: UInt64[np.ndarray, " scene"], threshold: int
) -> list[Duplicate]:
    """Return what `find_duplicates` does, of names with their splits, and hashes."""
    names = {split: number for number, split in enumerate(sorted({split for _, split in scenes}))}
    splits = np.array([names[split] for _, split in scenes], np.int32)
    is_kept = np.ones(len(scenes), bool)
    pairs: list[tuple[int, int, int]] = []
    for later in range(1, len(scenes)):
        distances = np.bitwise_count(hashes[:later] ^ hashes[later])
        like = np.flatnonzero(distances <= threshold)
        is_kept[later] = not is_kept[like].any()
        if len(pairs) + len(like) > MOST_PAIRS:
            elsewhere = like[splits[like] != splits[later]]
            like = np.unique([*like[is_kept[like]][:1], *elsewhere[:1]] or like[:1])
        pairs += [(int(first), later, int(distances[first])) for first in like]
    return [
        Duplicate(
            scenes[first][0], scenes[later][0], distance, bool(splits[first] != splits[later])
        )
        for first, later, distance in sorted(pairs)
    ]


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
