"""A nerfstudio dataset: pictures with their cameras and, where given, depth and masks.

See docs/formats.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.clips.formats.nerfstudio import read_nerfstudio
from lyra_data.engine.params import Params
from lyra_data.sources.base import FramesPerSecond, SceneId
from lyra_data.sources.datasets import DatasetSource


class NerfstudioParams(Params):
    """One dataset.

    Attributes:
        folder: holds transforms.json; relative to the folder that holds params.yaml, or absolute.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
        fps: frames per second of the pictures, which the dataset does not tell.
    """

    name: Literal["nerfstudio"]
    folder: str
    scene_id: SceneId
    fps: FramesPerSecond


class NerfstudioSource(DatasetSource[NerfstudioParams]):
    """All frames of transforms.json, in the natural order of their names."""

    Params = NerfstudioParams
    name: ClassVar[str] = "nerfstudio"

    def _import(self, folder: Path) -> ImportedClip:
        return read_nerfstudio(folder).at_rate(self.params.fps)
