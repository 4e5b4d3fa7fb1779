"""A COLMAP dataset: pictures with their cameras; depth and masks where our own export left them.

See docs/formats.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lyra_data.clips.formats.colmap import read_colmap
from lyra_data.engine.params import Params
from lyra_data.scene.material import SourceMaterial


class ColmapParams(Params):
    """One dataset.

    Attributes:
        folder: holds `sparse` and `images`; relative to the folder that holds params.yaml, or
            absolute.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
        fps: frames per second of the pictures, which the dataset does not tell.
    """

    name: Literal["colmap"]
    folder: str
    scene_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ColmapSource:
    """All pictures that the model poses, in the natural order of their names."""

    Params = ColmapParams
    name: ClassVar[str] = "colmap"

    def __init__(self, params: ColmapParams) -> None:
        self.params = params

    @property
    def scene_id(self) -> str:
        return self.params.scene_id

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the dataset.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: as `read_colmap`.
        """
        folder = root / self.params.folder
        clip = read_colmap(folder)
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
