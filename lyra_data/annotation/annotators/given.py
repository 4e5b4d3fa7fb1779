"""The given annotator: the source brought poses and depth itself; only the size changes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from lyra_data.annotation.annotators.framed import FramedParams, framed_clip, framed_held_out
from lyra_data.engine.errors import InputError
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView, SourceMaterial


class GivenAnnotatorParams(FramedParams):
    """The way clips are framed.

    Attributes:
        height, width: working size in pixels, multiples of 16.
        framing: how pictures are brought to that size: "centred" (see framing.py), or "reference"
            for data meant to match the released models.
        fps: frames per second that trajectories around a single image will have.
    """

    name: Literal["given"]


class GivenAnnotator:
    """See the module's docstring."""

    Params = GivenAnnotatorParams
    name: ClassVar[str] = "given"
    solves: ClassVar[bool] = False

    def __init__(self, params: GivenAnnotatorParams) -> None:
        self.params = params

    @property
    def fingerprint(self) -> str:
        return f"given-{self.params.framing_fingerprint}"

    def keep_in(self, scratch: Path) -> None:
        """Keep nothing: framing is done again in no time."""

    def annotate(self, material: SourceMaterial) -> Clip:
        """Return the material at the working size.

        Raises:
            InputError: the material has no cameras or depth, or none of the depth that is known
                lies inside the window that is kept.
        """
        if material.depth is None or material.depth_valid is None:
            raise _lacks("depth", material)
        if material.cameras is None:
            raise _lacks("cameras", material)
        return framed_clip(material, self.params, self.fingerprint)

    def frame_held_out(self, material: SourceMaterial) -> list[HeldOutView]:
        """Return the material's held-out views at the working size, framed as the clip is."""
        return framed_held_out(material, self.params)


def _lacks(noun: str, material: SourceMaterial) -> InputError:
    kind = material.provenance.get("kind", "unknown")
    return InputError(
        f"annotator 'given' needs {noun}, and source {kind!r} has none",
        where=f"scene {material.scene_id}",
        fix=f"give {noun} with the picture, or choose an annotator that estimates it",
    )
