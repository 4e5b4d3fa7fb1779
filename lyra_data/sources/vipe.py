"""A result of ViPE's: a video with its poses, intrinsics, depth and masks. See docs/vipe.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from lyra_data.clips.formats.vipe import DEPTH_SCALE, read_vipe
from lyra_data.clips.formats.vipe_reference import ReferenceSettings, load_as_reference
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_data.scene.material import SourceMaterial

RELEASED = ReferenceSettings()
"""What the released models were trained on was loaded with the reference's own defaults."""


class VipeParams(Params):
    """One clip of a folder of ViPE results.

    Attributes:
        folder: what `vipe infer` was given as --output; relative to the folder that holds
            params.yaml, or absolute.
        clip: name of the clip: that of its video without the suffix; null where the folder holds
            only one.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
        loading: "native", all frames at their own size, checked; or "reference", as the reference
            loads them (121 frames of 1280x704, depth interpolated, no masks), for data meant to
            match the released models.
    """

    name: Literal["vipe"]
    folder: str
    clip: str | None
    scene_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    loading: Literal["native", "reference"]


class VipeSource:
    """See the module's docstring."""

    Params = VipeParams
    name: ClassVar[str] = "vipe"

    def __init__(self, params: VipeParams) -> None:
        self.params = params

    @property
    def scene_id(self) -> str:
        return self.params.scene_id

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the clip.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: as `read_vipe`.
        """
        folder = root / self.params.folder
        clip = read_vipe(folder, self.params.clip)
        material = SourceMaterial(
            scene_id=self.scene_id,
            frames=clip.frames,
            fps=clip.fps,
            cameras=clip.cameras,
            depth=clip.depth,
            depth_valid=clip.depth_valid,
            depth_scale=DEPTH_SCALE,
            dynamic_mask=clip.dynamic_mask,
            provenance={"kind": self.name, **clip.facts, "licence": "not stated"},
            location=str(folder),
        )
        return self._as_reference(material) if self.params.loading == "reference" else material

    def _as_reference(self, checked: SourceMaterial) -> SourceMaterial:
        """The reference's frames, once the clip as a whole was found in order."""
        folder = Path(checked.location)
        loaded = load_as_reference(folder, RELEASED, clip=self.params.clip)
        depth = loaded.depth[:, 0]
        known = torch.isfinite(depth) & (depth > 0)
        if not known.any():
            raise InputError(
                "no depth is known in the part that the reference loads",
                where=str(folder),
                fix="set `loading` to native",
            )
        matrices = loaded.intrinsic_matrices
        intrinsics = torch.stack(
            [matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, 0, 2], matrices[:, 1, 2]], -1
        )
        return SourceMaterial(
            scene_id=checked.scene_id,
            frames=(127.5 * (loaded.image + 1)).round().clamp(0, 255).to(torch.uint8),
            fps=checked.fps,
            cameras=Cameras(
                invert_rigid(loaded.world_to_camera), intrinsics, *loaded.image.shape[-2:]
            ),
            depth=torch.where(known, depth, 0.0),
            depth_valid=known,
            depth_scale=DEPTH_SCALE,
            provenance={**checked.provenance, "loading": f"as the reference: {RELEASED}"},
            location=checked.location,
        )
