"""ClipParts: the fields of a clip, not yet held to anything. A Clip refuses what is looked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.clips.checks.locations import ClipFinding, ClipLocation
from lyra_data.clips.checks.rules import RULES
from lyra_data.clips.store import CLIP_INDEX, MAKE_AGAIN, _read, frame_name
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_arrays import read_array
from lyra_data.engine.names import is_number
from lyra_data.media.images import read_photo
from lyra_data.scene.clip import Clip

MAX_SAMPLES = 10_000
"""Pixels of a frame that its range of depth is taken from."""


@dataclass(frozen=True)
class ClipParts:
    """Hold what Clip holds, but of any shapes, types and values.

    Attributes:
        num_stated: how many frames the clip states to have.
        height, width: what it states the frames' size to be.
    """

    scene_id: str
    num_stated: int
    frames: tuple[UInt8[Tensor, "3 _ _"], ...]
    camera_to_world: Tensor
    intrinsics: Tensor
    height: int
    width: int
    depth: Tensor
    depth_valid: Tensor
    depth_scale: str
    fps: float
    dynamic_mask: Tensor | None
    depth_confidence: Tensor | None

    @classmethod
    def of(cls, clip: Clip) -> ClipParts:
        cameras = clip.cameras
        return cls(
            scene_id=clip.scene_id,
            num_stated=len(clip),
            frames=tuple(clip.frames),
            camera_to_world=cameras.camera_to_world,
            intrinsics=cameras.intrinsics,
            height=cameras.height,
            width=cameras.width,
            depth=clip.depth,
            depth_valid=clip.depth_valid,
            depth_scale=clip.depth_scale,
            fps=clip.fps,
            dynamic_mask=clip.dynamic_mask,
            depth_confidence=clip.depth_confidence,
        )

    def __len__(self) -> int:
        return len(self.frames)

    def known_depth(self, index: int) -> Float[Tensor, " sample"]:
        """Known, finite depth of a frame, in order of pixels; of many pixels some."""
        known = self.depth[index][self.depth_valid[index]]
        known = known[:: -(-len(known) // MAX_SAMPLES) or 1]
        return known[torch.isfinite(known)].float()

    def finding(
        self, rule: str, message: str, *, value: float | None = None, frames: Iterable[int] = ()
    ) -> ClipFinding:
        """Return the finding of a rule against some frames; none: against the whole clip."""
        location = ClipLocation(self.scene_id, tuple(frames))
        return RULES.finding(rule, location, message, value=value)


def read_parts(folder: Path) -> ClipParts:
    """The parts of a stored clip, whatever is in them.

    Raises:
        CorruptDataError: a file is missing, cut, altered, of another version, or holds no numbers.
    """
    try:
        return _read(folder, CLIP_INDEX, _parts_from)
    except (KeyError, ValueError, TypeError) as error:
        raise CorruptDataError(
            f"what it holds is no clip: {error}",
            where=str(folder),
            fix="make it again with `lyra-data annotate`",
        ) from error


def _parts_from(facts: dict[str, Any], folder: Path) -> ClipParts:
    def array(name: str) -> Tensor:
        path = folder / f"{name}.npy"
        return torch.from_numpy(read_array(path, fix=MAKE_AGAIN, error=CorruptDataError))

    # The files that are there bound the work, whatever number is stated.
    numbers = [int(path.stem) for path in (folder / "frames").glob("*.png") if is_number(path.stem)]
    num_stated = facts["num_frames"]
    names = [folder / frame_name(index) for index in sorted(numbers) if index < num_stated]
    depth = array("depth")
    return ClipParts(
        scene_id=facts["scene_id"],
        num_stated=facts["num_frames"],
        frames=tuple(read_photo(path) for path in names if path.exists()),
        camera_to_world=array("camera_to_world"),
        intrinsics=array("intrinsics"),
        height=facts["height"],
        width=facts["width"],
        depth=depth,
        depth_valid=depth > 0,
        depth_scale=facts["depth_scale"],
        fps=facts["fps"],
        dynamic_mask=array("dynamic_mask") if facts["has_dynamic_mask"] else None,
        depth_confidence=array("depth_confidence") if facts["has_depth_confidence"] else None,
    )
