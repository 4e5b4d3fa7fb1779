"""Check a packaged dataset: files, then rows, then views; in the order of DATASET_RULES.

What an earlier step finds wrong is left out of the later ones. Workers check files and scenes, this
process what only the whole dataset shows: who checked what changes nothing of the findings.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.checks.files import unlisted_files
from lyra_data.dataset.checks.locations import DatasetFinding, file_finding
from lyra_data.dataset.checks.rows import check_shards
from lyra_data.dataset.checks.rules import DATASET_RULES
from lyra_data.dataset.checks.totals import Totals
from lyra_data.dataset.checks.worker import (
    CheckedScene,
    DatasetCheckSetup,
    FileTask,
    SceneTask,
    has_pixels,
)
from lyra_data.dataset.format.manifest import MANIFEST_PATH, Manifest
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.all_or_nothing import results_of_all
from lyra_data.engine.executors.base import Crew, Executor
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.findings import Severity, worst_severity
from lyra_data.engine.progress import Progress

ViewName = tuple[str, int]
"""scene_id and view_index."""


@dataclass(frozen=True)
class CheckedDataset:
    """A dataset and its findings.

    Attributes:
        num_looked_at: views whose frames and depth were decoded.
    """

    uri: str
    num_scenes: int
    num_views: int
    num_looked_at: int
    findings: tuple[DatasetFinding, ...]

    @property
    def worst(self) -> Severity | None:
        return worst_severity(self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": self.uri,
            "num_scenes": self.num_scenes,
            "num_views": self.num_views,
            "num_looked_at": self.num_looked_at,
            "findings": [finding.as_json() for finding in self.findings],
        }


def is_dataset(uri: Path | str) -> bool:
    """Return whether it is a URI, or a folder that has a manifest or the data of a dataset."""
    folder = Path(uri)
    return (
        "://" in str(uri)
        or (folder / MANIFEST_PATH).is_file()
        or (folder / "meta" / "index").is_dir()
        or (folder / "data" / "preview").is_dir()
    )


def check_dataset(
    uri: Path | str, *, sample: int | None, progress: Progress, crew: Crew | None = None
) -> CheckedDataset:
    """Return what the rules find; nothing is written.

    Args:
        sample: views whose frames and depth are decoded, always the same ones; None: all. Files,
            rows, cameras and latents are checked of all views.
        crew: how many workers, where; None: this process.

    Raises:
        InputError, StageOrderError: it cannot be reached, or there is no such folder.
        ScenesFailedError: workers died over a file or a scene twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
    """
    try:
        files = DatasetFiles.open(uri)
    except CorruptDataError as error:
        finding = file_finding("manifest", error.what, file=MANIFEST_PATH.as_posix())
        return CheckedDataset(str(uri), 0, 0, 0, (finding,))
    manifest = files.manifest
    chosen = sampled_views(manifest, sample)
    num_views = sum(len(scene.view_indices) for scene in manifest.scenes)
    num_looked_at = 0
    paths = [entry.path for entry in (*manifest.files, *manifest.shards)]
    most_tasks = max(len(paths), len(manifest.scenes))
    crew = crew or Crew(device="cpu")
    with open_executor(DatasetCheckSetup(files), crew.for_tasks(most_tasks)) as executor:
        tasks = itertools.starmap(FileTask, enumerate(paths))
        queue = TaskQueue(tasks, len(paths), "Hashing", "file")
        findings = [*itertools.chain(*results_of_all(queue, executor, progress))]
        findings += unlisted_files(files)
        if not any(finding.severity == "error" for finding in findings):
            findings += check_shards(files)
        if not any(finding.severity == "error" for finding in findings):
            findings += _check_scenes(manifest, chosen, executor, progress)
            num_looked_at = len(chosen) if has_pixels(files) else 0
    ordered = tuple(DATASET_RULES.sort(findings))
    return CheckedDataset(str(uri), len(manifest.scenes), num_views, num_looked_at, ordered)


def sampled_views(manifest: Manifest, number: int | None) -> set[ViewName]:
    """Return so many views, drawn by a hash of their names; None: all."""
    every = [(scene.scene_id, view) for scene in manifest.scenes for view in scene.view_indices]
    ordered = sorted(
        every, key=lambda name: hashlib.sha256(f"{name[0]}/{name[1]}".encode()).digest()
    )
    return set(ordered[:number])


def _check_scenes(
    manifest: Manifest, chosen: set[ViewName], executor: Executor, progress: Progress
) -> list[DatasetFinding]:
    tasks = [
        SceneTask(
            number,
            scene.scene_id,
            frozenset(view for view in scene.view_indices if (scene.scene_id, view) in chosen),
        )
        for number, scene in enumerate(manifest.scenes)
    ]
    queue = TaskQueue(tasks, len(tasks), "Looking at", "scene")
    checked: list[CheckedScene] = results_of_all(queue, executor, progress)
    findings = [finding for scene in checked for finding in scene.findings]
    totals = Totals()
    for entry, scene in zip(manifest.scenes, checked, strict=True):
        if scene.sums is None:  # what all scenes show is not known
            return findings
        totals.add(entry, scene.sums)
    return findings + totals.findings(manifest)
