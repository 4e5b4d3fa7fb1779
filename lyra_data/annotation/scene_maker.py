"""Annotating one scene: read its source, complete it, make a clip of it, and keep it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyra_data.annotation.annotators.base import Annotator
from lyra_data.annotation.annotators.framed import FramedParams, focal_length_of
from lyra_data.annotation.annotators.given import GivenAnnotator, GivenAnnotatorParams
from lyra_data.annotation.finished_scenes import FinishedScenes, content_of
from lyra_data.clips.store import read_clip_part
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.params import Params
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.models.depth.base import DepthEstimator
from lyra_data.models.depth.completing import complete_depth
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import Source
from lyra_data.sources.parts import Part

if TYPE_CHECKING:
    from lyra_data.engine.remote_work import RemoteWork


@dataclass(frozen=True)
class SceneMaker:
    """Holds what all scenes of a run have in common, and no scene: all it leaves is on the disk.

    Attributes:
        root: relative paths of sources are relative to this folder.
        depth_params: of the estimator.
        scratch: scratch folder of the whole pipeline.
        remote: where finished scenes are kept besides.
    """

    root: Path
    annotator: Annotator
    estimator: DepthEstimator
    depth_params: Params
    scratch: Path
    remote: RemoteWork | None = None

    @property
    def finished(self) -> FinishedScenes:
        return FinishedScenes(self.scratch, self.remote)

    def finish(
        self, source: Source, part: Part | None = None, lens_of: str | None = None
    ) -> tuple[str, bool]:
        """Annotate a scene, unless it is found finished; return its key, and whether it is new.

        Args:
            part: of the source's frames; None: the source is read whole.
            lens_of: key of a finished scene of the same video, whose focal length is kept.

        Raises:
            InputError: its source cannot be read or annotated.
        """
        with refusing_unreadable(source):
            material = source.read(self.root) if part is None else source.read_part(self.root, part)
        annotator = self._annotator_of(material)
        if lens_of is not None and annotator.solves:
            other = read_clip_part(self.finished.clip_folder(lens_of), 0, 1)
            focal_length = focal_length_of(other, material, annotator.params)
            facts = {**material.provenance, "focal_length": f"that of scene {other.scene_id}"}
            material = replace(material, focal_length=focal_length, provenance=facts)
        key = self._key(material, annotator)
        if self.finished.has(key):
            return key, False
        if not annotator.solves:
            material = complete_depth(material, self.estimator)
        clip = annotator.annotate(material)
        self.finished.put(key, clip, annotator.frame_held_out(material))
        return key, True

    def _annotator_of(self, material: SourceMaterial) -> Annotator:
        """Return who annotates the material.

        Nothing is solved anew that was given, and no video annotator is asked about a picture: both
        are only framed, a picture after the depth estimator has completed it.
        """
        is_complete = material.depth is not None and material.cameras is not None
        if not self.annotator.solves or (len(material.frames) > 1 and not is_complete):
            return self.annotator
        framing = self.annotator.params.model_dump(include=set(FramedParams.model_fields))
        return GivenAnnotator(GivenAnnotatorParams(name="given", **framing))

    def _key(self, material: SourceMaterial, annotator: Annotator) -> str:
        """Return a scene's content key: what was read, what is done with it, and the code for it.

        The estimator counts, and its model has to be there, only where it is asked.
        """
        code = [__name__, type(annotator).__module__]
        shaping: dict[str, Any] = {
            "material": content_of(material),
            "annotator": annotator.params.model_dump(mode="json"),
            "annotator_fingerprint": annotator.fingerprint,
        }
        lacks = material.depth is None or material.cameras is None
        if lacks and not annotator.solves:
            shaping["depth"] = self.depth_params.model_dump(mode="json")
            shaping["depth_fingerprint"] = self.estimator.fingerprint
            code.append(type(self.estimator).__module__)
        return content_key({**shaping, "code": code_fingerprint(*code)})


@contextmanager
def refusing_unreadable(source: Source) -> Iterator[None]:
    """Turn a refusal of the file system into an InputError: here it is not the output's fault."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}",
            where=str(error.filename or f"scene {source.scene_id}"),
            fix="give yourself read permission, or copy the source to another disk",
        ) from error
