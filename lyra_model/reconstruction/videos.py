"""Videos of a scene: what a camera sees on its way, in colours and as depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.engine.progress import Progress
from lyra_data.media.depth_colours import jet
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.pixel_values import bytes_from_unit
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

LEAST_ALPHA = 0.5
"""Accumulated opacity below which a pixel's depth counts as unknown."""


@dataclass(frozen=True)
class Shot:
    """A camera's way through a scene.

    Attributes:
        name: of its file, "video" or "video_...".
        cameras: of every frame.
        moments: for every frame, the position of its Gaussians in the scene's list of moments.
    """

    name: str
    cameras: Cameras
    moments: tuple[int, ...]


@dataclass(frozen=True)
class Film:
    """A shot's frames: RGB, and depth, 0 where nothing is drawn."""

    frames: UInt8[Tensor, "frame 3 height width"]
    depth: Float[Tensor, "frame height width"]

    @property
    def depth_pictures(self) -> UInt8[Tensor, "frame 3 height width"]:
        """Return depth in Lyra's own colours, blue near, red far, black where unknown."""
        return jet(self.depth)


def shots_of(path: Cameras, source: Cameras, num_moments: int) -> list[Shot]:
    """Return the shots of a scene: one where it stands still, three where it moves.

    Of a moving scene "video" moves through space and time, "video_bullet_time" through space at
    the middle moment, "video_still_camera" through time at the source's first camera. Time runs
    to the last moment and back, so that all of them can be played round and round.

    Args:
        path: the camera's way.
        source: one camera.
    """
    if num_moments == 1:
        return [Shot("video", path, (0,) * len(path))]
    times = _to_and_fro(len(path), num_moments)
    still = Cameras.concatenate([source] * len(path))
    middle = (num_moments // 2,) * len(path)
    return [
        Shot("video", path, times),
        Shot("video_bullet_time", path, middle),
        Shot("video_still_camera", still, times),
    ]


def film(
    shot: Shot, moments: Sequence[Gaussians], rendering: RenderingParams, progress: Progress
) -> Film:
    """Render a shot, one frame after the other."""
    frames, depths = [], []
    device = moments[0].means.device
    for index, moment in enumerate(shot.moments):
        made = render(moments[moment], shot.cameras[[index]].to(device), rendering)
        frames.append(bytes_from_unit(made.rgb.clamp(0, 1)).cpu())
        depths.append(torch.where(made.alpha >= LEAST_ALPHA, made.depth, 0.0).cpu())
        progress.advance()
    return Film(torch.cat(frames), torch.cat(depths))


def _to_and_fro(num_frames: int, num_moments: int) -> tuple[int, ...]:
    """Return moments from the first to the last and back again."""
    share = torch.linspace(0, 2, num_frames + 1)[:-1]
    way = torch.where(share <= 1, share, 2 - share)
    return tuple((way * (num_moments - 1)).round().long().tolist())
