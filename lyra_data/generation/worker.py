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
from lyra_data.generation.encoded_views import (
    is_whole,
    write_encoded,
)
from lyra_data.generation.jobs import Job
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.view_making import ViewMaker
from lyra_data.packing.blob_store import BlobStore, HeldBlobs
from lyra_data.packing.encoding import encoding_of_store
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from lyra_data.views.fields import Row, row_from_view
from lyra_data.views.store import read_row, write_row

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
        key: content key of the view, in the form that it is kept in.
        made_as: content key of the lossless view.
    """

    number: int
    clip_folder: str
    job: Job
    key: str
    made_as: str

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
        outputs: folder beside whose `views` the blobs of encoded views are kept.
        retry_failed: try recorded failures again.
        held: a dataset that may hold blobs which the store has let go of.
        remote: where views, their blobs and failures are kept besides, listed.
    """

    params: GenerateParams
    clips: Path
    scratch: Path
    outputs: Path
    retry_failed: bool = False
    maker: MakerClass = ViewMaker
    held: HeldBlobs | None = None
    remote: RemoteWork | None = None

    def build(self, placement: Placement) -> GenerationWork:
        return GenerationWork(self, placement)


class GenerationWork:
    """Holds what is loaded once: the models, and the clip read last."""

    def __init__(self, setup: GenerationSetup, placement: Placement) -> None:
        self._setup = setup
        self._placement = placement
        self._views = ScratchStore(setup.scratch, STAGE, setup.remote)
        self._blobs = BlobStore(setup.outputs, setup.remote)
        self._encoding = encoding_of_store(setup.params.store)
        self._scenes = ScratchStore(setup.scratch, assembly.STAGE)
        self._failed = failed_views(setup.scratch, setup.remote)
        self._maker: Maker | None = None
        self._clip: tuple[str, Clip] | None = None

    def do(self, task: GenerationTask) -> Outcome:
        """Make a view, or assemble a scene; the result of a scene are its dropped views."""
        return self._make(task) if isinstance(task, ViewTask) else self._assemble(task)

    def _make(self, task: ViewTask) -> Outcome:
        if self._is_finished(task.key):
            return Outcome("found")
        known = self._failed.get(task.key)
        if known is not None and not (self._setup.retry_failed or is_tried_again(known)):
            return Outcome("failed_before", failure=known)
        if self._maker is None:
            self._maker = self._setup.maker(self._setup.params, self._placement)
        watch = Stopwatch(self._placement.device)
        kept = self._kept_lossless(task)
        row = row_from_view(self._made(task)) if kept is None else kept
        with self._views.put(task.key) as folder:
            size = self._write(folder, row)
            teacher = self._maker.fingerprints["teacher_fingerprint"]
            shape = (row["num_frames"], row["height"], row["width"])
            if kept is None:  # else it was not made now, and cost nothing to make
                write_cost(watch.cost(size, shape, teacher, self._setup.params.store), folder)
        return Outcome("done")

    def _is_finished(self, key: str) -> bool:
        """Return whether a view is kept whole; what is left of one that is not is removed."""
        item = self._views.get(key)
        if item is None or self._encoding is None:
            return item is not None
        if is_whole(item / VIEW_FILE, self._blobs, self._setup.held):
            return True
        self._views.remove(key)
        return False

    def _made(self, task: ViewTask) -> View:
        assert self._maker is not None
        return self._maker.make(self._read_clip(task.clip_folder), task.job)

    def _kept_lossless(self, task: ViewTask) -> Row | None:
        """Return a view to be encoded, where it is kept without loss from an earlier run."""
        item = self._views.get(task.made_as) if task.made_as != task.key else None
        return None if item is None else read_row(item / VIEW_FILE)

    def _write(self, folder: Path, row: Row) -> int:
        """Write a view in the form that params choose, and return its bytes."""
        file = folder / VIEW_FILE
        if self._encoding is None:
            write_row(file, row)
            return file.stat().st_size
        blobs = write_encoded(folder, VIEW_FILE, row, self._encoding, self._blobs)
        return file.stat().st_size + blobs

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
