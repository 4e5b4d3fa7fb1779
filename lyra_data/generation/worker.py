"""Worker: does one task at a time. It loads its models once, at the first view it has to make.

Tasks and outcomes are small values: they travel between processes and machines. Whatever happens
in a task is told in its outcome; what is nobody's fault but the machine's, or concerns all tasks
alike, asks the run to stop. A worker that can do nothing more says so, and is replaced.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import torch

from lyra_data.clips.store import read_clip
from lyra_data.engine.errors import InputError, LyraError
from lyra_data.engine.failures import Failure
from lyra_data.engine.placement import Placement
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation import assembly
from lyra_data.generation.costs import Stopwatch, write_cost
from lyra_data.generation.failed_jobs import WORKER_DIED, FailedJobs, is_tried_again
from lyra_data.generation.jobs import Job
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.view_making import ViewMaker
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from lyra_data.views.dropped import DroppedView
from lyra_data.views.store import write_view

STAGE = "generate"
VIEW_FILE = "view.parquet"
"""Name of a view in its scratch item."""

MOST_IN_A_ROW = 5
"""Faults of the program without a task that went well between; then the worker ends, for what it
has loaded may be broken in a way that no error tells."""

log = logging.getLogger(__name__)


class Maker(Protocol):
    """What turns a job into a view; `ViewMaker` is the one. Its constructor loads no weights."""

    @property
    def fingerprints(self) -> Mapping[str, str]: ...

    def make(self, clip: Clip, job: Job) -> View: ...


class MakerClass(Protocol):
    def __call__(self, params: GenerateParams, placement: Placement) -> Maker: ...


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker of a run is told before its first task.

    Attributes:
        clips: folder of all clips.
        scratch: scratch folder of the whole pipeline; one that all workers share.
        retry_failed: try recorded failures again.
    """

    params: GenerateParams
    placement: Placement
    clips: Path
    scratch: Path
    retry_failed: bool = False
    maker: MakerClass = ViewMaker


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


Task: TypeAlias = ViewTask | SceneTask
State = Literal["made", "found", "failed", "failed_before", "assembled", "lost", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        state: "found": was finished already. "failed_before": a recorded failure, not tried again.
            "lost": its worker died. "stopped": no task can go on before `error` is mended.
        failure: why it failed, where it did.
        dropped: views that were made and are not good enough; a scene that fails because all its
            views are such has both.
        worker_ends: the worker can do no other task.
    """

    state: State
    failure: Failure | None = None
    dropped: tuple[DroppedView, ...] = ()
    error: Exception | None = None
    worker_ends: bool = False


def lost(task: Task, reason: str, *, worker_ends: bool = False) -> Outcome:
    """The outcome of a task whose worker died."""
    return Outcome("lost", Failure(task.name, WORKER_DIED, reason), worker_ends=worker_ends)


class Worker:
    """Holds what is loaded once: the models, and the clip read last."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._views = ScratchStore(setup.scratch, STAGE)
        self._scenes = ScratchStore(setup.scratch, assembly.STAGE)
        self._failed = FailedJobs(setup.scratch)
        self._maker: Maker | None = None
        self._clip: tuple[str, Clip] | None = None
        self._faults_in_a_row = 0

    def do(self, task: Task) -> Outcome:
        """One task; never raises but for Ctrl-C."""
        try:
            outcome = self._make(task) if isinstance(task, ViewTask) else self._assemble_scene(task)
        except Exception as error:
            return self._failed_with(error, task)
        if outcome.state in ("made", "assembled"):
            self._faults_in_a_row = 0
        return outcome

    def _failed_with(self, error: Exception, task: Task) -> Outcome:
        if stops_the_run(error):
            return Outcome("stopped", error=_sendable(error))
        if is_end_of_gpu(error):
            return lost(task, f"the GPU failed: {str(error).splitlines()[0]}", worker_ends=True)
        self._faults_in_a_row += not isinstance(error, InputError)
        try:
            failure = self._record(task, error)
        except LyraError as refused:  # the disk, of all things
            return Outcome("stopped", error=refused)
        worker_ends = self._faults_in_a_row >= MOST_IN_A_ROW
        return Outcome("failed", failure=failure, worker_ends=worker_ends)

    def _make(self, task: ViewTask) -> Outcome:
        if self._views.get(task.key) is not None:
            return Outcome("found")
        known = self._failed.get(task.key)
        if known is not None and not (self._setup.retry_failed or is_tried_again(known)):
            return Outcome("failed_before", failure=known)
        placement = self._setup.placement
        if self._maker is None:
            self._maker = self._setup.maker(self._setup.params, placement)
        watch = Stopwatch(placement.device)
        view = self._maker.make(self._read_clip(task.clip_folder), task.job)
        with self._views.put(task.key) as folder:
            write_view(folder / VIEW_FILE, view)
            shape = (len(view.frames), view.cameras.height, view.cameras.width)
            teacher = self._maker.fingerprints["teacher_fingerprint"]
            write_cost(watch.cost(folder / VIEW_FILE, shape, teacher), folder)
        self._failed.forget(task.key)
        return Outcome("made")

    def _assemble_scene(self, task: SceneTask) -> Outcome:
        dropped = assembly.assemble(
            {index: self._views.folder / key / VIEW_FILE for index, key in task.views.items()},
            task.scene_id,
            task.target,
            self._setup.params,
            store=self._scenes,
            key=task.key,
        )
        if len(dropped) < len(task.views):
            return Outcome("assembled", dropped=tuple(dropped))
        failure = Failure.of(task.name, assembly.nothing_kept(dropped))
        return Outcome("failed", failure=failure, dropped=tuple(dropped))

    def _read_clip(self, folder: str) -> Clip:
        """Jobs of one scene follow each other: its clip is read once."""
        if self._clip is None or self._clip[0] != folder:
            self._clip = None  # never two clips in memory
            self._clip = (folder, read_clip(self._setup.clips / folder))
        return self._clip[1]

    def _record(self, task: Task, error: Exception) -> Failure:
        """A view's failure is kept; a scene is tried in each run."""
        if isinstance(error, InputError):
            failure, told = Failure.of(task.name, error), ""
        else:
            failure = Failure.unexpected(task.name, error)
            told = "".join(traceback.format_exception(error))
        if isinstance(task, ViewTask):
            return self._failed.put(task.key, failure, told)
        if told:
            log.error("scene %s:\n%s", task.name, told)
        return failure


def stops_the_run(error: Exception) -> bool:
    """Whether to try further tasks is in vain, or this one would do well once it is mended.

    An InputError is of one scene, and a fault of the program may be. All other errors that a user
    can mend, and what the machine refuses, are no property of the job: recorded under its content
    key they would keep it from being tried again.
    """
    if isinstance(error, LyraError):
        return not isinstance(error, InputError)
    return isinstance(error, OSError | MemoryError) or is_memory_refusal(error)


def is_memory_refusal(error: Exception) -> bool:
    """Torch has errors of its own for memory, on CPU and GPU, all of them RuntimeErrors."""
    said = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in said or "out of memory" in said
    )


def is_end_of_gpu(error: Exception) -> bool:
    """Whether every later use of the GPU by this process fails too: an illegal access, a memory
    fault, an assertion on the device. To refuse memory is not of that kind (`stops_the_run`)."""
    is_told = isinstance(error, RuntimeError) and str(error).startswith("CUDA error")
    return is_told or isinstance(error, torch.AcceleratorError)


def _sendable(error: Exception) -> Exception:
    """Torch's kinds of RuntimeError need not be known where the error is sent to."""
    return RuntimeError(str(error)) if isinstance(error, RuntimeError) else error
