"""View: one generated trajectory of a scene, with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import DepthScale
from lyra_data.scene.quality import ViewQuality


@dataclass(frozen=True)
class View:
    """One generated trajectory.

    Attributes:
        scene_id: the scene it was generated from.
        view_index: position in the scene's list of views, from 0.
        trajectory: name in `lyra_data.generation.trajectories`, or of a path of the user's own.
        motion_reversed: True for views made from the time-reversed clip.
        frames: RGB, 0..255.
        cameras: the camera of every frame.
        latents: what the codec made of the frames.
        depth: z depth of the cache in every frame; exactly 0 where unknown.
        depth_valid: True where the depth is known.
        filled: True where the teacher invented the pixel (the cache did not reach it).
        fps: frames per second.
        movement_distance: drawn distance in units of the scene's centre depth: the length of a
            linear path; a spiral's radii are fractions of it. Of a path of the user's own: the
            largest distance from its start.
        seed: the derived seed this view was generated with.
        quality: what was measured of it.
        provenance: teacher, codec, their fingerprints, engine version, source hash, licence, ...
    """

    scene_id: str
    view_index: int
    trajectory: str
    motion_reversed: bool
    frames: UInt8[Tensor, "frame 3 height width"]
    cameras: Cameras
    latents: Float[Tensor, "channel latent_frame latent_height latent_width"]
    depth: Float[Tensor, "frame height width"]
    depth_valid: Bool[Tensor, "frame height width"]
    filled: Bool[Tensor, "frame height width"]
    depth_scale: DepthScale
    fps: float
    movement_distance: float
    seed: int
    quality: ViewQuality
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        frames, _, height, width = self.frames.shape
        for field in (self.depth, self.depth_valid, self.filled):
            assert field.shape == (frames, height, width), field.shape
        assert (len(self.cameras), self.cameras.height, self.cameras.width) == (
            frames,
            height,
            width,
        )

    @property
    def known_fraction(self) -> float:
        """Share of pixels that came from the source rather than from the teacher."""
        return 1.0 - float(self.filled.float().mean())
