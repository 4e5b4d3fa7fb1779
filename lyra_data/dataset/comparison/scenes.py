"""Compare one scene of two datasets: by the hashes of the indexes, and by its plain columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lyra_data.dataset.comparison.differences import FieldChange, SceneChange, add_changes
from lyra_data.dataset.comparison.plain_values import (
    PROVENANCE,
    amounts_of,
    changed_keys,
    compared_columns,
    differs,
)
from lyra_data.dataset.format.blob_index import BlobEntry
from lyra_data.dataset.format.layout import MODALITIES, blob_columns
from lyra_data.dataset.reading.stored_scene import StoredScene


def compare_scene(
    one: StoredScene, other: StoredScene, view_provenance: Counter[str]
) -> SceneChange | None:
    """Return what differs; None: nothing. Plain columns are read where their bytes differ, media
    never.

    Args:
        view_provenance: is added to: keys of the views' provenance that differ.

    Raises:
        CorruptDataError: an index or a plain column has changed.
    """
    first, second = one.entry, other.entry
    both = [view for view in first.view_indices if view in set(second.view_indices)]
    changes = [
        change
        for modality in MODALITIES
        for change in (
            *_plain_changes(one, other, modality, both, view_provenance),
            *_blob_changes(one, other, modality, both),
        )
    ]
    fields = [
        FieldChange(c.field, c.views, 1, c.changed_parts, c.parts, c.amounts)
        for c in add_changes(changes)
    ]
    change = SceneChange(
        first.scene_id,
        None if first.split == second.split else (first.split, second.split),
        tuple(sorted(set(second.view_indices) - set(both))),
        tuple(sorted(set(first.view_indices) - set(both))),
        tuple(fields),
    )
    is_equal = not (change.splits or change.added_views or change.removed_views or change.fields)
    return None if is_equal else change


def same_plain_columns(one: StoredScene, other: StoredScene, modality: str) -> bool:
    """Return whether the plain columns have the same bytes; the same values may have others."""
    first, second = (
        [_content(group) for group in scene.files.plain_columns(scene.entry, modality)]
        for scene in (one, other)
    )
    return first == second


def _plain_changes(
    one: StoredScene,
    other: StoredScene,
    modality: str,
    both: list[int],
    view_provenance: Counter[str],
) -> Iterator[FieldChange]:
    if not both or same_plain_columns(one, other, modality):
        return
    names = compared_columns(modality)
    rows, others = (
        {row["view_index"]: row for row in scene.rows(modality, names)} for scene in (one, other)
    )
    for view in both:
        for name in names:
            value, counterpart = rows[view][name], others[view][name]
            if differs(value, counterpart):
                yield FieldChange(name, 1, 1, amounts=amounts_of(name, value, counterpart))
                if name == PROVENANCE:
                    view_provenance.update(changed_keys(rows[view], others[view]))


def _blob_changes(
    one: StoredScene, other: StoredScene, modality: str, both: list[int]
) -> Iterator[FieldChange]:
    first, second = one.blobs(modality), other.blobs(modality)
    for view in both:
        for name in blob_columns(modality):
            entry, counterpart = first[view, name], second[view, name]
            if _content(entry) != _content(counterpart):
                parts = max(len(entry.hashes), len(counterpart.hashes))
                pairs = zip(entry.hashes, counterpart.hashes, strict=False)
                equal = sum(one_hash == other_hash for one_hash, other_hash in pairs)
                yield FieldChange(name, 1, 1, changed_parts=parts - equal, parts=parts)


def _content(entry: BlobEntry) -> tuple[object, ...]:
    """Return what two blobs have in common that hold the same: not where they lie."""
    return entry.table, entry.hashes
