"""Annotation: from sources to stored clips, one scene at a time; a bad scene stops no other."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny

from lyra_data.annotators import ANNOTATORS
from lyra_data.atomic import folder_atomically
from lyra_data.clip import Clip
from lyra_data.clip_store import write_clip, write_held_out
from lyra_data.depth import DEPTH_ESTIMATORS
from lyra_data.depth.base import DepthEstimator
from lyra_data.depth.completing import complete_depth
from lyra_data.errors import InputError, ParamsError
from lyra_data.failures import Failure, check_failures, record_failures
from lyra_data.params import Params
from lyra_data.placement import Placement
from lyra_data.progress import Progress
from lyra_data.sources import SOURCES
from lyra_data.sources.base import Source, SourceMaterial
from lyra_data.sources.prompt import PromptSource
from lyra_data.text_to_image import TextToImage, TextToImageParams

log = logging.getLogger(__name__)


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
    """What annotation did."""

    clips: list[Clip]
    failures: list[Failure]


def annotate_sources(
    params: AnnotateParams,
    *,
    root: Path,
    clips: Path,
    held_out: Path,
    progress: Progress,
    placement: Placement | None = None,
) -> Annotation:
    """Read every source, annotate it, and store its clip and its held-out real views.

    Args:
        root: relative paths in params are relative to this folder.
        clips, held_out: folders to create; each appears whole or not at all.
        placement: where models run; None: on a GPU where there is one.

    Raises:
        ScenesFailedError: more scenes failed than params allow; lists each reason.
        ParamsError: two sources share a scene id, an id is no plain name, or a model that is needed
            is not on this machine.
    """
    sources = [SOURCES.create(source, where="annotate.sources") for source in params.sources]
    annotator = ANNOTATORS.create(params.annotator, where="annotate.annotator")
    estimator = DEPTH_ESTIMATORS.create(params.depth, where="annotate.depth")
    _check_scene_ids([source.scene_id for source in sources])
    placement = placement or Placement.automatic(root=root)
    estimator.place(placement)
    painter = TextToImage(params.text_to_image, placement)
    for source in sources:
        if isinstance(source, PromptSource):
            _check_depth_is_told(source, estimator)
            source.paint_with(painter)
    done, failures = [], []
    progress.start("Annotating", len(sources), "scenes")
    with folder_atomically(clips) as clips_folder, folder_atomically(held_out) as held_out_folder:
        for source in sources:
            try:
                material = complete_depth(_read(source, root), estimator)
                clip = annotator.annotate(material)
            except InputError as error:
                log.warning("scene %s failed: %s", source.scene_id, error)
                failures.append(Failure.of(source.scene_id, error))
                progress.advance(note=f"{source.scene_id} failed")
                continue
            write_clip(clip, clips_folder / clip.scene_id)
            write_held_out(annotator.frame_held_out(material), held_out_folder / clip.scene_id)
            done.append(clip)
            progress.advance(note=clip.scene_id)
        check_failures(failures, len(sources), params.max_failed_fraction)
        record_failures(failures, clips_folder)
    painter.release()
    progress.finish()
    return Annotation(done, failures)


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
    for scene_id in scene_ids:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", scene_id):
            raise ParamsError(
                f"scene id {scene_id!r} is no plain name",
                where="annotate.sources",
                fix="use letters, digits, '_' and '-'",
            )
        if scene_ids.count(scene_id) > 1:
            raise ParamsError(
                f"two sources have the scene id {scene_id!r}",
                where="annotate.sources",
                fix="give one of them another scene_id",
            )
