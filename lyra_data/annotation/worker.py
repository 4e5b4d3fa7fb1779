"""The work of annotation: scenes, one after another.

What it finishes lies in the scratch store under the scene's content key, so that the number of
workers changes nothing and a kill loses only the scenes that were being worked on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.scene_maker import SceneMaker, refusing_unreadable
from lyra_data.annotation.window_chain import ChainTask, aligned_keys
from lyra_data.engine.executors.base import Outcome
from lyra_data.engine.params import Params
from lyra_data.engine.placement import Placement
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.engine.scratch import ScratchStore
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.text_to_image import TextToImage, TextToImageParams
from lyra_data.sources import SOURCES
from lyra_data.sources.parts import Part

PICTURES_STAGE = "annotate_pictures"
"""Folder of the scratch store with pictures painted from text."""


@dataclass(frozen=True)
class ExtentTask:
    """Read how many frames a source has, and where its shots begin.

    Attributes:
        number: place among the sources of the run.
        name: the id of the source's scene.
        source: its params.
        may_cut: several shots are no fault.
    """

    number: int
    name: str
    source: Params
    may_cut: bool


@dataclass(frozen=True)
class SceneTask:
    """Annotate one scene, unless it is found finished.

    Attributes:
        number: place among the scenes of the run.
        name: the scene's id.
        source: params of the scene's source.
        part: of the source's frames; None: all of them, which are read whole.
        lens_of: key of a finished scene of the same shot, whose focal length is kept.
    """

    number: int
    name: str
    source: Params
    part: Part | None = None
    lens_of: str | None = None


@dataclass(frozen=True)
class AnnotationSetup:
    """Holds everything that a worker needs to annotate any scene of a run.

    Attributes:
        root: relative paths start here.
        scratch: scratch folder of the whole pipeline; one that all workers share.
        remote: where finished work is kept besides, listed.
    """

    annotator: Params
    depth: Params
    text_to_image: TextToImageParams
    root: Path
    scratch: Path
    remote: RemoteWork | None = None

    def build(self, placement: Placement) -> AnnotationWork:
        return AnnotationWork(self, placement)

    def build_maker(self, placement: Placement) -> SceneMaker:
        """Build the annotator and the depth estimator; models are loaded when first asked."""
        annotator = ANNOTATORS.create(self.annotator, where="annotate.annotator")
        estimator = DEPTH_ESTIMATORS.create(self.depth, where="annotate.depth")
        estimator.run_on(placement)
        annotator.keep_in(self.scratch)
        return SceneMaker(self.root, annotator, estimator, self.depth, self.scratch, self.remote)


class AnnotationWork:
    """Holds what is built once: the parts that annotate, and the painter of missing pictures."""

    def __init__(self, setup: AnnotationSetup, placement: Placement) -> None:
        self._setup = setup
        self._placement = placement
        self._maker = setup.build_maker(placement)

    def do(self, task: ExtentTask | SceneTask | ChainTask) -> Outcome:
        """Do a task of any kind.

        The result of an ExtentTask is the source's Extent, of a SceneTask its key in the scratch
        store, of a ChainTask the keys of its windows.
        """
        if isinstance(task, ExtentTask):
            source = SOURCES.create(task.source, where="annotate.sources")
            with refusing_unreadable(source):
                extent = source.extent(self._setup.root, may_cut=task.may_cut)
            return Outcome("done", result=extent)
        if isinstance(task, ChainTask):
            return Outcome("done", result=aligned_keys(task, self._maker.finished))
        return self._annotate(task)

    def _annotate(self, task: SceneTask) -> Outcome:
        source = SOURCES.create(task.source, where="annotate.sources")
        pictures = ScratchStore(self._setup.scratch, PICTURES_STAGE, self._setup.remote)
        source.paint_with(TextToImage(self._setup.text_to_image, self._placement), pictures)
        key, is_new = self._maker.finish(source, task.part, task.lens_of)
        return Outcome("done" if is_new else "found", result=key)
