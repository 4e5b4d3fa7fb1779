"""The runner: plan every view, make those not made yet, assemble scenes. Killed runs go on.

The plan holds the facts of clips, never clips; tasks are made when a worker is free to take one.
Models are loaded where views are made, and only when one is to be made.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lyra_data.clips.store import scene_folders
from lyra_data.engine.atomic import folder_atomically, remove_leftovers
from lyra_data.engine.errors import StageOrderError
from lyra_data.engine.failures import Failure, check_failures, record_failures
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.generation import assembly, worker
from lyra_data.generation.executors import open_executor
from lyra_data.generation.executors.base import Crew, Executor
from lyra_data.generation.failed_jobs import FailedJobs, is_tried_again
from lyra_data.generation.jobs import ClipFacts, num_jobs, plan_jobs, read_facts
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.view_making import ViewMaker
from lyra_data.generation.worker import (
    MakerClass,
    Outcome,
    SceneTask,
    Task,
    ViewTask,
    WorkerSetup,
)
from lyra_data.views.dropped import DroppedView, record_dropped

log = logging.getLogger(__name__)

HOPELESS = 20
"""New failures after which a run gives up if nothing at all went well."""

RETRY = "`lyra-data generate --retry-failed` tries them again"


@dataclass(frozen=True)
class Generation:
    """What generation did.

    Attributes:
        made, reused: views made now, and views found finished.
        failures: views, and scenes, that failed, those of earlier runs among them.
        known_failures: how many of these failed in an earlier run and were not tried again.
        dropped: views that were made and are not good enough.
    """

    made: int
    reused: int
    failures: list[Failure]
    known_failures: int = 0
    dropped: list[DroppedView] = field(default_factory=list)


def generate_views(
    params: GenerateParams,
    *,
    seed: int,
    clips: Path,
    views: Path,
    scratch: Path,
    progress: Progress,
    crew: Crew | None = None,
    retry_failed: bool = False,
    maker: MakerClass = ViewMaker,
) -> Generation:
    """Make every view of every clip and store them as one folder per scene.

    Finished views wait in the scratch store under a key of all that determines them, so a run that
    was killed, or one to which trajectories were added at the end, makes just what is missing.
    Failures are recorded there too: a later run reports and does not try them. A job whose worker
    died is tried a second time when all others are done, and again in later runs, up to
    `failed_jobs.MOST_ATTEMPTS`.

    Args:
        crew: how many workers, where; None: `Crew()`.
        retry_failed: try recorded failures again.
        maker: what makes a view; another one in tests and benchmarks.

    Raises:
        StageOrderError: there are no clips.
        CorruptDataError: a clip is cut or altered.
        ScenesFailedError: more views, or scenes, failed than params allow.
        ExecutorError: the workers cannot be started, or the GPU of this very process failed.
        StorageError: the disk is full or cannot be written; finished views stay in the store.
    """
    crew = crew or Crew()
    # Components name their weights without loading them, wherever they will run.
    fingerprints = maker(params, Placement("cpu", root=crew.root)).fingerprints
    plan = Plan(read_clip_facts(clips), params, seed, KeyMaker(params, fingerprints))
    setup = WorkerSetup(
        params, Placement("cpu", root=crew.root), clips, scratch, retry_failed, maker
    )
    try:
        with open_executor(setup, crew) as executor:
            failed = FailedJobs(scratch)
            made = _make_views(plan, executor, failed, progress, retry_failed=retry_failed)
            check_failures(
                list(made.failures.values()),
                len(made.failures) if made.is_hopeless else plan.num_views,
                params.max_failed_fraction,
                listed_in=failed.list_file,
                retry=RETRY,
            )
            with folder_atomically(views) as target:
                done = _assemble(plan, made, executor, target, progress)
                record_failures(done.failures, target)
                record_dropped(done.dropped, target)
    finally:
        for stage in (worker.STAGE, assembly.STAGE):
            if (scratch / stage).is_dir():  # what workers left that were stopped at their work
                remove_leftovers(scratch / stage)
    progress.finish()
    return done


def read_clip_facts(clips: Path) -> list[ClipFacts]:
    """The facts of all clips, by name of their folder.

    Raises:
        StageOrderError: there are none.
        CorruptDataError: a clip's index is missing, cut or altered.
    """
    folders = scene_folders(clips) if clips.is_dir() else []
    if not folders:
        raise StageOrderError(
            "there are no clips", where=str(clips), fix="run `lyra-data annotate`"
        )
    return [read_facts(folder) for folder in folders]


@dataclass(frozen=True)
class Plan:
    """Which tasks there are; they are made anew whenever they are asked for."""

    clips: list[ClipFacts]
    params: GenerateParams
    seed: int
    keys: KeyMaker

    @property
    def num_views(self) -> int:
        return sum(num_jobs(clip, self.params.trajectories) for clip in self.clips)

    def view_tasks(self) -> Iterator[ViewTask]:
        """Every view, those of one scene after each other."""
        number = 0
        for clip in self.clips:
            for job in plan_jobs(clip, self.params.trajectories, seed=self.seed):
                yield ViewTask(number, clip.folder, job, self.keys.view(job, clip.content))
                number += 1

    def scene_tasks(self, failed: set[str], target: Path) -> Iterator[SceneTask]:
        """Every scene that has views; `failed`: the keys of views that it cannot have."""
        for number, clip in enumerate(self.clips):
            jobs = plan_jobs(clip, self.params.trajectories, seed=self.seed)
            keys = {job.view_index: self.keys.view(job, clip.content) for job in jobs}
            views = {index: key for index, key in keys.items() if key not in failed}
            if views:
                yield SceneTask(number, clip.scene_id, views, self.keys.scene(views), target)


@dataclass
class MadeViews:
    """What became of all views. Failures are by key, in the order of the plan; a run in which
    nothing went well is hopeless and was given up."""

    made: int = 0
    found: int = 0
    known_failures: int = 0
    is_hopeless: bool = False
    failures: dict[str, Failure] = field(default_factory=dict)


def _make_views(
    plan: Plan, executor: Executor, failed: FailedJobs, progress: Progress, *, retry_failed: bool
) -> MadeViews:
    """Every view made, found, or recorded as failed."""
    views = MadeViews()
    failures: dict[int, tuple[str, Failure]] = {}
    lost: list[Task] = []
    progress.start("Generating", plan.num_views, "views")
    try:
        for task, outcome in _in_two_rounds(executor, plan.view_tasks(), lost):
            assert isinstance(task, ViewTask)
            failure = outcome.failure
            comes_again = False
            is_first = failures.pop(task.number, None) is None
            if failure is not None and outcome.state == "lost":
                failure = failed.put_lost(task.key, failure)
                comes_again = is_first and (retry_failed or is_tried_again(failure))
            views.made += outcome.state == "made"
            views.found += outcome.state == "found"
            views.known_failures += outcome.state == "failed_before"
            if failure is not None:
                failures[task.number] = (task.key, failure)
                if outcome.state != "failed_before":
                    what = "is tried again" if comes_again else "failed"
                    log.warning("view %s %s: %s", task.name, what, failure.reason)
            if comes_again:
                lost.append(task)
            else:
                progress.advance(note=_note(task.name, len(failures)))
            if not views.made + views.found and len(failures) - views.known_failures >= HOPELESS:
                log.warning("the first %d views all failed: giving up", len(failures))
                views.is_hopeless = True
                break
    finally:
        views.failures = dict(failures[number] for number in sorted(failures))
        failed.write_list(list(views.failures.values()))
    return views


def _assemble(
    plan: Plan, views: MadeViews, executor: Executor, target: Path, progress: Progress
) -> Generation:
    """Every scene assembled below `target`."""
    failures: dict[int, Failure] = {}
    dropped: dict[int, tuple[DroppedView, ...]] = {}
    lost: list[Task] = []
    progress.start("Assembling", len(plan.clips), "scenes")
    tasks = plan.scene_tasks(set(views.failures), target)
    for task, outcome in _in_two_rounds(executor, tasks, lost):
        comes_again = failures.pop(task.number, None) is None and outcome.state == "lost"
        dropped[task.number] = outcome.dropped
        if outcome.failure is not None:
            log.warning("scene %s failed: %s", task.name, outcome.failure.reason.splitlines()[0])
            failures[task.number] = outcome.failure
        if comes_again:
            lost.append(task)
        else:
            progress.advance(note=_note(task.name, len(failures)))
    of_scenes = [failures[number] for number in sorted(failures)]
    check_failures(of_scenes, len(plan.clips), plan.params.max_failed_fraction)
    return Generation(
        made=views.made,
        reused=views.found,
        failures=[*views.failures.values(), *of_scenes],
        known_failures=views.known_failures,
        dropped=[view for number in sorted(dropped) for view in dropped[number]],
    )


def _in_two_rounds(
    executor: Executor, tasks: Iterable[Task], lost: list[Task]
) -> Iterator[tuple[Task, Outcome]]:
    """Every task's outcome, then that of the `lost` ones: whoever reads puts them there."""
    for round_tasks in (tasks, lost):
        for task, outcome in executor.run(round_tasks):
            if outcome.error is not None:
                raise outcome.error
            yield task, outcome


def _note(name: str, num_failed: int) -> str:
    return f"{num_failed} failed, {name}" if num_failed else name
