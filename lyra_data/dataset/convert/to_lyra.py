"""Convert a dataset to folders that Lyra 1's own loader reads.

That loader counts everything in a root as a camera, so nothing else is written there: scenes with
views of reversed motion go to OUTPUT/dynamic, the others to OUTPUT/static.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lyra_data.dataset.convert.from_lyra import forget_work
from lyra_data.dataset.convert.latent_array import NORMALISED
from lyra_data.dataset.convert.lyra_layout import NUM_FOLDERS, TRAJECTORIES, folder_index
from lyra_data.dataset.convert.to_lyra_worker import (
    FACTS_FILE,
    LyraViewTask,
    WrittenView,
    write_view,
)
from lyra_data.dataset.convert.view_items import ViewWritingSetup, scratch_beside, written_views
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import folder_atomically, link_or_copy
from lyra_data.engine.errors import InputError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.names import checked_file_name
from lyra_data.engine.progress import Progress
from lyra_data.engine.scratch import CONTENTS_FILE


@dataclass
class WrittenLyra:
    """Facts of an export: what was written, and what it cost.

    Attributes:
        kept_videos: files written to the byte.
        encoded_videos: videos encoded again, by what was done.
        rounded_depth: views whose float32 depth became half floats.
        left_out: views whose camera path the layout has no folder for, at most 20.
        num_left_out: how many.
        remarks: settings that Lyra's trainer needs, and what it will stumble over.
    """

    num_scenes: int = 0
    num_views: int = 0
    kept_videos: int = 0
    encoded_videos: Counter[str] = field(default_factory=Counter)
    rounded_depth: int = 0
    without_depth: int = 0
    left_out: list[str] = field(default_factory=list)
    num_left_out: int = 0
    remarks: list[str] = field(default_factory=list)

    def add(self, view: WrittenView) -> None:
        """Add a view."""
        self.num_views += 1
        self.kept_videos += view.kept_videos
        self.encoded_videos.update(view.encoded_videos)
        self.rounded_depth += view.rounded_depth
        self.without_depth += view.without_depth


def convert_to_lyra(
    dataset: SceneDataset, output: Path, progress: Progress, *, crew: Crew | None = None
) -> WrittenLyra:
    """Write the folder `output`; it appears whole or not at all.

    Workers write views; a killed run goes on with those it was at.

    Args:
        crew: how many workers, where; None: this process.

    Raises:
        InputError: depth does not fit half floats, or no view has a folder in the layout.
        CorruptDataError: the dataset has changed.
        ScenesFailedError: workers died over a view twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
        StorageError: the disk is full or cannot be written.
    """
    written, scratch = WrittenLyra(), scratch_beside(output)
    tasks = _planned(dataset, written)
    if not tasks:
        raise InputError(
            f"none of its views goes along a path of Lyra's: {', '.join(TRAJECTORIES)}",
            where=dataset.uri,
            fix="generate views along these paths",
        )
    setup = ViewWritingSetup(dataset, write_view, scratch)
    crew = crew or Crew(device="cpu")
    items = written_views(setup, tasks, len(tasks), crew=crew, progress=progress)
    with folder_atomically(output) as temporary:
        for item in items:
            _put(item, temporary)
            written.add(WrittenView.read(item))
    forget_work(scratch)
    folders = Counter(task.folder for task in tasks)
    written.remarks = [*_incomplete(folders), *_latent_space(dataset)]
    return written


def _planned(dataset: SceneDataset, written: WrittenLyra) -> list[LyraViewTask]:
    """Return a task for every view that the layout has a folder for; note what is left out."""
    tasks: list[LyraViewTask] = []
    taken: set[tuple[str, str]] = set()
    for entry in dataset.scenes:
        facts = dataset.read_fields(
            entry.scene_id, ["trajectory", "motion_reversed", "provenance"], as_stored=True
        )
        root = "dynamic" if any(view["motion_reversed"] for view in facts) else "static"
        name = _name(entry.scene_id, facts[0]["provenance"].get("lyra_name"), root, taken)
        num_before = len(tasks)
        for view_index, view in zip(entry.view_indices, facts, strict=True):
            path, is_reversed = view["trajectory"], bool(view["motion_reversed"])
            index = folder_index(path, motion_reversed=is_reversed)
            if index is None:
                written.num_left_out += 1
                left_out = f"scene {entry.scene_id}, view {view_index}: {path}"
                written.left_out = [*written.left_out, left_out][:20]
            else:
                folder = f"{root}/{index}"
                tasks.append(LyraViewTask(len(tasks), entry.scene_id, view_index, folder, name))
        if len(tasks) > num_before:
            taken.add((root, name))
            written.num_scenes += 1
    return tasks


def _name(scene_id: str, before: str | None, root: str, taken: set[tuple[str, str]]) -> str:
    """Return the scene's name in the source it once came from, if it is free, else its own."""
    where = f"scene {scene_id}"
    if before:
        checked_file_name(before, noun="lyra_name", where=where)
    for name in (before, scene_id):
        if name and (root, name) not in taken:
            return name
    raise InputError(f"two scenes would have the name {scene_id!r}", where=where, fix="rename one")


def _put(item: Path, output: Path) -> None:
    """Link or copy the files of a view into the output."""
    for path in sorted(item.rglob("*")):
        if path.is_file() and path.name not in (CONTENTS_FILE, FACTS_FILE):
            target = output / path.relative_to(item)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # of two views along one path the last one stays
            link_or_copy(path, target)


def _incomplete(folders: Counter[str]) -> list[str]:
    """Return remarks on folders that lack clips: Lyra's loader expects every scene in every folder
    from 0 on."""
    remarks = []
    for root in sorted({folder.partition("/")[0] for folder in folders}):
        expected = NUM_FOLDERS if root == "dynamic" else len(TRAJECTORIES)
        counts = [folders[f"{root}/{index}"] for index in range(expected)]
        if len(set(counts)) > 1:
            clips = ", ".join(f"{index}: {count}" for index, count in enumerate(counts))
            remarks.append(
                f"{root} is not complete (clips by folder: {clips}): Lyra's loader fails, in "
                "silence, on scenes that lack one"
            )
    return remarks


def _latent_space(dataset: SceneDataset) -> list[str]:
    if dataset.codec.name == NORMALISED.name:
        return []
    return [
        f"latents are those of codec {dataset.codec.name}, not normalised: set "
        "is_generated_cosmos_latent to False in Lyra's registry"
    ]
