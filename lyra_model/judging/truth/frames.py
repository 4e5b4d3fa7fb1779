"""TruthScene and TruthFrame: the pictures of one scene, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import UInt8
from torch import Tensor

from lyra_data.scene.cameras import Cameras


@dataclass(frozen=True)
class TruthFrame:
    """One picture of a scene.

    Attributes:
        name: of the frame, as renders are named.
        where: file and entry, for messages.
        read: reads the picture, RGB 0..255, as it lies on disk.
        camera_of: returns the camera for a picture of some height and width; None where the form
            has no cameras.
    """

    name: str
    where: str
    read: Callable[[], UInt8[Tensor, "3 height width"]]
    camera_of: Callable[[int, int], Cameras] | None = None


@dataclass(frozen=True)
class TruthScene:
    """The frames of one scene, in the order that split files count in."""

    name: str
    frames: Sequence[TruthFrame]


@runtime_checkable
class Truth(Protocol):
    """Scenes of one form. Constructing it lists them and reads no picture."""

    numbers_frames: ClassVar[bool]
    """True where frames are named by their number alone, so that names need no reading."""

    @property
    def scene_names(self) -> list[str]:
        """Return the names of all scenes, in the order in which reading them is cheapest."""
        ...

    def scene(self, name: str) -> TruthScene:
        """Return one of the scenes.

        Raises:
            InputError: a file of it is missing, damaged, or not of this form.
        """
        ...
