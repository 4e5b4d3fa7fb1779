"""A COLMAP dataset: pictures with their cameras; depth and masks where our own export left them.

See docs/formats.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from lyra_data.clips.formats.colmap import read_colmap
from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.engine.params import Params
from lyra_data.sources.base import FramesPerSecond, SceneId
from lyra_data.sources.datasets import DatasetSource


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
    scene_id: SceneId
    fps: FramesPerSecond


class ColmapSource(DatasetSource[ColmapParams]):
    """All pictures that the model poses, in the natural order of their names."""

    Params = ColmapParams
    name: ClassVar[str] = "colmap"

    def _import(self, folder: Path) -> ImportedClip:
        return read_colmap(folder).at_rate(self.params.fps)
