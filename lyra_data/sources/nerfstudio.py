"""A nerfstudio dataset: pictures with their cameras and, where given, depth and masks.

See docs/formats.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lyra_data.clips.formats.nerfstudio import read_nerfstudio
from lyra_data.engine.params import Params
from lyra_data.scene.material import SourceMaterial


class NerfstudioParams(Params):
    """One dataset.

    Attributes:
        folder: holds transforms.json; relative to the folder that holds params.yaml, or absolute.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
        fps: frames per second of the pictures, which the dataset does not tell.
    """

    name: Literal["nerfstudio"]
    folder: str
    scene_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class NerfstudioSource:
    """All frames of transforms.json, in the natural order of their names."""

    Params = NerfstudioParams
    name: ClassVar[str] = "nerfstudio"

    def __init__(self, params: NerfstudioParams) -> None:
        self.params = params

    @property
    def scene_id(self) -> str:
        return self.params.scene_id

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the dataset.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: as `read_nerfstudio`.
        """
        folder = root / self.params.folder
        clip = read_nerfstudio(folder)
        posed = clip.posed
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=posed.frames,
            fps=self.params.fps if len(posed.frames) > 1 else None,
            cameras=posed.cameras,
            depth=posed.depth,
            depth_valid=posed.depth_valid,
            depth_scale=clip.depth_scale,
            dynamic_mask=posed.dynamic_mask,
            provenance={"kind": self.name, **clip.facts, "licence": "not stated"},
            location=str(folder),
        )
