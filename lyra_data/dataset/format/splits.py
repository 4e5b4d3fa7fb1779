"""Split by source: what comes from one photo or video is never both trained and validated on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import suggestion

TRAIN = "train"
VALIDATION = "validation"
SPLITS = (TRAIN, VALIDATION)

NAMED = "params.yaml: package.validation_scenes"

SOURCE_HASHES: Sequence[str] = (
    "source_image_sha256",
    "source_video_sha256",
    "source_pictures_sha256",
)
"""Keys of a view's provenance that name the bytes of the picture, the video or the pictures it was
made of. Depth and intrinsics do not count: one picture with two depth maps is one source."""


def source_sha256(provenance: Mapping[str, str]) -> str | None:
    """Return that of the source's picture or video; None where the provenance does not state it."""
    return next((provenance[key] for key in SOURCE_HASHES if provenance.get(key)), None)


def source_id(scene_id: str, provenance: Mapping[str, str]) -> str:
    """Return what names a scene's source: the hash of its picture or video, or the scene_id."""
    return source_sha256(provenance) or scene_id


def split_by_source(
    sources: Mapping[str, str], validation_fraction: float, named: Sequence[str] = ()
) -> dict[str, str]:
    """Return the split of every scene.

    A source's hash decides, so adding scenes moves none of the others; the share of validation
    approaches `validation_fraction` with many sources. At least one source is always trained on:
    with a single one, everything is. Scenes that are named go to validation, with all others of
    their sources.

    Args:
        sources: scene_id -> what names its source (the sha256 of its bytes, or the scene_id).
        validation_fraction: 0..1.
        named: scene ids, or patterns of them (`fnmatch`).

    Raises:
        ParamsError: a name fits no scene, or nothing would be left to train on.
    """
    assert 0 <= validation_fraction <= 1, validation_fraction
    if not sources:
        return {}
    kept = {source for name in named for source in _sources_of(name, sources)}
    draws = {source: _uniform(source) for source in set(sources.values()) - kept}
    if not draws:
        raise ParamsError(
            f"they name all {len(sources)} scenes, and none is left to train on",
            where=NAMED,
            fix="name fewer",
        )
    most_trained = max(draws, key=lambda source: (draws[source], source))
    return {
        scene_id: VALIDATION
        if source in kept or (draws[source] < validation_fraction and source != most_trained)
        else TRAIN
        for scene_id, source in sources.items()
    }


def _sources_of(name: str, sources: Mapping[str, str]) -> set[str]:
    """Return the sources of the scenes that a name or pattern fits."""
    fitting = {source for scene_id, source in sources.items() if fnmatchcase(scene_id, name)}
    if not fitting:
        raise ParamsError(
            f"{name!r} fits no scene", where=NAMED, fix=suggestion(name, sorted(sources))
        )
    return fitting


def _uniform(source: str) -> float:
    """Draw a number in [0, 1) from the name."""
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:6], "big") / 2**48
