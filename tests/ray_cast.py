"""A scene whose every picture is known exactly: textured surfaces, seen by ray casting.

Colours are smooth functions of the place on a surface, so a picture can be registered against
another one to a small part of a pixel. Surfaces that move carry their texture along.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip

HEIGHT, WIDTH = 96, 128


@dataclass(frozen=True)
class Plane:
    """All points p with normal . p = offset."""

    normal: tuple[float, float, float]
    offset: float
    texture: int

    def hit(self, origin: Tensor, direction: Tensor, _time: float) -> Tensor:
        """Ray parameter of the nearest point in front, infinity where there is none."""
        normal = origin.new_tensor(self.normal)
        reach = (self.offset - origin @ normal) / (direction @ normal)
        return torch.where(reach > 1e-6, reach, torch.inf)

    def carried(self, points: Tensor, _time: float) -> Tensor:
        """The points in the frame that the texture is fixed to."""
        return points


@dataclass(frozen=True)
class Sphere:
    """A ball that moves by `velocity` in a frame's time."""

    centre: tuple[float, float, float]
    radius: float
    texture: int
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def hit(self, origin: Tensor, direction: Tensor, time: float) -> Tensor:
        to_centre = self._centre(origin, time) - origin
        square = (direction**2).sum(-1)
        half = direction @ to_centre / square
        rest = half**2 - (to_centre @ to_centre - self.radius**2) / square
        reach = half - rest.clamp(min=0).sqrt()
        return torch.where((rest > 0) & (reach > 1e-6), reach, torch.inf)

    def carried(self, points: Tensor, time: float) -> Tensor:
        return points - self._centre(points, time)

    def _centre(self, like: Tensor, time: float) -> Tensor:
        return like.new_tensor(self.centre) + time * like.new_tensor(self.velocity)


@dataclass(frozen=True)
class Seen:
    """What cameras see of a scene.

    Attributes:
        frames: uint8 [frame 3 height width].
        depth: z depth [frame height width].
        surface: number of the surface that is seen [frame height width].
    """

    frames: Tensor
    depth: Tensor
    surface: Tensor

    @property
    def at_edge(self) -> Tensor:
        """True where a neighbouring pixel shows another surface at another depth."""
        edge = torch.zeros_like(self.surface, dtype=torch.bool)
        for axis in (1, 2):
            near, far = (self.depth.narrow(axis, i, self.depth.shape[axis] - 1) for i in (0, 1))
            one, other = (self.surface.narrow(axis, i, self.depth.shape[axis] - 1) for i in (0, 1))
            jump = (one != other) & ((near - far).abs() > 0.05 * near)
            for start in (0, 1):
                edge.narrow(axis, start, jump.shape[axis]).logical_or_(jump)
        return edge


@dataclass(frozen=True)
class Scene:
    """Surfaces. Every ray must meet one of them."""

    surfaces: tuple[Plane | Sphere, ...]

    def seen(self, cameras: Cameras, times: list[float]) -> Seen:
        """What each camera sees of the scene at its time."""
        pictures, depths, surfaces = [], [], []
        for index, time in enumerate(times):
            origin, direction = pixel_rays(cameras[[index]])
            reaches = torch.stack([each.hit(origin, direction, time) for each in self.surfaces])
            depth, nearest = reaches.min(0)
            assert bool(torch.isfinite(depth).all()), "a ray meets nothing"
            points = origin + depth[..., None] * direction
            colours = torch.zeros_like(points)
            for number, each in enumerate(self.surfaces):
                paint = _texture(each.carried(points, time), each.texture)
                colours = torch.where((nearest == number)[..., None], paint, colours)
            pictures.append((colours * 255).round().to(torch.uint8).permute(2, 0, 1))
            depths.append(depth.float())
            surfaces.append(nearest)
        return Seen(torch.stack(pictures), torch.stack(depths), torch.stack(surfaces))

    def reaches(self, camera: Cameras, points: Tensor, time: float) -> Tensor:
        """True where nothing stands between the camera and the points [height width 3] and they
        lie in its picture."""
        origin = camera.camera_to_world[0, :3, 3].double()
        rotation = camera.camera_to_world[0, :3, :3].double()
        local = (points - origin) @ rotation
        fx, fy, cx, cy = camera.intrinsics[0].double()
        column = fx * local[..., 0] / local[..., 2] + cx
        row = fy * local[..., 1] / local[..., 2] + cy
        inside = (column > 0) & (column < camera.width) & (row > 0) & (row < camera.height)
        direction = points - origin
        nearest = torch.stack([each.hit(origin, direction, time) for each in self.surfaces]).amin(0)
        return inside & (local[..., 2] > 0) & (nearest > 1 - 1e-4)


def pixel_rays(camera: Cameras) -> tuple[Tensor, Tensor]:
    """Origin [3] and directions [height width 3] of z = 1 through pixel centres, in the world."""
    fx, fy, cx, cy = camera.intrinsics[0].double()
    rows = (torch.arange(camera.height).double() + 0.5 - cy) / fy
    columns = (torch.arange(camera.width).double() + 0.5 - cx) / fx
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    pose = camera.camera_to_world[0].double()
    return pose[:3, 3], torch.stack([x, y, torch.ones_like(x)], -1) @ pose[:3, :3].T


def _texture(points: Tensor, number: int) -> Tensor:
    """Colours 0..1 of points: a few waves of 0.3 to 0.9 units through space."""
    draws = torch.Generator().manual_seed(number)
    colours = torch.zeros_like(points)
    for _ in range(6):
        towards = torch.nn.functional.normalize(torch.randn(3, generator=draws), dim=0)
        length = 0.3 + 0.6 * torch.rand(1, generator=draws)
        phase = 2 * torch.pi * torch.rand(3, generator=draws)
        wave = points @ (towards * (2 * torch.pi / length)).double()
        colours = colours + torch.sin(wave[..., None] + phase.double())
    return 0.5 + 0.5 * torch.tanh(0.6 * colours)


BACKGROUND = (
    Plane(normal=(0.25, 0.0, 1.0), offset=4.0, texture=1),
    Plane(normal=(0.0, 1.0, 0.1), offset=1.6, texture=2),
)
"""A slanted wall and a floor (y points down)."""

BALL = len(BACKGROUND)
"""Number of the surface that moves."""

STILL = Scene((*BACKGROUND, Sphere((-0.3, 0.1, 2.4), 0.45, texture=3)))
MOVING = Scene(
    (*BACKGROUND, Sphere((-0.6, 0.1, 2.4), 0.45, texture=3, velocity=(0.13, -0.03, 0.02)))
)
"""The ball crosses a third of the picture in nine frames."""


def still_camera() -> Cameras:
    pose = torch.eye(4)
    return Cameras(pose[None], torch.tensor([[110.0, 112.0, 63.0, 49.0]]), HEIGHT, WIDTH)


def moving_cameras(num_frames: int) -> Cameras:
    """A hand-held camera: it drifts, turns and zooms, never the same in two frames."""
    frame = torch.arange(num_frames, dtype=torch.float32)
    angle = 0.012 * frame
    poses = torch.eye(4).repeat(num_frames, 1, 1)
    poses[:, 0, 0] = poses[:, 2, 2] = torch.cos(angle)
    poses[:, 0, 2], poses[:, 2, 0] = torch.sin(angle), -torch.sin(angle)
    poses[:, :3, 3] = torch.stack([0.03 * frame, -0.015 * frame, 0.02 * frame], -1)
    zoom = 1 + 0.02 * frame
    intrinsics = torch.stack([110 * zoom, 112 * zoom, 63 + 0.2 * frame, 49 - 0.1 * frame], -1)
    return Cameras(poses, intrinsics, HEIGHT, WIDTH)


def clip_of(scene: Scene, cameras: Cameras, scene_id: str) -> Clip:
    """What the cameras see, one frame's time apart, with exact depth; a part of it unknown."""
    seen = scene.seen(cameras, [float(index) for index in range(len(cameras))])
    depth = seen.depth.clone()
    depth[:, 20:24, 90:96] = 0.0
    return Clip(
        scene_id=scene_id,
        frames=seen.frames,
        cameras=cameras,
        depth=depth,
        depth_valid=depth > 0,
        depth_scale="metric",
        fps=24.0,
        dynamic_mask=None if len(cameras) == 1 else seen.surface == BALL,
        prompt="a ball before a wall",
        source={"kind": "ray cast", "sha256": "0" * 64, "licence": "CC0-1.0"},
    )
