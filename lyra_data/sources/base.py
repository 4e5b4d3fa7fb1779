"""The promise of a source: where a scene's raw material comes from, before annotation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import Field

from lyra_data.engine.scratch import ScratchStore
from lyra_data.models.text_to_image import TextToImage
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.parts import Extent, Part

SceneId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
"""Name of a scene in all results: letters, digits, "_" and "-"."""

FramesPerSecond = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@runtime_checkable
class Source(Protocol):
    """One scene's raw material. Constructing it reads nothing."""

    name: ClassVar[str]

    needs_painter: ClassVar[bool]
    """True where a text-to-image model makes the picture. Such a scene comes without depth, and
    `paint_with` is called before `paint` and `read`."""

    has_parts: ClassVar[bool]
    """True where parts of its frames can be read without the others (`extent`, `read_part`)."""

    has_cuts: ClassVar[bool]
    """True where its frames may be of several shots; those of other sources have one world."""

    @property
    def scene_id(self) -> str: ...

    def paint_with(self, painter: TextToImage, pictures: ScratchStore) -> None:
        """Take the model that makes pictures and the store that keeps them."""
        ...

    def paint(self) -> bool:
        """Make the picture, unless it is kept from before, and return whether it was made now.

        Raises:
            ParamsError, InputError: as TextToImage.paint.
            StorageError: the disk is full, read-only or not permitted.
        """
        ...

    def read(self, root: Path) -> SourceMaterial:
        """Read and check the material.

        Args:
            root: the folder that relative paths start from.

        Raises:
            InputError: a file is missing, cut, of another size, or holds impossible values.
        """
        ...

    def extent(self, root: Path, *, may_cut: bool) -> Extent:
        """Read how many frames there are, and where a new shot begins; only where `has_parts`.

        No more than a few frames are in memory at once.

        Raises:
            InputError: as `read`, but for cuts where it `may_cut`.
        """
        ...

    def read_part(self, root: Path, part: Part) -> SourceMaterial:
        """Read and check the frames of a part, as material of a scene; only where `has_parts`.

        Raises:
            InputError: as `read`.
        """
        ...


@runtime_checkable
class SceneParams(Protocol):
    """Params of a source: among them the name of its scene."""

    @property
    def scene_id(self) -> str: ...


ParamsOfKind = TypeVar("ParamsOfKind", bound=SceneParams)


class SceneSource(Generic[ParamsOfKind]):
    """The part that all sources share: params that name the scene, nothing to paint, one scene."""

    needs_painter: ClassVar[bool] = False
    has_parts: ClassVar[bool] = False
    has_cuts: ClassVar[bool] = False

    def __init__(self, params: ParamsOfKind) -> None:
        self.params = params

    @property
    def scene_id(self) -> str:
        return self.params.scene_id

    def paint_with(self, painter: TextToImage, pictures: ScratchStore) -> None:
        """Do nothing: the picture is there."""

    def paint(self) -> bool:
        """Make no picture, and return False."""
        return False

    def extent(self, root: Path, *, may_cut: bool) -> Extent:
        """Never called: the source is read whole."""
        raise NotImplementedError

    def read_part(self, root: Path, part: Part) -> SourceMaterial:
        """Never called: the source is read whole."""
        raise NotImplementedError
