"""The promise of an annotator: raw material in, a Clip with poses and depth out."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from lyra_data.annotation.annotators.framed import FramedParams
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView, SourceMaterial


@runtime_checkable
class Annotator(Protocol):
    """Adds what the material lacks: poses, intrinsics, depth with a validity mask."""

    name: ClassVar[str]

    solves: ClassVar[bool]
    """True where it finds poses and depth by itself. False: it only frames what came with the
    material, completed by a depth estimator where that is a picture."""

    @property
    def params(self) -> FramedParams:
        """The params it was made from, with the keys of framing."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names the exact method: version, weights and settings that change its numbers."""
        ...

    def keep_in(self, scratch: Path) -> None:
        """Keep results that are worth it in the pipeline's scratch folder.

        Called before the first material; does nothing where all is made again.
        """
        ...

    def annotate(self, material: SourceMaterial) -> Clip:
        """Return a clip with a pose and intrinsics for every frame; depth only where it is known.

        Raises:
            InputError: the material lacks what this annotator cannot make.
        """
        ...

    def frame_held_out(self, material: SourceMaterial) -> list[HeldOutView]:
        """Return the material's real views for evaluation, cropped and resized as the clip is."""
        ...
