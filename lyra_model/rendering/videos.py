"""Videos of a scene: what a camera sees on its way, in colours and as depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.camera_paths.rotations import aligned, quaternions_of, rotations_of
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


def shots_of(path: Cameras, filmed: Cameras, moments: Sequence[int]) -> list[Shot]:
    """Return the shots of a scene: one where it stands still, three where it moves.

    Of a moving scene "video" is the path added to the filming camera's own way while time runs,
    "video_bullet_time" the path around the middle moment, "video_filmed" time alone, seen by the
    filming camera. Time runs to the last moment and back: all of them can be played round and
    round.

    Args:
        path: the camera's way, about the first filming camera.
        filmed: the camera that filmed each frame of the source.
        moments: frames that there are Gaussians of.
    """
    if len(moments) == 1:
        return [Shot("video", path, (0,) * len(path))]
    frames = _to_and_fro(len(path), moments)
    nearest = tuple(
        min(range(len(moments)), key=lambda index: abs(moments[index] - frame))
        for frame in frames.tolist()
    )
    ways = camera_at(filmed, frames)
    middle = len(moments) // 2
    still = filmed[[moments[middle]] * len(path)]
    return [
        Shot("video", _added(path, ways), nearest),
        Shot("video_bullet_time", _added(path, still), (middle,) * len(path)),
        Shot("video_filmed", ways, nearest),
    ]


def camera_at(cameras: Cameras, frames: Float[Tensor, " moment"]) -> Cameras:
    """Return cameras at any moments, between two frames on the straight way from one to the other.

    Args:
        frames: from 0 to the last frame.
    """
    before = frames.floor().long().clamp(0, len(cameras) - 1)
    after = (before + 1).clamp(max=len(cameras) - 1)
    share = (frames - before)[:, None]
    pose = cameras.camera_to_world
    quaternions = aligned(quaternions_of(pose[:, :3, :3]))
    made = torch.eye(4, dtype=pose.dtype).repeat(len(frames), 1, 1)
    made[:, :3, :3] = rotations_of(torch.lerp(quaternions[before], quaternions[after], share))
    made[:, :3, 3] = torch.lerp(pose[before, :3, 3], pose[after, :3, 3], share)
    intrinsics = torch.lerp(cameras.intrinsics[before], cameras.intrinsics[after], share)
    return Cameras(made, intrinsics, cameras.height, cameras.width)


def _added(path: Cameras, ways: Cameras) -> Cameras:
    """Return the way of a path about its first camera, about other cameras instead."""
    relative = path.relative_to(path.camera_to_world[0])
    return replace(path, camera_to_world=ways.camera_to_world @ relative.camera_to_world)


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


def _to_and_fro(num_frames: int, moments: Sequence[int]) -> Float[Tensor, " frame"]:
    """Return moments, in frames of the source, from the first to the last and back again."""
    share = torch.linspace(0, 2, num_frames + 1)[:-1]
    way = torch.where(share <= 1, share, 2 - share)
    return moments[0] + way * (moments[-1] - moments[0])
