"""A ray-cast set with fine detail, on which features are found; its cameras and depth are known.

Surfaces and rays are those of tests/ray_cast.py. The texture is noise with as much detail at a few
pixels as a photo has: many waves through space, the shorter the weaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.material import SourceMaterial
from tests.ray_cast import Plane, Scene, Seen, Sphere, pixel_rays

HEIGHT, WIDTH = 192, 256
FOCAL = 230.0
NUM_WAVES = 40
SHORTEST, LONGEST = 0.07, 1.2
"""Wave lengths in units of the world; a pixel covers about 0.017 of them at the wall."""


@dataclass(frozen=True)
class TexturedScene(Scene):
    """Surfaces with fine texture. Every ray must meet one of them."""

    def seen(self, cameras: Cameras, times: list[float]) -> Seen:
        """What each camera sees of the scene at its time."""
        pictures, depths, surfaces = [], [], []
        for index, time in enumerate(times):
            origin, direction = pixel_rays(cameras[[index]])
            reaches = torch.stack([each.hit(origin, direction, time) for each in self.surfaces])
            depth, nearest = reaches.min(0)
            assert bool(torch.isfinite(depth).all()), "a ray meets nothing"
            points = origin + depth[..., None] * direction
            colours = torch.zeros(*depth.shape, 3, dtype=torch.float64)
            for number, each in enumerate(self.surfaces):
                shown = nearest == number
                colours[shown] = fine_texture(each.carried(points[shown], time), each.texture)
            pictures.append((colours * 255).round().to(torch.uint8).permute(2, 0, 1))
            depths.append(depth.float())
            surfaces.append(nearest)
        return Seen(torch.stack(pictures), torch.stack(depths), torch.stack(surfaces))


def fine_texture(points: Tensor, number: int) -> Tensor:
    """Colours 0..1 [point 3] of points [point 3]."""
    draws = torch.Generator().manual_seed(number)
    towards = torch.nn.functional.normalize(torch.randn(NUM_WAVES, 3, generator=draws), dim=1)
    lengths = SHORTEST * (LONGEST / SHORTEST) ** torch.rand(NUM_WAVES, generator=draws)
    phases = 2 * torch.pi * torch.rand(NUM_WAVES, generator=draws)
    tints = 0.7 + 0.6 * torch.rand(NUM_WAVES, 3, generator=draws)
    strength = lengths.sqrt()
    strength = strength / strength.square().sum().sqrt()
    angles = points.float() @ (towards * (2 * torch.pi / lengths)[:, None]).T + phases
    waves = torch.sin(angles) @ (strength[:, None] * tints)
    return (0.5 + 0.5 * torch.tanh(1.2 * waves)).double()


_STILL_SURFACES = (
    Plane(normal=(0.25, 0.0, 1.0), offset=4.2, texture=11),
    Plane(normal=(0.0, 1.0, 0.12), offset=1.5, texture=12),
    Sphere((1.0, 0.5, 3.0), 0.5, texture=13),
    Sphere((-0.9, -0.6, 3.4), 0.45, texture=14),
)

BALL = len(_STILL_SURFACES)
"""Number of the surface that moves."""

STILL_SET = TexturedScene(_STILL_SURFACES)
MOVING_SET = TexturedScene(
    (*_STILL_SURFACES, Sphere((-0.3, 0.3, 2.6), 0.35, texture=15, velocity=(0.05, -0.035, 0.0)))
)


def walking_cameras(num_frames: int, *, height: int = HEIGHT, width: int = WIDTH) -> Cameras:
    """A camera that walks in an arc and turns and nods as it goes; its focal length stays."""
    time = torch.linspace(0, 1, num_frames)
    yaw, nod = -0.22 * (time - 0.5), 0.05 * torch.sin(6 * time)
    zero, one = torch.zeros_like(time), torch.ones_like(time)
    turn = torch.stack(
        [yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()], -1
    ).reshape(-1, 3, 3)
    tilt = torch.stack(
        [one, zero, zero, zero, nod.cos(), -nod.sin(), zero, nod.sin(), nod.cos()], -1
    ).reshape(-1, 3, 3)
    poses = torch.eye(4).repeat(num_frames, 1, 1)
    poses[:, :3, :3] = turn @ tilt
    poses[:, :3, 3] = torch.stack([1.0 * (time - 0.5), -0.15 * torch.sin(4 * time), 0.3 * time], -1)
    scale = height / HEIGHT
    intrinsics = torch.tensor([FOCAL * scale, FOCAL * scale, width / 2, height / 2])
    return Cameras(poses, intrinsics.repeat(num_frames, 1), height, width)


def material_of(seen: Seen, **given: object) -> SourceMaterial:
    """The pictures alone, as a video, with whatever else is given."""
    values = {"scene_id": "set", "fps": 24.0, "provenance": {"kind": "ray cast"}, **given}
    return SourceMaterial(frames=seen.frames, **values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class PoseErrors:
    """Of solved cameras against true ones, after a similarity.

    Attributes:
        rotation_degrees: largest over the frames.
        direction_degrees: largest angle between steps from the first camera, of those that are
            long enough to have a direction.
        scale: true units of one solved unit.
    """

    rotation_degrees: float
    direction_degrees: float
    scale: float


def pose_errors(solved: Cameras, true: Cameras) -> PoseErrors:
    """The similarity's rotation is the mean over the frames, its scale the best for the centres."""
    rotations = solved.camera_to_world[:, :3, :3].double()
    true_rotations = true.camera_to_world[:, :3, :3].double()
    left, _, right = torch.linalg.svd((true_rotations @ rotations.transpose(1, 2)).mean(0))
    aligning = left @ right
    turn = (aligning @ rotations).transpose(1, 2) @ true_rotations
    skew = turn - turn.transpose(1, 2)
    sines = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], -1).norm(dim=-1) / 2
    centres = solved.centres.double() @ aligning.T
    spread, true_spread = centres - centres.mean(0), true.centres.double()
    true_spread = true_spread - true_spread.mean(0)
    scale = float((spread * true_spread).sum() / (spread * spread).sum())
    steps, true_steps = centres - centres[0], true_spread - true_spread[0]
    lengths = true_steps.norm(dim=-1)
    long_enough = lengths > 0.2 * lengths.max()
    cosines = torch.nn.functional.cosine_similarity(
        steps[long_enough], true_steps[long_enough], dim=-1
    )
    return PoseErrors(
        float(torch.rad2deg(sines.asin()).max()),
        float(torch.rad2deg(cosines.clamp(max=1).acos()).max()),
        scale,
    )
