"""Compare two datasets. Manifests, indexes and plain columns are read; media only where asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lyra_data.dataset.comparison.differences import (
    DatasetDifference,
    SceneChange,
    Setting,
    Totals,
    add_changes,
)
from lyra_data.dataset.comparison.media import measure_media
from lyra_data.dataset.comparison.numbers import shifts_of
from lyra_data.dataset.comparison.scenes import compare_scene
from lyra_data.dataset.comparison.sides import Side, open_side
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.engine.progress import Progress


def compare_datasets(
    first: str, second: str, *, media_views: int = 0, progress: Progress
) -> DatasetDifference:
    """Return all that differs between two datasets, called A and B.

    Args:
        first, second: as `sides.open_side` takes them.
        media_views: views that are decoded for each field that is stored as blobs and differs.

    Raises:
        StageOrderError, CorruptDataError, InputError: as `open_side`, and where what is read has
            changed since it was written.
    """
    a, b = open_side(first), open_side(second)
    both = [scene_id for scene_id in a.scenes if scene_id in b.scenes]
    view_provenance: Counter[str] = Counter()
    changed: list[SceneChange] = []
    progress.start("Scenes", len(both), "scenes")
    # Equal hashes mean equal bytes in equal places: then nothing else is read.
    same = a.manifest.dataset_hash == b.manifest.dataset_hash
    for scene_id in both:
        if not same:
            change = compare_scene(a.stored(scene_id), b.stored(scene_id), view_provenance)
            changed += [change] if change else []
        progress.advance(note=scene_id)
    progress.finish()
    fields = tuple(add_changes(one for change in changed for one in change.fields))
    if media_views:
        fields = measure_media(a, b, fields, media_views, progress)
    return DatasetDifference(
        a=_totals(a),
        b=_totals(b),
        added=tuple(scene_id for scene_id in b.scenes if scene_id not in a.scenes),
        removed=tuple(scene_id for scene_id in a.scenes if scene_id not in b.scenes),
        changed=tuple(changed),
        num_equal=len(both) - len(changed),
        fields=fields,
        view_provenance=dict(view_provenance.most_common()),
        numbers=() if same else shifts_of(a, b, progress),
        settings=tuple(_settings(a.manifest, b.manifest)),
    )


def _totals(side: Side) -> Totals:
    return Totals(
        name=side.name,
        dataset_hash=side.manifest.dataset_hash,
        scenes=len(side.scenes),
        views=sum(len(scene.view_indices) for scene in side.manifest.scenes),
        dropped=len(side.manifest.dropped),
        sizes=side.sizes,
    )


def _settings(a: Manifest, b: Manifest) -> Iterator[Setting]:
    """Yield what the manifests state differently: encoding, codec, provenance with params."""
    one, other = (
        {
            **{f"encoding.{key}": text for key, text in manifest.encoding.items()},
            "codec": f"{manifest.codec.name} ({manifest.codec.fingerprint})",
            **dict(_flat("provenance", manifest.provenance)),
        }
        for manifest in (a, b)
    )
    for name in dict.fromkeys((*one, *other)):
        if one.get(name) != other.get(name):
            yield Setting(name, one.get(name), other.get(name))


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the texts of nested values by their dotted names."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(f"{name}.{key}", one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _flat(f"{name}.{number}", one)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)
