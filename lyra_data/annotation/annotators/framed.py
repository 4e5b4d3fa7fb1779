"""Framing a clip: the last step of every annotator. Material that is complete becomes a Clip."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from lyra_data.annotation.framing import FRAMINGS, Framing, FramingStyle
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params, multiple_of
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView, SourceMaterial

log = logging.getLogger(__name__)

SIZE_MULTIPLE = 16
"""Pixels: 8 of the latent codec times 2 of the decoder's patches."""


Size = Annotated[int, multiple_of(SIZE_MULTIPLE, "pixels")]


class FramedParams(Params):
    """The way clips are framed: keys that every annotator has.

    Attributes:
        height, width: working size in pixels, multiples of 16.
        framing: how pictures are brought to that size: "centred" (see framing.py), or "reference"
            for data meant to match the released models.
        fps: frames per second that trajectories around a single image will have.
    """

    height: Size
    width: Size
    framing: FramingStyle
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @property
    def framing_fingerprint(self) -> str:
        size = f"{self.width}x{self.height}"
        return size if self.framing == "centred" else f"{size}-{self.framing}"


def framed_clip(material: SourceMaterial, params: FramedParams, fingerprint: str) -> Clip:
    """Return the material as a clip of the working size; every field moves together.

    Args:
        fingerprint: of the annotator, kept in the clip's source.

    Raises:
        InputError: none of the depth that is known lies inside the window that is kept.
    """
    assert material.cameras is not None and material.depth is not None
    assert material.depth_valid is not None
    framing = _framing(params, material.scene_id, *material.frames.shape[-2:])
    depth, depth_valid = framing.of_depth(material.depth), framing.of_mask(material.depth_valid)
    if not depth_valid.any():
        raise InputError(
            f"no known depth is left in the part that is kept ({framing})",
            where=f"scene {material.scene_id}",
            fix="give depth nearer to the middle of the picture, or change height and width",
        )
    assert material.depth_scale in ("metric", "up_to_scale"), material.depth_scale
    mask, confidence = material.dynamic_mask, material.depth_confidence
    return Clip(
        scene_id=material.scene_id,
        frames=framing.of_frames(material.frames),
        cameras=framing.of_cameras(material.cameras),
        depth=depth,
        depth_valid=depth_valid,
        depth_scale=material.depth_scale,
        fps=params.fps if material.fps is None else material.fps,
        dynamic_mask=None if mask is None else framing.of_mask(mask),
        prompt=material.prompt,
        source={**material.provenance, "annotator": fingerprint, "framing": str(framing)},
        depth_confidence=None if confidence is None else framing.of_depth(confidence),
    )


def focal_length_of(clip: Clip, material: SourceMaterial, params: FramedParams) -> float:
    """Return the focal length that a clip was solved with, in units of the longer side of the
    material's frames, which are of one size with those that the clip was framed from."""
    height, width = material.frames.shape[-2:]
    framing = FRAMINGS[params.framing].centred(height, width, params.height, params.width)
    enlarged = framing.width / framing.window_width
    return float(clip.cameras.intrinsics[0, 0]) / enlarged / max(height, width)


def framed_held_out(material: SourceMaterial, params: FramedParams) -> list[HeldOutView]:
    """Return the material's held-out views at the working size, framed as the clip is."""
    framed = []
    for view in material.held_out:
        framing = _framing(params, f"{material.scene_id}/{view.name}", *view.frame.shape[-2:])
        frame = framing.of_frames(view.frame[None])[0]
        framed.append(replace(view, frame=frame, camera=framing.of_cameras(view.camera)))
    return framed


def _framing(params: FramedParams, what: str, source_height: int, source_width: int) -> Framing:
    framing = FRAMINGS[params.framing].centred(
        source_height, source_width, params.height, params.width
    )
    if framing.enlarges:
        log.warning("%s is enlarged: %s", what, framing)
    return framing
