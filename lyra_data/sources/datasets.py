"""Sources that are datasets of other tools: a folder that one of clips/formats reads whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import SceneParams, SceneSource


@runtime_checkable
class DatasetParams(SceneParams, Protocol):
    """Params of a source that is a folder."""

    @property
    def folder(self) -> str: ...


ParamsOfDataset = TypeVar("ParamsOfDataset", bound=DatasetParams)


class DatasetSource(SceneSource[ParamsOfDataset], ABC):
    """Makes raw material of an imported clip; a subclass says how the folder is read."""

    name: ClassVar[str]

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the dataset.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: as the format's reader.
        """
        folder = root / self.params.folder
        clip = self._import(folder)
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=clip.frames,
            fps=clip.fps,
            cameras=clip.cameras,
            depth=clip.depth,
            depth_valid=clip.depth_valid,
            depth_scale=clip.depth_scale,
            dynamic_mask=clip.dynamic_mask,
            provenance={"kind": self.name, **clip.facts, "licence": "not stated"},
            location=str(folder),
        )

    @abstractmethod
    def _import(self, folder: Path) -> ImportedClip:
        """Read and check what is in `folder`."""
