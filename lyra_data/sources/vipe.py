"""A result of ViPE's: a video with its poses, intrinsics, depth and masks. See docs/vipe.md."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import torch

from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.clips.formats.vipe import DEPTH_SCALE, read_vipe
from lyra_data.clips.formats.vipe_reference import ReferenceSettings, load_as_reference
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_data.scene.material import SourceMaterial
from lyra_data.scene.pixel_values import bytes_from_signed
from lyra_data.sources.base import SceneId
from lyra_data.sources.datasets import DatasetSource

RELEASED = ReferenceSettings()
"""The released models' training data were loaded with the reference's own defaults."""


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
    scene_id: SceneId
    loading: Literal["native", "reference"]


class VipeSource(DatasetSource[VipeParams]):
    """See the module's docstring."""

    Params = VipeParams
    name: ClassVar[str] = "vipe"

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the clip, and load it as the params say.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: as `read_vipe`; or no depth is known in the part the reference loads.
        """
        material = super().read(root)
        return self._as_reference(material) if self.params.loading == "reference" else material

    def _import(self, folder: Path) -> ImportedClip:
        return read_vipe(folder, self.params.clip)

    def _as_reference(self, checked: SourceMaterial) -> SourceMaterial:
        """Return the reference's frames; the clip as a whole has been checked before."""
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
            frames=bytes_from_signed(loaded.image),
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
