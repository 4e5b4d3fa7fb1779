"""The given annotator: the source brought poses and depth itself; only the size changes."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from lyra_data.clip import Clip
from lyra_data.errors import InputError
from lyra_data.framing import FRAMINGS, Framing, FramingStyle
from lyra_data.params import Params
from lyra_data.sources.base import HeldOutView, SourceMaterial

log = logging.getLogger(__name__)

SIZE_MULTIPLE = 16
"""Pixels: 8 of the latent codec times 2 of the decoder's patches."""


def _multiple_of_sixteen(size: int) -> int:
    below = size // SIZE_MULTIPLE * SIZE_MULTIPLE
    if size <= 0 or size != below:
        near = sorted({max(side, SIZE_MULTIPLE) for side in (below, below + SIZE_MULTIPLE)})
        raise ValueError(
            f"must be a multiple of {SIZE_MULTIPLE} pixels; nearest: {', '.join(map(str, near))}"
        )
    return size


Size = Annotated[int, AfterValidator(_multiple_of_sixteen)]


class GivenAnnotatorParams(Params):
    """How clips are framed.

    Attributes:
        height, width: working size in pixels, multiples of 16.
        framing: how pictures are brought to that size: "centred" (see framing.py), or "reference"
            for data meant to match the released models.
        fps: frames per second that trajectories around a single image will have.
    """

    name: Literal["given"]
    height: Size
    width: Size
    framing: FramingStyle
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class GivenAnnotator:
    """See the module's docstring."""

    Params = GivenAnnotatorParams
    name: ClassVar[str] = "given"

    def __init__(self, params: GivenAnnotatorParams) -> None:
        self.params = params

    @property
    def fingerprint(self) -> str:
        size = f"given-{self.params.width}x{self.params.height}"
        return size if self.params.framing == "centred" else f"{size}-{self.params.framing}"

    def annotate(self, material: SourceMaterial) -> Clip:
        """The material at the working size.

        Raises:
            InputError: the material has no cameras or depth, or none of the depth that is known
                lies inside the window that is kept.
        """
        if material.depth is None or material.depth_valid is None:
            raise _lacks("depth", material)
        if material.cameras is None:
            raise _lacks("cameras", material)
        framing = self._framing(material.scene_id, *material.frames.shape[-2:])
        depth, depth_valid = framing.of_depth(material.depth), framing.of_mask(material.depth_valid)
        if not depth_valid.any():
            raise InputError(
                f"no known depth is left in the part that is kept ({framing})",
                where=f"scene {material.scene_id}",
                fix="give depth nearer to the middle of the picture, or change height and width",
            )
        assert material.depth_scale in ("metric", "up_to_scale"), material.depth_scale
        return Clip(
            scene_id=material.scene_id,
            frames=framing.of_frames(material.frames),
            cameras=framing.of_cameras(material.cameras),
            depth=depth,
            depth_valid=depth_valid,
            depth_scale=material.depth_scale,
            fps=self.params.fps if material.fps is None else material.fps,
            prompt=material.prompt,
            source={
                **material.provenance,
                "annotator": self.fingerprint,
                "framing": str(framing),
            },
        )

    def frame_held_out(self, material: SourceMaterial) -> list[HeldOutView]:
        """The material's held-out views at the working size, framed as the clip is."""
        framed = []
        for view in material.held_out:
            framing = self._framing(f"{material.scene_id}/{view.name}", *view.frame.shape[-2:])
            frame = framing.of_frames(view.frame[None])[0]
            framed.append(replace(view, frame=frame, camera=framing.of_cameras(view.camera)))
        return framed

    def _framing(self, what: str, source_height: int, source_width: int) -> Framing:
        framing = FRAMINGS[self.params.framing].centred(
            source_height, source_width, self.params.height, self.params.width
        )
        if framing.enlarges:
            log.warning("%s is enlarged: %s", what, framing)
        return framing


def _lacks(noun: str, material: SourceMaterial) -> InputError:
    kind = material.provenance.get("kind", "unknown")
    return InputError(
        f"annotator 'given' needs {noun}, and source {kind!r} has none",
        where=f"scene {material.scene_id}",
        fix=f"give {noun} with the picture, or choose an annotator that estimates it",
    )
