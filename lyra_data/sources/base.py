"""The promise of a source: where a scene's raw material comes from, before annotation."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from lyra_data.scene.material import SourceMaterial


@runtime_checkable
class Source(Protocol):
    """One scene's raw material. Constructing it reads nothing."""

    name: ClassVar[str]

    @property
    def scene_id(self) -> str: ...

    def read(self, root: Path) -> SourceMaterial:
        """Read and check the material.

        Args:
            root: the folder that relative paths start from.

        Raises:
            InputError: a file is missing, cut, of another size, or holds impossible values.
        """
        ...
