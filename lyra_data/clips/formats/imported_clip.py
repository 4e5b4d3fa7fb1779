"""ImportedClip: what any of the readers of other tools' formats makes of a folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import DepthScale


@dataclass(frozen=True)
class ImportedClip:
    """Frames of one size with their cameras, and what else the folder holds.

    Attributes:
        frames: RGB, 0..255.
        depth: z depth, 0 where unknown; None where the folder holds none.
        depth_valid: True where the depth is known; None where there is no depth.
        depth_scale: None where there is no depth.
        dynamic_mask: True on what may move; None where the folder holds no masks.
        fps: frames per second; None for a single frame, and where the format does not say it.
        facts: file names, sha256 of their bytes, and what is to be said of them, for provenance.
    """

    frames: UInt8[Tensor, "frame 3 height width"]
    cameras: Cameras
    depth: Float[Tensor, "frame height width"] | None
    depth_valid: Bool[Tensor, "frame height width"] | None
    dynamic_mask: Bool[Tensor, "frame height width"] | None
    depth_scale: DepthScale | None = None
    fps: float | None = None
    facts: dict[str, str] = field(default_factory=dict)

    def at_rate(self, fps: float) -> ImportedClip:
        """Return the clip at `fps` frames per second; a single frame has no rate."""
        return replace(self, fps=fps if len(self.frames) > 1 else None)
