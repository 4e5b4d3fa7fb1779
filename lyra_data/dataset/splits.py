"""Splits by source: what comes from one photo or video is never both trained and validated on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

TRAIN = "train"
VALIDATION = "validation"
SPLITS = (TRAIN, VALIDATION)


def split_by_source(sources: Mapping[str, str], validation_fraction: float) -> dict[str, str]:
    """The split of every scene.

    A source's hash decides, so adding scenes moves none of the others; the share of validation
    approaches `validation_fraction` with many sources. At least one source is always trained on:
    with a single one, everything is.

    Args:
        sources: scene_id -> what names its source (the sha256 of its bytes, or the scene_id).
        validation_fraction: 0..1.
    """
    assert 0 <= validation_fraction <= 1, validation_fraction
    if not sources:
        return {}
    draws = {source: _uniform(source) for source in set(sources.values())}
    most_trained = max(draws, key=lambda source: (draws[source], source))
    return {
        scene_id: VALIDATION
        if draws[source] < validation_fraction and source != most_trained
        else TRAIN
        for scene_id, source in sources.items()
    }


def _uniform(source: str) -> float:
    """A number in [0, 1) drawn from the name."""
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:6], "big") / 2**48
