"""The work of generation: making views, and assembling scenes of them.

Models are loaded once, at the first view that has to be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from lyra_data.clips.store import read_clip
from lyra_data.engine.executors.base import Outcome
from lyra_data.engine.executors.failed_tasks import FailedTasks, is_tried_again
from lyra_data.engine.failures import Failure
from lyra_data.engine.placement import Placement
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation import assembly
from lyra_data.generation.costs import Stopwatch, write_cost
from lyra_data.generation.jobs import Job
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.view_making import ViewMaker
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from lyra_data.views.store import write_view

STAGE = "generate"
FAILURES_STAGE = "generate_failures"
VIEW_FILE = "view.parquet"
"""Name of a view in its scratch item."""


class Maker(Protocol):
    """Turns a job into a view, as `ViewMaker` does. Its constructor loads no weights."""

    @property
    def fingerprints(self) -> Mapping[str, str]: ...

    def make(self, clip: Clip, job: Job) -> View: ...


class MakerClass(Protocol):
    def __call__(self, params: GenerateParams, placement: Placement) -> Maker: ...


@dataclass(frozen=True)
class ViewTask:
    """Make one view, unless it is finished or known to fail.

    Attributes:
        number: place in the run's plan.
        clip_folder: name of the clip's folder.
        key: content key of the view.
    """

    number: int
    clip_folder: str
    job: Job
    key: str

    @property
    def name(self) -> str:
        return self.job.name


@dataclass(frozen=True)
class SceneTask:
    """Assemble one scene.

    Attributes:
        number: place in the run's plan.
        scene_id: the scene.
        views: content keys of its finished views, by view_index.
        key: content key of the assembled scene.
        target: folder of all scenes.
    """

    number: int
    scene_id: str
    views: Mapping[int, str]
    key: str
    target: Path

    @property
    def name(self) -> str:
        return self.scene_id


GenerationTask: TypeAlias = ViewTask | SceneTask


@dataclass(frozen=True)
class GenerationSetup:
    """Holds everything that a worker of a run needs before its first task.

    Attributes:
        clips: folder of all clips.
        scratch: scratch folder of the whole pipeline; one that all workers share.
        retry_failed: try recorded failures again.
        remote: where views and failures are kept besides, listed.
    """

    params: GenerateParams
    clips: Path
    scratch: Path
    retry_failed: bool = False
    maker: MakerClass = ViewMaker
    remote: RemoteWork | None = None

    def build(self, placement: Placement) -> GenerationWork:
        return GenerationWork(self, placement)


class GenerationWork:
    """Holds what is loaded once: the models, and the clip read last."""

    def __init__(self, setup: GenerationSetup, placement: Placement) -> None:
        self._setup = setup
        self._placement = placement
        self._views = ScratchStore(setup.scratch, STAGE, setup.remote)
        self._scenes = ScratchStore(setup.scratch, assembly.STAGE)
        self._failed = failed_views(setup.scratch, setup.remote)
        self._maker: Maker | None = None
        self._clip: tuple[str, Clip] | None = None

    def do(self, task: GenerationTask) -> Outcome:
        """Make a view, or assemble a scene; the result of a scene are its dropped views."""
        return self._make(task) if isinstance(task, ViewTask) else self._assemble(task)

    def _make(self, task: ViewTask) -> Outcome:
        if self._views.get(task.key) is not None:
            return Outcome("found")
        known = self._failed.get(task.key)
        if known is not None and not (self._setup.retry_failed or is_tried_again(known)):
            return Outcome("failed_before", failure=known)
        if self._maker is None:
            self._maker = self._setup.maker(self._setup.params, self._placement)
        watch = Stopwatch(self._placement.device)
        view = self._maker.make(self._read_clip(task.clip_folder), task.job)
        with self._views.put(task.key) as folder:
            write_view(folder / VIEW_FILE, view)
            shape = (len(view.frames), view.cameras.height, view.cameras.width)
            teacher = self._maker.fingerprints["teacher_fingerprint"]
            write_cost(watch.cost(folder / VIEW_FILE, shape, teacher), folder)
        return Outcome("done")

    def _assemble(self, task: SceneTask) -> Outcome:
        dropped = assembly.assemble(
            {index: self._views.folder / key / VIEW_FILE for index, key in task.views.items()},
            task.scene_id,
            task.target,
            self._setup.params,
            store=self._scenes,
            key=task.key,
        )
        if len(dropped) < len(task.views):
            return Outcome("done", result=dropped)
        failure = Failure.of(task.name, assembly.nothing_kept(dropped))
        return Outcome("failed", result=dropped, failure=failure)

    def _read_clip(self, folder: str) -> Clip:
        """Read a clip once for all jobs of its scene, which follow each other."""
        if self._clip is None or self._clip[0] != folder:
            self._clip = None  # never two clips in memory
            self._clip = (folder, read_clip(self._setup.clips / folder))
        return self._clip[1]


def failed_views(scratch: Path, remote: RemoteWork | None = None) -> FailedTasks:
    """Return the views that failed, as recorded in the scratch folder of the whole pipeline."""
    return FailedTasks(scratch, FAILURES_STAGE, remote)
