"""Clip: annotated input. Frames, cameras, depth and masks that belong together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.similarity import Similarity

DepthScale = Literal["metric", "up_to_scale"]


@dataclass(frozen=True)
class Clip:
    """One scene as annotated: a single frame for an image, many for a video.

    Attributes:
        scene_id: letters, digits, "_" and "-"; unique in a run.
        frames: RGB, 0..255.
        cameras: one per frame, of the frames' size.
        depth: z depth; exactly 0 where it is unknown.
        depth_valid: True where the depth is known. Unknown stays unknown: nothing fills it in.
        depth_scale: "metric" (metres) or "up_to_scale".
        fps: frames per second; for a single image the rate its trajectories will have.
        dynamic_mask: True on moving things, where the annotator knows them.
        depth_confidence: 0..1, how well the known depth is confirmed, where the annotator tells;
            0 where the depth is unknown.
        prompt: text that describes the scene, or "".
        source: what the clip was made from: kind, file names, sha256 of their bytes, licence.
    """

    scene_id: str
    frames: UInt8[Tensor, "frame 3 height width"]
    cameras: Cameras
    depth: Float[Tensor, "frame height width"]
    depth_valid: Bool[Tensor, "frame height width"]
    depth_scale: DepthScale
    fps: float
    dynamic_mask: Bool[Tensor, "frame height width"] | None = None
    prompt: str = ""
    source: dict[str, str] | None = None
    depth_confidence: Float[Tensor, "frame height width"] | None = None

    def __post_init__(self) -> None:
        frames, _, height, width = self.frames.shape
        assert self.depth.shape == (frames, height, width), self.depth.shape
        assert self.depth_valid.shape == self.depth.shape, self.depth_valid.shape
        for field in (self.dynamic_mask, self.depth_confidence):
            assert field is None or field.shape == self.depth.shape, field.shape
        assert (self.cameras.height, self.cameras.width) == (height, width)
        assert len(self.cameras) == frames
        assert bool((self.depth[~self.depth_valid] == 0).all()), "unknown depth must be 0"
        assert bool((self.depth[self.depth_valid] > 0).all()), "known depth must be positive"

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def is_dynamic(self) -> bool:
        return len(self) > 1

    def taking(self, frames: list[int]) -> Clip:
        """Return the clip of these frames, in this order: every per-frame field moves together.

        An index may come several times; none may be negative or beyond the end.
        """
        assert frames and min(frames) >= 0 and max(frames) < len(self), frames
        mask, confidence = self.dynamic_mask, self.depth_confidence
        return replace(
            self,
            frames=self.frames[frames],
            cameras=self.cameras[frames],
            depth=self.depth[frames],
            depth_valid=self.depth_valid[frames],
            dynamic_mask=None if mask is None else mask[frames],
            depth_confidence=None if confidence is None else confidence[frames],
        )

    def moved_by(self, similarity: Similarity) -> Clip:
        """Return the clip in another world: cameras are posed there, depth has its unit."""
        depth = self.depth * similarity.scale
        return replace(self, cameras=similarity.of_cameras(self.cameras), depth=depth)

    def reversed_in_time(self) -> Clip:
        """Return the clip played backwards."""
        return self.taking(list(reversed(range(len(self)))))
