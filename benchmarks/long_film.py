"""A film of any length whose cameras are known: a walk along a gallery of fine texture.

Frames are ray-cast one after another, so that making the film takes no more memory than a frame.
"""

from __future__ import annotations

import math
from pathlib import Path

import av
import torch

from lyra_data.scene.cameras import Cameras
from tests.ray_cast import Plane, Seen, Sphere
from tests.textured_scene import TexturedScene

STEP = 0.03
"""Units of the world from one frame to the next; the wall is 4 units away."""

BALLS_APART = 1.5
"""Units of the world between the balls that stand before the wall."""

REACH = 6.0
"""Units of the world on either side of the camera beyond which no ball is seen."""


def walk(num_frames: int, height: int, width: int) -> Cameras:
    """Return cameras that walk along the wall, turn and nod; the field of view is 58 degrees."""
    frame = torch.arange(num_frames, dtype=torch.float64)
    yaw, nod = 0.12 * torch.sin(frame / 70), 0.05 * torch.sin(frame / 23)
    poses = torch.eye(4, dtype=torch.float64).repeat(num_frames, 1, 1)
    turn, tilt = poses[:, :3, :3].clone(), poses[:, :3, :3].clone()
    turn[:, 0, 0] = turn[:, 2, 2] = yaw.cos()
    turn[:, 0, 2], turn[:, 2, 0] = yaw.sin(), -yaw.sin()
    tilt[:, 1, 1] = tilt[:, 2, 2] = nod.cos()
    tilt[:, 1, 2], tilt[:, 2, 1] = -nod.sin(), nod.sin()
    poses[:, :3, :3] = turn @ tilt
    rise, nearer = 0.15 * torch.sin(frame / 31), 0.4 * torch.sin(frame / 57)
    poses[:, :3, 3] = torch.stack([STEP * frame, rise, nearer], -1)
    intrinsics = torch.tensor([0.9 * width, 0.9 * width, width / 2, height / 2])
    return Cameras(poses.float(), intrinsics.repeat(num_frames, 1), height, width)


def write_film(path: Path, num_frames: int, height: int, width: int) -> Cameras:
    """Write the film as H.264, and return its true cameras."""
    cameras = walk(num_frames, height, width)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"crf": "8"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(num_frames):
            frame = gallery(cameras[[index]]).frames[0]
            picture = frame.permute(1, 2, 0).contiguous().numpy()
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    return cameras


def gallery(camera: Cameras) -> Seen:
    """Return what one camera sees: a wall, a floor, and balls before the wall."""
    at = float(camera.centres[0, 0])
    first, last = (math.ceil(at / BALLS_APART + sign * REACH / BALLS_APART) for sign in (-1, 1))
    balls = [_ball(number) for number in range(first, last)]
    wall = Plane(normal=(0.0, 0.0, 1.0), offset=4.2, texture=11)
    floor = Plane(normal=(0.0, 1.0, 0.12), offset=1.5, texture=12)
    return TexturedScene((wall, floor, *balls)).seen(camera, [0.0])


def _ball(number: int) -> Sphere:
    """Return a ball whose height, distance and size follow from its number alone."""
    centre = (BALLS_APART * number, 0.7 * math.sin(2.1 * number), 3.0 + 0.5 * math.sin(number))
    return Sphere(centre, 0.35 + 0.12 * math.cos(1.7 * number), texture=20 + number % 50)
