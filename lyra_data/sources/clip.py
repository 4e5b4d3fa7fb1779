"""A clip that was annotated before: outputs/clips/SCENE of a project, or what `annotate` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from lyra_data.clips.store import CLIP_INDEX, read_clip
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource


class ClipParams(Params):
    """One stored clip.

    Attributes:
        folder: of the clip, with its clip.json; relative to the folder that holds params.yaml, or
            absolute.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
    """

    name: Literal["clip"]
    folder: str
    scene_id: SceneId


class ClipSource(SceneSource[ClipParams]):
    """See the module's docstring."""

    Params = ClipParams
    name: ClassVar[str] = "clip"

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the clip: its poses, intrinsics and depth are given, as its masks are.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: there is no clip.
            CorruptDataError: a file of the clip is missing, cut or altered.
        """
        folder = root / self.params.folder
        if not (folder / CLIP_INDEX).is_file():
            raise InputError(
                f"there is no {CLIP_INDEX}", where=str(folder), fix="give the folder of a clip"
            )
        clip = read_clip(folder)
        return SourceMaterial(
            scene_id=self.params.scene_id,
            frames=clip.frames,
            fps=clip.fps if clip.is_dynamic else None,
            cameras=clip.cameras,
            depth=clip.depth,
            depth_valid=clip.depth_valid,
            depth_scale=clip.depth_scale,
            depth_confidence=clip.depth_confidence,
            dynamic_mask=clip.dynamic_mask,
            prompt=clip.prompt,
            provenance=dict(clip.source or {}),
            location=str(folder),
        )
