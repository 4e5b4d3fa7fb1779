"""Hold what differs between two datasets, as values for tables, JSON and pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from lyra_data.dataset.summary import LEVELS, Quantiles


@dataclass(frozen=True)
class FieldChange:
    """A field that differs in views that both datasets have.

    Attributes:
        views: how many views it differs in.
        scenes: how many scenes these views are of.
        changed_parts, parts: of its blobs in these views (frames, maps), how many have other bytes,
            and how many there are; 0 for a plain column.
        amounts: the largest change of any view, by what was measured: `largest` (a plain number),
            `moved` (units of depth), `turned_degrees`, `intrinsics_pixels`; of media that were
            decoded, those of `media.AMOUNTS`.
        media_views: views whose media were decoded for that.
    """

    field: str
    views: int
    scenes: int
    changed_parts: int = 0
    parts: int = 0
    amounts: dict[str, float] = dataclasses.field(default_factory=dict)
    media_views: int = 0


def add_changes(changes: Iterable[FieldChange]) -> list[FieldChange]:
    """Return one change for each field, in the order they come; amounts are the largest ones."""
    sums: dict[str, FieldChange] = {}
    for one in changes:
        before = sums.get(one.field, FieldChange(one.field, 0, 0))
        amounts = dict(before.amounts)
        for name, amount in one.amounts.items():
            amounts[name] = max(amount, amounts.get(name, amount))
        sums[one.field] = FieldChange(
            one.field,
            before.views + one.views,
            before.scenes + one.scenes,
            before.changed_parts + one.changed_parts,
            before.parts + one.parts,
            amounts,
            before.media_views + one.media_views,
        )
    return list(sums.values())


@dataclass(frozen=True)
class SceneChange:
    """A scene that both datasets have, and not equally.

    Attributes:
        splits: in A and in B, where they differ.
        added_views, removed_views: view_index of those that B alone has, and A alone.
        fields: what differs in the views of both.
    """

    scene_id: str
    splits: tuple[str, str] | None
    added_views: tuple[int, ...]
    removed_views: tuple[int, ...]
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True)
class NumberShift:
    """One number of the views, in A and in B.

    Attributes:
        means: of all views of A and of B that have it; None where none has.
        spreads: quantiles over all views of A and of B.
        paired_views: views of both in which both have it.
        paired_shift: mean of B minus A over these; None where there are none.
    """

    name: str
    means: tuple[float | None, float | None]
    spreads: tuple[Quantiles, Quantiles]
    paired_views: int
    paired_shift: float | None

    @property
    def is_shifted(self) -> bool:
        """Return whether it is distributed otherwise, or other views lack it; more views alone are
        no shift."""
        one, other = self.spreads
        is_spread_otherwise = one.values != other.values or one.missing != other.missing
        return is_spread_otherwise or bool(self.paired_shift)


@dataclass(frozen=True)
class Setting:
    """Something that one dataset states otherwise than the other; None: it does not state it."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Totals:
    """Counts of one dataset."""

    name: str
    dataset_hash: str
    scenes: int
    views: int
    dropped: int
    sizes: dict[str, int]


@dataclass(frozen=True)
class DatasetDifference:
    """All that differs between dataset A and dataset B.

    Attributes:
        added, removed: scene_id of scenes that B alone has, and A alone.
        changed: scenes of both that differ.
        num_equal: scenes of both that do not.
        fields: what differs, over all changed scenes.
        view_provenance: keys of the views' provenance that differ, with how many views they do in.
        numbers: every number, shifted or not.
        settings: encoding, codec and provenance, where they differ.
    """

    a: Totals
    b: Totals
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[SceneChange, ...]
    num_equal: int
    fields: tuple[FieldChange, ...]
    view_provenance: dict[str, int]
    numbers: tuple[NumberShift, ...]
    settings: tuple[Setting, ...]

    @property
    def is_equal(self) -> bool:
        """Return whether all scenes are equal; sizes, shards and provenance may differ."""
        return not (self.added or self.removed or self.changed)

    def as_json(self) -> dict[str, Any]:
        return {"equal": self.is_equal, "levels": list(LEVELS), **asdict(self)}
