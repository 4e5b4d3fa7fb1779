"""Find near-duplicates: scenes whose sources show nearly the same first picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt64

from lyra_data.dataset.editing.copying import CopiedScene, require_target, write_copies
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.editing.picture_hashes import picture_hashes
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.progress import Progress

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
    dataset: OpenedDataset, *, threshold: int, progress: Progress, crew: Crew | None = None
) -> list[Duplicate]:
    """Return pairs of scenes whose hashes differ by at most `threshold` bits, in their order.

    All pairs are returned up to MOST_PAIRS, for n like scenes make n (n - 1) / 2. From there on
    only those that decide: each further scene with the first that is kept, and with the first of
    another split. Eight bytes a scene are kept in memory, and the pairs.

    Args:
        crew: how many workers read and hash pictures, where; None: this process. Pairs are found
            in this process.

    Raises:
        CorruptDataError, ScenesFailedError, ExecutorError: as `picture_hashes`.
    """
    hashes = picture_hashes(dataset, crew=crew or Crew(device="cpu"), progress=progress)
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
