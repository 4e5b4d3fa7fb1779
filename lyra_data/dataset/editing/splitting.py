"""Deal the same scenes out to new splits, all views of a source to one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

from lyra_data.dataset.editing.copying import CopiedScene, require_target, write_copies
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.format.splits import TRAIN
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress

KNOWN_SPLITS = (TRAIN, "validation", "test")


def deal_out(sources: Mapping[str, str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Return the split of every scene, by source: shares are met as nearly as sources allow.

    The order of the sources is a hash of seed and name, so neither the order of the scenes nor
    the number of their views matters. At least one source is trained on.

    Args:
        sources: scene_id -> what names its source.
        shares: split -> share of the sources; together 1.
    """
    drawn = sorted(set(sources.values()), key=lambda name: _draw(seed, name))
    of_source: dict[str, str] = {}
    begin, share_before = 0, 0.0
    for split, share in sorted(shares.items(), key=lambda pair: pair[0] != TRAIN):
        share_before += share
        end = round(share_before * len(drawn))
        if split == TRAIN and share > 0:
            end = max(end, 1)
        of_source.update(dict.fromkeys(drawn[begin:end], split))
        begin = max(begin, end)
    return {scene: of_source[source] for scene, source in sources.items()}


def require_shares(shares: Mapping[str, float]) -> None:
    """Raise InputError where the shares are impossible, or of unknown splits."""
    unknown = sorted(set(shares) - set(KNOWN_SPLITS))
    whole = math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9)
    if unknown or not whole or any(not 0 <= share <= 1 for share in shares.values()):
        what = f"unknown split {unknown[0]!r}" if unknown else f"shares {dict(shares)}"
        raise InputError(
            f"{what}: shares of {', '.join(KNOWN_SPLITS)} must be 0 to 1 and together 1",
            where="--share",
            fix="write e.g. --share train=0.8 --share validation=0.2",
        )


def empty_splits(manifest: Manifest, shares: Mapping[str, float]) -> list[str]:
    """Return the splits that were to have a share of the sources and have no scene."""
    given = {scene.split for scene in manifest.scenes}
    return sorted(split for split, share in shares.items() if share > 0 and split not in given)


def split_dataset(
    dataset: OpenedDataset,
    target: Path,
    shares: Mapping[str, float],
    *,
    seed: int,
    scenes_per_shard: int | None,
    progress: Progress,
) -> Manifest:
    """Write all scenes as the dataset `target`, in new splits.

    Raises:
        InputError: as `write_copies`, or the shares are impossible.
    """
    require_shares(shares)
    require_target(target, [dataset])
    splits = deal_out(
        {entry.scene_id: dataset.source_of(entry) for entry in dataset.scenes}, shares, seed
    )
    copies = [
        CopiedScene(dataset, entry, views=entry.view_indices, split=splits[entry.scene_id])
        for entry in dataset.scenes
    ]
    return write_copies(
        copies,
        target,
        command={"verb": "split", "shares": dict(shares), "seed": seed},
        inputs=[dataset],
        dropped=dataset.manifest.dropped,
        scenes_per_shard=scenes_per_shard or dataset.scenes_per_shard,
        progress=progress,
    )


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
