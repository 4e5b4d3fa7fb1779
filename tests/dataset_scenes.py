"""Views of an exactly known scene in which a ball moves, in both directions, for datasets."""

from __future__ import annotations

from functools import cache

import torch

from lyra_data.models.codecs.dct import DctCodec, DctCodecParams
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.view import View
from tests.factories import make_quality
from tests.ray_cast import BACKGROUND, HEIGHT, WIDTH, Scene, Sphere

NUM_FRAMES = 9
DIRECTIONS = {"right": (0.3, 0.0, 0.0), "up": (0.0, -0.3, 0.0)}


def straight(direction: tuple[float, float, float]) -> Cameras:
    """A path from the origin, by `direction` in all, without turning."""
    poses = torch.eye(4).repeat(NUM_FRAMES, 1, 1)
    poses[:, :3, 3] = torch.linspace(0, 1, NUM_FRAMES)[:, None] * torch.tensor(direction)
    intrinsics = torch.tensor([110.0, 110.0, 64.0, 48.0]).repeat(NUM_FRAMES, 1)
    return Cameras(poses, intrinsics, HEIGHT, WIDTH)


@cache
def exact_view(
    scene_id: str = "a", view_index: int = 0, trajectory: str = "right", *, reverse: bool = False
) -> View:
    """Frames and depth as they are; another first letter of the name is another scene."""
    textures = ord(scene_id[0])
    surfaces = tuple(
        type(plane)(plane.normal, plane.offset, textures + number)
        for number, plane in enumerate(BACKGROUND)
    )
    ball = Sphere((-0.6, 0.1, 2.4), 0.45, texture=textures + 9, velocity=(0.13, -0.03, 0.02))
    times = [float(time) for time in range(NUM_FRAMES)]
    cameras = straight(DIRECTIONS[trajectory])
    seen = Scene((*surfaces, ball)).seen(cameras, times[::-1] if reverse else times)
    depth = seen.depth.clone()
    depth[:, 20:24, 90:96] = 0.0
    video = seen.frames.permute(1, 0, 2, 3).float() / 127.5 - 1.0
    return View(
        scene_id=scene_id,
        view_index=view_index,
        trajectory=trajectory,
        motion_reversed=reverse,
        frames=seen.frames,
        cameras=cameras,
        latents=DctCodec(DctCodecParams(name="dct")).encode(video),
        depth=depth,
        depth_valid=depth > 0,
        filled=depth == 0,
        depth_scale="metric",
        fps=24.0,
        movement_distance=0.125,
        seed=view_index,
        quality=make_quality(),
        provenance={
            "teacher": "exact",
            "codec": "dct",
            "codec_fingerprint": "dct-test",
            "source_video_sha256": scene_id[0] * 64,
            "source_licence": "CC0-1.0",
            "clip_frames": str(NUM_FRAMES),
            "prompt": "a ball before a wall",
        },
    )


def exact_scene(scene_id: str = "a") -> list[View]:
    """Two paths forward, one of them backward too."""
    return [
        exact_view(scene_id, 0, "right"),
        exact_view(scene_id, 1, "up"),
        exact_view(scene_id, 2, "right", reverse=True),
    ]
