"""Filter a dataset: keep those views that conditions hold for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.editing.conditions import Condition
from lyra_data.dataset.editing.copying import CopiedScene, require_target, write_copies
from lyra_data.dataset.editing.opened import NUMBERS_AND_NAMES, OpenedDataset
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress
from lyra_data.views.fields import Row

CONDITION_COLUMNS = (*NUMBERS_AND_NAMES, "split")


@dataclass(frozen=True)
class ViewFilter:
    """Demands on a view that is kept. None: no demand.

    Attributes:
        where: conditions on the columns of `preview` and on `split`.
        trajectories, splits, scenes: names.
    """

    where: tuple[Condition, ...] = ()
    trajectories: Collection[str] | None = None
    splits: Collection[str] | None = None
    scenes: Collection[str] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, for the manifest."""
        names = {"trajectory": self.trajectories, "split": self.splits, "scene": self.scenes}
        chosen = {key: sorted(value) for key, value in names.items() if value is not None}
        return {**chosen, **({"where": [each.text for each in self.where]} if self.where else {})}

    def holds(self, row: Row) -> bool:
        """Return whether a view's row of `preview`, with its `split`, fulfils it."""
        return (self.trajectories is None or row["trajectory"] in self.trajectories) and all(
            condition.holds(row) for condition in self.where
        )

    @property
    def columns(self) -> list[str]:
        """Return the columns of `preview` that it reads."""
        named = set().union(*(condition.columns for condition in self.where))
        return sorted({"trajectory", *named} - {"split"})


@dataclass(frozen=True)
class Filtered:
    """The new dataset, and how many scenes and views the old one has."""

    manifest: Manifest
    num_scenes: int
    num_views: int


def filter_dataset(
    dataset: OpenedDataset,
    target: Path,
    view_filter: ViewFilter,
    *,
    scenes_per_shard: int | None,
    progress: Progress,
) -> Filtered:
    """Write the views that fulfil a filter as the dataset `target`; a scene without any goes.

    Raises:
        InputError: as `write_copies`; or no scene, split or trajectory has a name of the filter.
    """
    require_target(target, [dataset])
    entries = dataset.scenes
    _require_names("scene", view_filter.scenes, {entry.scene_id for entry in entries})
    _require_names("split", view_filter.splits, {entry.split for entry in entries})
    kept, paths = [], set()
    progress.start("Looking at", len(entries), "scenes")
    for entry in entries:
        progress.advance(note=entry.scene_id)
        if (view_filter.splits is None or entry.split in view_filter.splits) and (
            view_filter.scenes is None or entry.scene_id in view_filter.scenes
        ):
            rows = dataset.preview(entry, view_filter.columns)
            paths |= {row["trajectory"] for row in rows}
            views = _kept_views(entry, rows, view_filter)
            if views:
                kept.append(CopiedScene(dataset, entry, views=views, split=entry.split))
    progress.finish()
    _require_names("trajectory", view_filter.trajectories, paths)
    names = {scene.scene_id for scene in kept}
    manifest = write_copies(
        kept,
        target,
        command={"verb": "filter", **view_filter.as_json()},
        inputs=[dataset],
        dropped=[view for view in dataset.manifest.dropped if view.scene_id in names],
        scenes_per_shard=scenes_per_shard or dataset.scenes_per_shard,
        progress=progress,
    )
    num_views = sum(len(entry.view_indices) for entry in entries)
    return Filtered(manifest, len(entries), num_views)


def _kept_views(entry: SceneEntry, rows: list[Row], view_filter: ViewFilter) -> list[int]:
    return [row["view_index"] for row in rows if view_filter.holds({**row, "split": entry.split})]


def _require_names(what: str, names: Collection[str] | None, existing: set[str]) -> None:
    unknown = sorted(set(names or ()) - existing)
    if unknown:
        known = sorted(existing)
        raise InputError(
            f"there is no {what} {unknown[0]!r}",
            where=f"--{what}",
            fix=f"there are: {', '.join(known[:10])}{', ...' * (len(known) > 10)}",
        )
