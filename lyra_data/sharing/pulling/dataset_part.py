"""Pull a part of a dataset: its scenes are read by byte ranges, checked, and kept until all are
there; then they are written as a dataset of its own.

A scene's modality is what is kept: a killed pull fetches again at most those it was fetching.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.editing.copying import require_target, write_copies
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.manifest import MANIFEST_PATH, Manifest, SceneEntry, parse_manifest
from lyra_data.dataset.reading.chosen_views import size_of_views
from lyra_data.engine.disk_space import require_free_space
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.locks import held_lock
from lyra_data.engine.progress import Progress
from lyra_data.engine.scratch import ScratchStore
from lyra_data.hub.download import UNFINISHED
from lyra_data.hub.listing import Listing
from lyra_data.sharing.pulling.choice import PartChoice
from lyra_data.sharing.pulling.pulled_scenes import PulledScene, fetch_scenes
from lyra_data.sharing.pulling.repositories import PullName
from lyra_data.views.fields import Row

SCRATCH = ".work"


@dataclass(frozen=True)
class ChosenScene:
    """Some views of a scene, and how many bytes are fetched for them."""

    entry: SceneEntry
    views: tuple[int, ...]
    num_bytes: int


@dataclass(frozen=True)
class PartPlan:
    """A part of a dataset that is to be pulled into a folder.

    Attributes:
        part_of: the dataset and the choice, as the part's manifest names them.
    """

    dataset: OpenedDataset
    scenes: tuple[ChosenScene, ...]
    target: Path
    part_of: Mapping[str, Any]

    @property
    def num_bytes(self) -> int:
        return sum(scene.num_bytes for scene in self.scenes)

    @property
    def num_views(self) -> int:
        return sum(len(scene.views) for scene in self.scenes)


def describe_part(
    name: PullName, listing: Listing, manifest: Manifest, choice: PartChoice
) -> dict[str, Any]:
    """Return what a part is part of, for its manifest."""
    return {
        "repository": listing.repository,
        "tag": name.tag,
        "revision": listing.revision,
        "licence": listing.licence,
        "dataset_hash": manifest.dataset_hash,
        "choice": choice.as_json(),
    }


def existing_part(target: Path, part_of: Mapping[str, Any]) -> Manifest | None:
    """Return the manifest of a folder that holds exactly this part; None: it holds none, or
    another.

    Raises:
        CorruptDataError: its manifest is altered, or a file that it names is gone or cut.
    """
    path = target / MANIFEST_PATH
    if not path.is_file():
        return None
    manifest = parse_manifest(path.read_bytes(), str(path))
    stated = dict(manifest.provenance.get("part_of") or {})
    same = set(part_of) - {"tag", "licence"}
    if any(stated.get(key) != part_of[key] for key in same):
        return None
    for shard in manifest.shards:
        file = target / shard.path
        if not file.is_file() or file.stat().st_size != shard.size:
            raise CorruptDataError(
                "is gone or cut since this part was pulled",
                where=str(file),
                fix=f"remove {target}, and run the same command again",
            )
    return manifest


def open_remote(listing: Listing, manifest: Manifest, choice: PartChoice) -> OpenedDataset:
    """Open a dataset of the Hub at its exact commit, with the modalities that are pulled.

    Raises:
        InputError: the dataset lacks one of them.
        DownloadError: the Hub refuses or cannot be reached.
    """
    modalities = None
    if choice.modalities:
        named = {"preview", *choice.modalities}
        absent = sorted(named - set(manifest.modalities))
        if absent:
            raise InputError(
                f"the dataset has no {absent[0]}",
                where="--modalities",
                fix=f"it has {', '.join(manifest.modalities)}",
            )
        modalities = [modality for modality in manifest.modalities if modality in named]
    uri = f"hf://datasets/{listing.repository}"
    return OpenedDataset(uri, revision=listing.revision, modalities=modalities)


def plan_part(
    dataset: OpenedDataset,
    choice: PartChoice,
    target: Path,
    part_of: Mapping[str, Any],
    *,
    progress: Progress,
) -> PartPlan:
    """Return which views are to be fetched; only indexes and, for conditions, rows are read.

    Raises:
        InputError: a name fits nothing, no view is left, or something stands at `target`.
        CorruptDataError, DownloadError: bytes have changed, or cannot be reached.
    """
    require_target(target, [dataset])
    choice.require_fitting(entry.scene_id for entry in dataset.scenes)
    choice.require_split({entry.split for entry in dataset.scenes})
    chosen: list[ChosenScene] = []
    paths: set[str] = set()
    progress.start("Looking at", len(dataset.scenes), "scenes")
    for scene in _fitting(dataset, choice, paths, progress):
        if choice.max_bytes is not None:
            total = sum(one.num_bytes for one in chosen) + scene.num_bytes
            if total > choice.max_bytes:
                _require_any(chosen, scene)
                break
        chosen.append(scene)
        if len(chosen) == choice.num_scenes:
            break
    progress.finish()
    if not chosen:
        choice.require_trajectories(paths)
        raise InputError(
            "no view is left", where="lyra-data pull", fix="ask for less: nothing was fetched"
        )
    return PartPlan(dataset, tuple(chosen), target, part_of)


def pull_part(plan: PartPlan, *, progress: Progress) -> Manifest:
    """Fetch the views and write them as a dataset; a killed pull fetches only the rest.

    Raises:
        CorruptDataError: bytes have changed; nothing of that scene is kept.
        DownloadError, StorageError: the Hub or the disk refuses; what was fetched is kept.
        BusyError: another process pulls into this folder.
    """
    root = plan.target.resolve().parent / SCRATCH
    store = ScratchStore(root, f"pull-{content_key([plan.target.name])[:12]}")
    with held_lock(store.folder, "pull"):
        plan.dataset.keep_unfinished(store.folder / UNFINISHED)
        revision = [plan.part_of["repository"], plan.part_of["revision"]]
        scenes = [
            PulledScene(plan.dataset, scene.entry, scene.views, revision, store)
            for scene in plan.scenes
        ]
        missing = [(scene, modality) for scene in scenes for modality in scene.missing()]
        sizes = sum(scene.num_bytes for scene in plan.scenes)
        rest = sizes * len(missing) // max(len(scenes) * len(plan.dataset.modalities), 1)
        require_free_space(sizes + rest, plan.target)  # it is kept, and then written
        fetch_scenes(missing, progress)
        names = {scene.entry.scene_id for scene in plan.scenes}
        dataset = plan.dataset
        manifest = write_copies(
            scenes,
            plan.target,
            command={"verb": "pull", **plan.part_of["choice"]},
            inputs=[dataset],
            dropped=[view for view in dataset.manifest.dropped if view.scene_id in names],
            scenes_per_shard=dataset.scenes_per_shard,
            progress=progress,
            part_of=plan.part_of,
        )
        shutil.rmtree(store.folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # others may keep work there
        root.rmdir()
    return manifest


def _fitting(
    dataset: OpenedDataset, choice: PartChoice, paths: set[str], progress: Progress
) -> Iterator[ChosenScene]:
    """Yield the scenes that fit, with their views that do; notes the camera paths in `paths`."""
    columns = choice.columns
    for entry in dataset.scenes:
        progress.advance(note=entry.scene_id)
        if not choice.names_scene(entry.scene_id):
            continue
        if choice.splits and entry.split not in choice.splits:
            continue
        views = entry.view_indices
        if columns:
            rows = dataset.preview(entry, sorted({*columns, "trajectory"}))
            paths |= {row["trajectory"] for row in rows}
            views = tuple(row["view_index"] for row in rows if _holds(row, entry, choice))
        if views:
            stored = dataset.stored(entry)
            sizes = [size_of_views(stored, modality, views) for modality in dataset.modalities]
            yield ChosenScene(entry, views, sum(sizes))


def _holds(row: Row, entry: SceneEntry, choice: PartChoice) -> bool:
    if choice.trajectories and row["trajectory"] not in choice.trajectories:
        return False
    values = {**row, "split": entry.split}
    return all(condition.holds(values) for condition in choice.conditions)


def _require_any(chosen: Sequence[ChosenScene], first: ChosenScene) -> None:
    if not chosen:
        raise InputError(
            f"the first scene, {first.entry.scene_id}, has {first.num_bytes / 1e9:.3f} GB",
            where="--max-gb",
            fix="allow more, or leave views or modalities out (--trajectories, --modalities)",
        )
