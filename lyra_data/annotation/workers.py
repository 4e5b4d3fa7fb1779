"""Annotating scenes side by side: processes of this machine, each with a share of the cores.

What a worker finishes lies in the scratch store under the scene's content key, so that the number
of workers changes nothing and a kill loses only the scenes that were being worked on.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.scene_maker import SceneMaker
from lyra_data.engine.errors import ExecutorError, InputError
from lyra_data.engine.failures import Failure
from lyra_data.engine.params import Params
from lyra_data.engine.placement import THREAD_VARIABLES, Placement
from lyra_data.engine.scratch import ScratchStore
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.text_to_image import TextToImage, TextToImageParams
from lyra_data.sources import SOURCES

log = logging.getLogger(__name__)

PICTURES_STAGE = "annotate_pictures"
"""Of the scratch store: pictures painted from text."""


@dataclass(frozen=True)
class AnnotationSetup:
    """What a worker needs to annotate any scene of a run.

    Attributes:
        root: relative paths start here.
        scratch: scratch folder of the whole pipeline.
    """

    annotator: Params
    depth: Params
    text_to_image: TextToImageParams
    root: Path
    scratch: Path
    placement: Placement

    def build(self) -> SceneMaker:
        """The parts, built; models are loaded when they are first asked."""
        annotator = ANNOTATORS.create(self.annotator, where="annotate.annotator")
        estimator = DEPTH_ESTIMATORS.create(self.depth, where="annotate.depth")
        estimator.run_on(self.placement)
        annotator.keep_in(self.scratch)
        return SceneMaker(self.root, annotator, estimator, self.depth, self.scratch)


@dataclass(frozen=True)
class Finished:
    """One scene, done with.

    Attributes:
        index: of its source.
        key: in the scratch store; None where it failed.
        is_new: whether it was annotated now.
    """

    index: int
    key: str | None = None
    is_new: bool = False
    failure: Failure | None = None


def annotate_all(
    setup: AnnotationSetup, sources: list[Params], workers: int | None
) -> Iterator[Finished]:
    """Annotate every source, and tell of each when it is done with, in any order.

    Args:
        workers: processes; None: this one alone.

    Raises:
        ExecutorError: a worker was killed, by a lack of memory for example.
    """
    if workers is None or len(sources) < 2:
        maker = setup.build()
        for index, source in enumerate(sources):
            yield _finish(maker, setup, index, source)
        return
    context = multiprocessing.get_context("spawn")
    with (
        _share_of_cores(workers),
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start_worker, initargs=(setup,)
        ) as pool,
    ):
        futures: dict[Future[Finished], int] = {
            pool.submit(_finish_in_worker, index, source): index
            for index, source in enumerate(sources)
        }
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise ExecutorError(
                "a worker was killed while it annotated a scene",
                where="annotate",
                fix="run the command again: finished scenes are kept; fewer --workers take less "
                "memory",
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_in_worker: tuple[SceneMaker, AnnotationSetup] | None = None


def _start_worker(setup: AnnotationSetup) -> None:
    global _in_worker
    _in_worker = (setup.build(), setup)


def _finish_in_worker(index: int, source: Params) -> Finished:
    assert _in_worker is not None
    return _finish(*_in_worker, index, source)


def _finish(maker: SceneMaker, setup: AnnotationSetup, index: int, params: Params) -> Finished:
    source = SOURCES.create(params, where="annotate.sources")
    pictures = ScratchStore(setup.scratch, PICTURES_STAGE)
    source.paint_with(TextToImage(setup.text_to_image, setup.placement), pictures)
    try:
        key, is_new = maker.finish(source)
    except InputError as error:
        log.warning("scene %s failed: %s", source.scene_id, error)
        return Finished(index, failure=Failure.of(source.scene_id, error))
    return Finished(index, key, is_new)


@contextmanager
def _share_of_cores(workers: int) -> Iterator[None]:
    """Every worker that starts inside gets its share of this machine's cores."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // workers))
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, threads))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
