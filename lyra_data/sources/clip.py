"""A clip that was annotated before: outputs/clips/SCENE of a project, or what `annotate` wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from lyra_data.clips.store import CLIP_INDEX, read_clip, read_clip_index, read_clip_part
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource
from lyra_data.sources.parts import Extent, Part, Span


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
    has_parts: ClassVar[bool] = True

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the clip: its poses, intrinsics and depth are given, as its masks are.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: there is no clip.
            CorruptDataError: a file of the clip is missing, cut or altered.
        """
        folder = self._location(root)
        return self._material(read_clip(folder), folder, self.scene_id)

    def extent(self, root: Path = Path(), *, may_cut: bool = False) -> Extent:
        """Read how many frames the clip has; it is one shot.

        Raises:
            InputError: there is no clip.
            CorruptDataError: its index is missing, cut or altered.
        """
        del may_cut  # annotated frames have one world
        facts, sha256 = read_clip_index(self._location(root))
        return Extent((Span(0, facts["num_frames"]),), sha256)

    def read_part(self, root: Path, part: Part) -> SourceMaterial:
        """Read and check the frames of a part.

        Raises:
            InputError: there is no clip.
            CorruptDataError: a file that is read is missing, cut or altered.
        """
        folder = self._location(root)
        if not part.facts:
            return self.read(root)
        clip = read_clip_part(folder, part.span.first, part.span.num_frames)
        material = self._material(clip, folder, part.scene_id)
        return replace(material, provenance={**material.provenance, **dict(part.facts)})

    def _location(self, root: Path) -> Path:
        folder = root / self.params.folder
        if not (folder / CLIP_INDEX).is_file():
            raise InputError(
                f"there is no {CLIP_INDEX}", where=str(folder), fix="give the folder of a clip"
            )
        return folder

    def _material(self, clip: Clip, folder: Path, scene_id: str) -> SourceMaterial:
        return SourceMaterial(
            scene_id=scene_id,
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
