"""Annotation: from sources to stored clips; a bad scene stops no other.

Pictures from text are painted first, so that the painter is gone before a depth model is loaded.
Pictures and finished scenes wait in the scratch store, so a kill loses the picture or the scene
that was being worked on, and no other. Sources are read again by every run, for a scene is found
by what was read: decoding is cheap beside painting and estimating, which are not repeated.
Where scenes are annotated, in how many processes, is the executor's affair (engine/executors).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.finished_scenes import STAGE, FinishedScenes, SceneFacts
from lyra_data.annotation.planning import ScenePlan, extent_tasks, plan_scenes
from lyra_data.annotation.worker import PICTURES_STAGE, AnnotationSetup
from lyra_data.engine.atomic import folder_atomically, remove_leftovers
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.shares import Share, ShareResults
from lyra_data.engine.executors.task_queue import QueueResults, TaskQueue
from lyra_data.engine.failures import Failure, check_failures, record_failures
from lyra_data.engine.params import Params
from lyra_data.engine.progress import Progress
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.engine.scratch import ScratchStore
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.depth.base import DepthEstimator
from lyra_data.models.text_to_image import TextToImage, TextToImageParams
from lyra_data.sources import SOURCES
from lyra_data.sources.base import Source
from lyra_data.sources.parts import PartParams

log = logging.getLogger(__name__)


class AnnotateParams(Params):
    """Section `annotate` of params.yaml.

    Attributes:
        sources: what to annotate, each with the `name` of its kind and that kind's keys.
        parts: the scenes that a video becomes: its shots, and windows of long ones.
        text_to_image: how pictures are made of `prompt` sources and of `generate --prompt`.
        depth: what tells the depth of pictures that come without.
        annotator: how, with the `name` of its kind and that kind's keys.
        max_failed_fraction: share of scenes that may fail before the stage does, 0..1.
    """

    sources: Annotated[
        list[Annotated[Params, SOURCES.field("annotate.sources")]], Field(min_length=1)
    ]
    parts: PartParams
    text_to_image: TextToImageParams
    depth: Annotated[Params, DEPTH_ESTIMATORS.field("annotate.depth")]
    annotator: Annotated[Params, ANNOTATORS.field("annotate.annotator")]
    max_failed_fraction: Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Annotation:
    """Lists what annotation made, and what it could not.

    Attributes:
        scenes: those that went well, in the order of their sources, of shots and of windows.
        failures: those that did not.
        made, reused: scenes annotated now, and scenes found finished.
    """

    scenes: list[SceneFacts] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    made: int = 0
    reused: int = 0


def annotate_sources(
    params: AnnotateParams,
    *,
    root: Path,
    clips: Path,
    held_out: Path,
    scratch: Path,
    progress: Progress,
    crew: Crew | None = None,
    remote: RemoteWork | None = None,
) -> Annotation:
    """Read every source, annotate it, and store its clip and its held-out real views.

    No more than one scene a worker is in memory at a time. A scene whose worker died is tried once
    more when all others are done.

    Args:
        root: relative paths in params are relative to this folder.
        clips, held_out: folders to create; each appears whole or not at all.
        scratch: scratch folder of the whole pipeline; finished scenes wait there.
        crew: how many workers, where; None: `Crew(root=root)`.
        remote: where finished scenes are kept besides `scratch`; None: nowhere.

    Raises:
        ScenesFailedError: more scenes failed than params allow; lists each reason.
        ParamsError: two sources share a scene id, an id is no plain name, or a model that is needed
            is not on this machine.
        ExecutorError: the workers cannot be started, or the GPU of this very process failed.
        StorageError: the disk is full or cannot be written; finished scenes stay in the store.
    """
    crew = crew or Crew(root=root)
    annotated, failures = _annotate_sources(params, root, scratch, progress, crew, remote)
    finished = FinishedScenes(scratch)
    with folder_atomically(clips) as clips_folder, folder_atomically(held_out) as held_out_folder:
        scenes = [
            finished.publish(key, clips_folder, held_out_folder)
            for key in annotated.results.values()  # in the plan's order, whoever was done first
        ]
        check_failures(failures, len(scenes) + len(failures), params.max_failed_fraction)
        record_failures(failures, clips_folder)
    progress.finish()
    counts = annotated.counts
    return Annotation(scenes, failures, made=counts["done"], reused=counts["found"])


def annotate_share(
    params: AnnotateParams,
    share: Share,
    *,
    root: Path,
    scratch: Path,
    progress: Progress,
    crew: Crew | None = None,
    remote: RemoteWork | None = None,
) -> ShareResults:
    """Annotate the sources of one share and leave the scenes in the scratch store; write no clips.

    All shots and windows of a video are of one share. Args and Raises as `annotate_sources`. More
    failures than params allow of all sources are too many.
    """
    crew = crew or Crew(root=root)
    annotated, failures = _annotate_sources(params, root, scratch, progress, crew, remote, share)
    progress.finish()
    total = len(params.sources)
    num_scenes = len(annotated.results) + len(failures)
    check_failures(failures, max(total, num_scenes), params.max_failed_fraction)
    return ShareResults.of(share, total, share.size_of(total), annotated, failures)


def _annotate_sources(
    params: AnnotateParams,
    root: Path,
    scratch: Path,
    progress: Progress,
    crew: Crew,
    remote: RemoteWork | None,
    share: Share | None = None,
) -> tuple[QueueResults, list[Failure]]:
    """Annotate every source, or those of a share.

    Returns:
        The scenes' keys in the scratch store, and why others have none, in the plan's order.
    """
    every = [SOURCES.create(source, where="annotate.sources") for source in params.sources]
    _check_scene_ids([source.scene_id for source in every])
    pairs = [
        pair
        for number, pair in enumerate(zip(every, params.sources, strict=True))
        if share is None or share.holds(number)
    ]
    remote = remote and remote.listed(STAGE, PICTURES_STAGE)
    setup = AnnotationSetup(
        params.annotator, params.depth, params.text_to_image, root, scratch, remote
    )
    placement = crew.placement_here()
    unpainted = _paint(
        [source for source, _ in pairs if source.needs_painter],
        TextToImage(params.text_to_image, placement),
        ScratchStore(scratch, PICTURES_STAGE, remote),
        estimator=setup.build_maker(placement).estimator,
        progress=progress,
    )
    failed = {
        number: unpainted[source.scene_id]
        for number, (source, _) in enumerate(pairs)
        if source.scene_id in unpainted
    }
    try:
        plan = _plan(pairs, params.parts, failed, setup, crew, progress)
        annotated = _annotate(plan, setup, crew, progress)
    finally:
        if (scratch / STAGE).is_dir():  # what workers left that were stopped at their work
            remove_leftovers(scratch / STAGE)
    failures = sorted({**plan.failures, **annotated.failures}.items())
    return annotated, [failure for _, failure in failures]


def _plan(
    sources: Sequence[tuple[Source, Params]],
    params: PartParams,
    failed: Mapping[int, Failure],
    setup: AnnotationSetup,
    crew: Crew,
    progress: Progress,
) -> ScenePlan:
    """Return the scenes that sources become, once the videos among them have been looked through.

    Args:
        failed: sources that nothing can be made of, by their number.
    """
    tasks = [task for task in extent_tasks(sources, params) if task.number not in failed]
    read = QueueResults()
    if tasks:
        queue = TaskQueue(tasks, len(tasks), "Looking for shots", "video")
        with open_executor(setup, crew.for_tasks(len(tasks))) as executor:
            read = queue.run(executor, progress)
    plan = plan_scenes(sources, params, extents=read.results, failures={**failed, **read.failures})
    _check_scene_ids([task.name for task in plan.tasks])
    return plan


def _annotate(
    plan: ScenePlan, setup: AnnotationSetup, crew: Crew, progress: Progress
) -> QueueResults:
    """Annotate the scenes of a plan, and bring windows of one shot into one world.

    Returns:
        The keys of the scenes, by the numbers of their tasks, and what became of those tasks.
    """
    tasks = plan.first_tasks()
    queue = TaskQueue(tasks, len(tasks), "Annotating", "scene")
    with open_executor(setup, crew.for_tasks(len(plan.tasks))) as executor:
        annotated = queue.run(executor, progress)
        later = plan.later_tasks(annotated.results)
        if later:
            windows = TaskQueue(later, len(later), "Annotating windows", "window")
            _add(windows.run(executor, progress), annotated)
        chains = plan.chains(annotated.results)
        if chains:
            aligning = TaskQueue(chains, len(chains), "Aligning windows", "shot")
            _take_aligned(aligning.run(executor, progress), plan, annotated)
    return annotated


def _add(results: QueueResults, others: QueueResults) -> None:
    """Add what became of some tasks to what became of others."""
    others.counts.update(results.counts)
    others.results.update(results.results)
    others.failures.update(results.failures)


def _take_aligned(aligned: QueueResults, plan: ScenePlan, annotated: QueueResults) -> None:
    """Put the aligned windows in the place of those that were solved; those of a shot fail with
    it."""
    for number, windows in enumerate(plan.shots):
        keys = aligned.results.get(number, (None,) * len(windows))
        for (task, part), key in zip(windows, keys, strict=True):
            if key is not None:
                annotated.results[task] = key
            elif annotated.results.pop(task, None) is not None:
                failure = aligned.failures[number]
                annotated.failures[task] = replace(failure, item=part.scene_id)
    annotated.sort()


def _paint(
    prompts: list[Source],
    painter: TextToImage,
    pictures: ScratchStore,
    *,
    estimator: DepthEstimator,
    progress: Progress,
) -> dict[str, Failure]:
    """Make the pictures that are not made yet, then give the painter's memory back.

    Returns:
        Why pictures cannot be made, by scene.
    """
    if not prompts:
        return {}
    failed = {}
    for source in prompts:
        _check_depth_can_be_estimated(source, estimator)
        source.paint_with(painter, pictures)
    _ = estimator.fingerprint  # refuses a depth model that is missing before minutes of painting
    progress.start("Painting", len(prompts), "pictures")
    for source in prompts:
        try:
            source.paint()
        except InputError as error:
            log.info("scene %s failed: %s", source.scene_id, error)  # told at the end, with its fix
            failed[source.scene_id] = Failure.of(source.scene_id, error)
        progress.advance(note=source.scene_id)
    painter.release()
    progress.finish()
    return failed


def _check_depth_can_be_estimated(source: Source, estimator: DepthEstimator) -> None:
    """Refuse an estimator that estimates nothing before minutes of painting."""
    if not estimator.has_model:
        raise ParamsError(
            f"scene {source.scene_id!r} is made from text and comes without depth, and depth "
            "estimator 'given' estimates none",
            where="annotate.depth",
            fix="choose one that does: moge or transformers",
        )


def _check_scene_ids(scene_ids: list[str]) -> None:
    for scene_id, count in Counter(scene_ids).items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", scene_id):
            raise ParamsError(
                f"scene id {scene_id!r} is no plain name",
                where="annotate.sources",
                fix="use letters, digits, '_' and '-'",
            )
        if count > 1:
            raise ParamsError(
                f"two sources have the scene id {scene_id!r}",
                where="annotate.sources",
                fix="give one of them another scene_id",
            )
