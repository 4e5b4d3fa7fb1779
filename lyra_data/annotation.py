"""Annotation: from sources to stored clips, one scene at a time; a bad scene stops no other.

Pictures from text are painted first, so that the painter is gone before a depth model is loaded.
Pictures and finished scenes wait in the scratch store, so a kill loses the picture or the scene
that was being worked on, and no other. Sources are read again by every run, for a scene is found
by what was read: decoding is cheap beside painting and estimating, which are not repeated.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny

from lyra_data.annotators import ANNOTATORS
from lyra_data.annotators.base import Annotator
from lyra_data.atomic import folder_atomically
from lyra_data.depth import DEPTH_ESTIMATORS
from lyra_data.depth.base import DepthEstimator
from lyra_data.depth.completing import complete_depth
from lyra_data.errors import InputError, ParamsError
from lyra_data.failures import Failure, check_failures, record_failures
from lyra_data.finished_scenes import FinishedScenes, SceneFacts, content_of
from lyra_data.hashing import content_key
from lyra_data.params import Params
from lyra_data.placement import Placement
from lyra_data.progress import Progress
from lyra_data.provenance import code_fingerprint
from lyra_data.scratch import ScratchStore
from lyra_data.sources import SOURCES
from lyra_data.sources.base import Source, SourceMaterial
from lyra_data.sources.prompt import PromptSource
from lyra_data.text_to_image import TextToImage, TextToImageParams

log = logging.getLogger(__name__)

PICTURES_STAGE = "annotate_pictures"
"""Of the scratch store: pictures painted from text."""


def _parse_source(values: Any) -> Params:
    return SOURCES.parse(values, where="annotate.sources")


def _parse_depth(values: Any) -> Params:
    return DEPTH_ESTIMATORS.parse(values, where="annotate.depth")


def _parse_annotator(values: Any) -> Params:
    return ANNOTATORS.parse(values, where="annotate.annotator")


class AnnotateParams(Params):
    """Section `annotate` of params.yaml.

    Attributes:
        sources: what to annotate, each with the `name` of its kind and that kind's keys.
        text_to_image: how pictures are made of `prompt` sources and of `generate --prompt`.
        depth: what tells the depth of pictures that come without.
        annotator: how, with the `name` of its kind and that kind's keys.
        max_failed_fraction: share of scenes that may fail before the stage does, 0..1.
    """

    sources: Annotated[
        list[Annotated[SerializeAsAny[Params], BeforeValidator(_parse_source)]], Field(min_length=1)
    ]
    text_to_image: TextToImageParams
    depth: Annotated[SerializeAsAny[Params], BeforeValidator(_parse_depth)]
    annotator: Annotated[SerializeAsAny[Params], BeforeValidator(_parse_annotator)]
    max_failed_fraction: Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Annotation:
    """What annotation did.

    Attributes:
        scenes: those that went well, in the order of their sources.
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
    placement: Placement | None = None,
) -> Annotation:
    """Read every source, annotate it, and store its clip and its held-out real views.

    No more than one scene is in memory at a time.

    Args:
        root: relative paths in params are relative to this folder.
        clips, held_out: folders to create; each appears whole or not at all.
        scratch: scratch folder of the whole pipeline; finished scenes wait there.
        placement: where models run; None: on a GPU where there is one.

    Raises:
        ScenesFailedError: more scenes failed than params allow; lists each reason.
        ParamsError: two sources share a scene id, an id is no plain name, or a model that is needed
            is not on this machine.
        StorageError: the disk is full or cannot be written; finished scenes stay in the store.
    """
    sources = [SOURCES.create(source, where="annotate.sources") for source in params.sources]
    annotator = ANNOTATORS.create(params.annotator, where="annotate.annotator")
    estimator = DEPTH_ESTIMATORS.create(params.depth, where="annotate.depth")
    _check_scene_ids([source.scene_id for source in sources])
    placement = placement or Placement.automatic(root=root)
    estimator.place(placement)
    failed = _paint(
        [source for source in sources if isinstance(source, PromptSource)],
        TextToImage(params.text_to_image, placement),
        ScratchStore(scratch, PICTURES_STAGE),
        estimator=estimator,
        progress=progress,
    )
    maker = _SceneMaker(params, root, annotator, estimator, FinishedScenes(scratch))
    scenes, failures, made = [], [], 0
    progress.start("Annotating", len(sources), "scenes")
    with folder_atomically(clips) as clips_folder, folder_atomically(held_out) as held_out_folder:
        for source in sources:
            failure = failed.get(source.scene_id)
            try:
                if failure is None:
                    key, is_new = maker.finish(source)
                    scenes.append(maker.finished.publish(key, clips_folder, held_out_folder))
                    made += is_new
            except InputError as error:
                log.warning("scene %s failed: %s", source.scene_id, error)
                failure = Failure.of(source.scene_id, error)
            if failure is not None:
                failures.append(failure)
            progress.advance(note=f"{source.scene_id}{' failed' if failure else ''}")
        check_failures(failures, len(sources), params.max_failed_fraction)
        record_failures(failures, clips_folder)
    progress.finish()
    return Annotation(scenes, failures, made, len(scenes) - made)


def _paint(
    prompts: list[PromptSource],
    painter: TextToImage,
    pictures: ScratchStore,
    *,
    estimator: DepthEstimator,
    progress: Progress,
) -> dict[str, Failure]:
    """Make the pictures that are not made yet, then give the painter's memory back.

    Returns:
        The scenes whose picture cannot be made.
    """
    if not prompts:
        return {}
    failed = {}
    for source in prompts:
        _check_depth_is_told(source, estimator)
        source.paint_with(painter, pictures)
    _ = estimator.fingerprint  # a depth model that is missing is told before minutes of painting
    progress.start("Painting", len(prompts), "pictures")
    for source in prompts:
        try:
            source.paint()
        except InputError as error:
            log.warning("scene %s failed: %s", source.scene_id, error)
            failed[source.scene_id] = Failure.of(source.scene_id, error)
        progress.advance(note=source.scene_id)
    painter.release()
    progress.finish()
    return failed


@dataclass(frozen=True)
class _SceneMaker:
    """What all scenes of a run have in common. It keeps no scene: all it leaves is on the disk."""

    params: AnnotateParams
    root: Path
    annotator: Annotator
    estimator: DepthEstimator
    finished: FinishedScenes

    def finish(self, source: Source) -> tuple[str, bool]:
        """Annotate a scene, unless it is found finished; its key, and whether it is new.

        Raises:
            InputError: its source cannot be read or annotated.
        """
        material = _read(source, self.root)
        key = self._key(material)
        if self.finished.has(key):
            return key, False
        material = complete_depth(material, self.estimator)
        clip = self.annotator.annotate(material)
        self.finished.put(key, clip, self.annotator.frame_held_out(material))
        return key, True

    def _key(self, material: SourceMaterial) -> str:
        """Content key of a scene: what was read, what is done with it, and the code that does it.

        The estimator counts, and its model has to be there, only where something is missing.
        """
        shaping = {
            "material": content_of(material),
            "annotator": self.params.annotator.model_dump(mode="json"),
            "annotator_fingerprint": self.annotator.fingerprint,
            "code": code_fingerprint("lyra_data"),
        }
        if material.depth is None or material.cameras is None:
            shaping["depth"] = self.params.depth.model_dump(mode="json")
            shaping["depth_fingerprint"] = self.estimator.fingerprint
        return content_key(shaping)


def _read(source: Source, root: Path) -> SourceMaterial:
    """What the source holds; a refusal of the file system is an input's fault, not the output's."""
    try:
        return source.read(root)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}",
            where=str(error.filename or f"scene {source.scene_id}"),
            fix="give yourself read permission, or copy the source to another disk",
        ) from error


def _check_depth_is_told(source: PromptSource, estimator: DepthEstimator) -> None:
    """Told before the picture is made, which may take minutes."""
    if estimator.name == "given":
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
