"""The runner: plan every view, make those not made yet, assemble scenes. Killed runs go on.

Models are loaded where views are made, and only when one is to be made.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import folder_atomically, remove_leftovers
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.base import Crew, Executor
from lyra_data.engine.executors.failed_tasks import FailedTasks
from lyra_data.engine.executors.shares import Share, ShareResults
from lyra_data.engine.executors.task_queue import QueueResults, TaskQueue
from lyra_data.engine.failures import Failure, check_failures, record_failures
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation import assembly, worker
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.plan import Plan, read_clip_facts
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.user_paths import read_user_paths
from lyra_data.generation.view_making import ViewMaker
from lyra_data.generation.worker import GenerationSetup, MakerClass, failed_views
from lyra_data.packing.blob_store import STORE, BlobStore, HeldBlobs
from lyra_data.views.dropped import DroppedView, record_dropped

log = logging.getLogger(__name__)

HOPELESS = 20
"""New failures after which a run gives up if nothing at all went well."""

STAGES = (worker.STAGE, worker.FAILURES_STAGE, STORE)
"""Stages of finished pieces that are kept at an address besides."""

RETRY = "`lyra-data generate --retry-failed` tries them again"


@dataclass(frozen=True)
class Generation:
    """Counts what generation made, and lists what it could not.

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

    def as_json(self) -> dict[str, Any]:
        return {
            "made": self.made,
            "reused": self.reused,
            "failures": [failure.as_json() for failure in self.failures],
            "failures_not_tried_again": self.known_failures,
            "dropped": [view.as_json() for view in self.dropped],
        }


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
    held: HeldBlobs | None = None,
    remote: RemoteWork | None = None,
) -> Generation:
    """Make every view of every clip and store them as one folder per scene.

    Finished views wait in the scratch store under a key of all that determines them, so a run that
    was killed, or one to which trajectories were added at the end, makes just what is missing.
    Failures are recorded there too: a later run reports and does not try them. A job whose worker
    died is tried a second time when all others are done, and again in later runs, up to
    `failed_tasks.MOST_ATTEMPTS`.

    Args:
        crew: how many workers, where; None: `Crew()`.
        retry_failed: try recorded failures again.
        maker: what makes a view; another one in tests and benchmarks.
        held: a dataset that may hold the blobs of encoded views; None: nothing else holds them.
        remote: where finished views are kept besides `scratch`; None: nowhere.

    Raises:
        StageOrderError: there are no clips.
        CorruptDataError: a clip is cut or altered.
        InputError: the file of a camera path is missing or unreadable.
        ScenesFailedError: more views, or scenes, failed than params allow.
        ExecutorError: the workers cannot be started, or the GPU of this very process failed.
        StorageError: the disk is full or cannot be written; finished views stay in the store.
    """
    crew = crew or Crew()
    plan = _plan(params, seed, clips, crew, maker)
    remote = remote and remote.listed(*STAGES)
    outputs = views.parent
    setup = GenerationSetup(params, clips, scratch, outputs, retry_failed, maker, held, remote)
    try:
        with open_executor(setup, crew.for_tasks(plan.num_views)) as executor:
            failed = failed_views(scratch, remote)
            made = _make_views(plan, executor, failed, progress, retry_failed)
            with folder_atomically(views) as target:
                assembled = _assemble(plan, made, executor, target, progress)
                done = _generation(made, assembled)
                record_failures(done.failures, target)
                record_dropped(done.dropped, target)
    finally:
        _remove_leftovers(scratch, outputs)
    progress.finish()
    return done


def generate_share(
    params: GenerateParams,
    share: Share,
    *,
    seed: int,
    clips: Path,
    views: Path,
    scratch: Path,
    progress: Progress,
    crew: Crew | None = None,
    retry_failed: bool = False,
    maker: MakerClass = ViewMaker,
    held: HeldBlobs | None = None,
    remote: RemoteWork | None = None,
) -> ShareResults:
    """Make the views of one share and leave them in the scratch store; assemble no scene.

    Args and Raises as `generate_views`; the blobs of encoded views are kept beside `views`, and
    nothing is written there. More failures than params allow of all views are too many.
    """
    crew = crew or Crew()
    plan = _plan(params, seed, clips, crew, maker)
    remote = remote and remote.listed(*STAGES)
    outputs = views.parent
    setup = GenerationSetup(params, clips, scratch, outputs, retry_failed, maker, held, remote)
    size = plan.num_views_of(share)
    try:
        with open_executor(setup, crew.for_tasks(size)) as executor:
            failed = failed_views(scratch, remote)
            made = _make_views(plan, executor, failed, progress, retry_failed, share)
    finally:
        _remove_leftovers(scratch, outputs)
    progress.finish()
    store = ScratchStore(scratch, worker.STAGE, remote and remote.listed(worker.STAGE))
    finished = sum(store.has(task.key) for task in plan.view_tasks())
    failures = list(made.failures.values())
    return ShareResults.of(share, plan.num_views, size, made, failures, finished=finished)


def _plan(params: GenerateParams, seed: int, clips: Path, crew: Crew, maker: MakerClass) -> Plan:
    # Components name their weights without loading them, wherever they will run.
    fingerprints = maker(params, Placement("cpu", root=crew.root)).fingerprints
    _warn_of_guardrail(params)
    user_paths = read_user_paths(params.trajectories, crew.root)
    return Plan(read_clip_facts(clips), params, seed, KeyMaker(params, fingerprints), user_paths)


def _remove_leftovers(scratch: Path, outputs: Path) -> None:
    """Remove what workers left that were stopped at their work."""
    for folder in (scratch / worker.STAGE, scratch / assembly.STAGE, BlobStore(outputs).folder):
        if folder.is_dir():
            remove_leftovers(folder)


def _warn_of_guardrail(params: GenerateParams) -> None:
    """Say, once a run, that a model's guardrail does not watch what is made."""
    teacher = TEACHERS.create(params.teacher, where="generate.teacher")
    if teacher.spec.guardrail == "off":
        log.warning(
            "teacher %s is released with a guardrail, which lyra-data does not run: nothing looks "
            "at prompts and frames. Each view's provenance and the dataset's card say so; its "
            "licence asks for a guardrail of your own",
            teacher.name,
        )


def _make_views(
    plan: Plan,
    executor: Executor,
    failed: FailedTasks,
    progress: Progress,
    retry_failed: bool,
    share: Share | None = None,
) -> QueueResults:
    """Make every view, or those of a share, find it finished, or record why it failed.

    Raises:
        ScenesFailedError: more failed than params allow.
    """
    queue = TaskQueue(
        plan.view_tasks(share),
        plan.num_views_of(share),
        "Generating",
        "view",
        failed=failed,
        retry_failed=retry_failed,
        hopeless_after=HOPELESS,
    )
    made = queue.run(executor, progress)
    check_failures(
        list(made.failures.values()),
        len(made.failures) if made.is_hopeless else plan.num_views,
        plan.params.max_failed_fraction,
        listed_in=failed.list_file,
        retry=RETRY,
    )
    return made


def _assemble(
    plan: Plan, made: QueueResults, executor: Executor, target: Path, progress: Progress
) -> QueueResults:
    """Assemble every scene below `target`; the results are the dropped views of each.

    Raises:
        ScenesFailedError: more scenes failed than params allow.
    """
    tasks = plan.scene_tasks(made.failures.keys(), target)
    queue = TaskQueue(tasks, len(plan.clips), "Assembling", "scene")
    assembled = queue.run(executor, progress)
    failures = list(assembled.failures.values())
    check_failures(failures, len(plan.clips), plan.params.max_failed_fraction)
    return assembled


def _generation(made: QueueResults, assembled: QueueResults) -> Generation:
    """Put together what became of all views and of all scenes."""
    return Generation(
        made=made.counts["done"],
        reused=made.counts["found"],
        failures=[*made.failures.values(), *assembled.failures.values()],
        known_failures=made.counts["failed_before"],
        dropped=[view for dropped in assembled.results.values() for view in dropped],
    )
