"""Reconstruct the scenes of a project: what is finished is found again by what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import folder_atomically, link_or_copy, remove_leftovers
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.all_or_nothing import results_of_all
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.local import InThisProcess
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.progress import Progress, silent
from lyra_data.engine.scratch import CONTENTS_FILE
from lyra_data.generation.params import GenerateParams
from lyra_data.views.store import view_files
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.reconstruct import REPORT
from lyra_model.reconstruction.worker import STAGE, Folders, ReconstructionSetup, SceneTask


@dataclass(frozen=True)
class Reconstructed:
    """Scenes that were reconstructed.

    Attributes:
        reports: what report.json of each scene holds, by scene.
        made: of them, those that this run made; the others were found finished.
    """

    reports: Mapping[str, dict[str, Any]]
    made: int


def reconstruct_scenes(
    params: ReconstructParams,
    train: TrainParams,
    generate: GenerateParams,
    *,
    folders: Folders,
    crew: Crew,
    seed: int,
    progress: Progress,
) -> Reconstructed:
    """Write the files of every scene that has views.

    Args:
        train, generate: other sections of params.yaml: how pictures are rendered, which phases
            there are, which frames of a video the views show and what made their latents.
        crew: how many workers, where. Where this process does the work, progress shows the steps
            of each fit, else the scenes.

    Raises:
        StageOrderError: there are no views, or the phase whose weights are read is not trained.
        ParamsError: there is no such phase.
        InputError: as `Reconstructor.make`; there is no such folder of weights.
        CorruptDataError: a view, a clip or a decoder is cut or altered.
        ScenesFailedError: workers died over a scene twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
        StorageError: the disk refuses.
    """
    groups = groupby(view_files(folders.views), key=lambda path: path.parent.name)
    tasks = [SceneTask(n, scene_id, tuple(files)) for n, (scene_id, files) in enumerate(groups)]
    finished = _finish(tasks, params, train, generate, folders, crew, seed, progress)
    store = folders.scratch / STAGE
    items = {task.name: store / key for task, (key, _) in zip(tasks, finished, strict=True)}
    with folder_atomically(folders.scenes) as target:
        for scene_id, item in items.items():
            copy_item(item, target / scene_id)
    reports = {scene_id: _read_report(item) for scene_id, item in items.items()}
    return Reconstructed(reports, sum(is_new for _, is_new in finished))


def _finish(
    tasks: list[SceneTask],
    params: ReconstructParams,
    train: TrainParams,
    generate: GenerateParams,
    folders: Folders,
    crew: Crew,
    seed: int,
    progress: Progress,
) -> list[tuple[str, bool]]:
    """Return the key of every scene in the scratch store, and whether it was made now."""
    stays_here = _stays_here(crew, len(tasks))
    of_fits, of_scenes = (progress, silent) if stays_here else (silent, progress)
    setup = ReconstructionSetup(params, train, generate, folders, seed, of_fits)
    queue = TaskQueue(tasks, len(tasks), "Reconstructing", "scene")
    try:
        with (
            nullcontext(InThisProcess(setup, crew.placement_here()))
            if stays_here
            else open_executor(setup, crew.for_tasks(len(tasks)))
        ) as executor:
            return results_of_all(queue, executor, of_scenes)
    finally:
        if (folders.scratch / STAGE).is_dir():  # what workers left that were stopped at their work
            remove_leftovers(folders.scratch / STAGE)


def _stays_here(crew: Crew, num_scenes: int) -> bool:
    """Return whether the command does the work itself: nobody asked for workers, and none would be
    beside another."""
    if crew.executor != "local" or crew.workers is not None:
        return False
    return num_scenes == 1 or not crew.placement_here().device.startswith("cuda")


def copy_item(item: Path, target: Path) -> None:
    """Link or copy a finished scene's files into a folder that is not there yet."""
    for path in sorted(item.rglob("*")):
        if path.is_file() and path.name != CONTENTS_FILE:
            copied = target / path.relative_to(item)
            copied.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, copied)


def _read_report(item: Path) -> dict[str, Any]:
    return read_json_object(item / REPORT, kind="report", fix=f"delete {item}")
