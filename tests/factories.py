"""Tiny, deterministic cameras, clips and views for all tests."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from lyra_data.engine.seeds import torch_generator
from lyra_data.models.codecs.base import LATENT_CHANNELS, SPATIAL_FACTOR, num_latent_frames
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.quality import ViewQuality
from lyra_data.scene.view import View
from lyra_model.batches.targets import Targets

NUM_FRAMES = 9
HEIGHT = 16
WIDTH = 24


def make_cameras(
    num_frames: int = NUM_FRAMES,
    height: int = HEIGHT,
    width: int = WIDTH,
    *,
    distance: float = 0.3,
    centre_depth: float = 2.0,
) -> Cameras:
    """Cameras that start at the identity, move to the right and keep facing the scene's centre.

    Args:
        distance: length of the path in metres.
        centre_depth: depth in metres of the point all cameras look at.
    """
    positions = torch.linspace(0.0, distance, num_frames)
    angles = torch.atan2(positions, torch.tensor(centre_depth))
    camera_to_world = torch.eye(4).repeat(num_frames, 1, 1)
    camera_to_world[:, 0, 0] = camera_to_world[:, 2, 2] = torch.cos(angles)
    camera_to_world[:, 0, 2], camera_to_world[:, 2, 0] = -torch.sin(angles), torch.sin(angles)
    camera_to_world[:, 0, 3] = positions
    intrinsics = torch.tensor([float(width), float(width), width / 2, height / 2])
    return Cameras(camera_to_world, intrinsics.repeat(num_frames, 1), height, width)


def make_frames(
    num_frames: int = NUM_FRAMES, height: int = HEIGHT, width: int = WIDTH, *, seed: int = 0
) -> torch.Tensor:
    """A smooth coloured pattern that drifts, a little noisy; uint8 [frame, 3, height, width]."""
    frame = torch.arange(num_frames).reshape(-1, 1, 1, 1)
    channel = torch.arange(3).reshape(1, -1, 1, 1)
    row = torch.arange(height).reshape(1, 1, -1, 1)
    column = torch.arange(width).reshape(1, 1, 1, -1)
    wave = torch.sin(0.35 * (column + frame) + channel) * torch.cos(0.25 * row + seed)
    noise = torch.rand(wave.shape, generator=torch_generator(seed, "factory", "frames"))
    return (127.5 + 100.0 * wave + 20.0 * noise).to(torch.uint8)


def make_depth(
    num_frames: int = NUM_FRAMES, height: int = HEIGHT, width: int = WIDTH, *, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth in metres of a slanted wall behind a box, and where it is known (about 93 %)."""
    row = torch.linspace(0.0, 1.0, height).reshape(1, -1, 1)
    depth = (2.5 - 0.5 * row).expand(num_frames, height, width).clone()
    depth[:, height // 4 : height // 2, width // 4 : width // 2] = 1.5
    draws = torch.rand(depth.shape, generator=torch_generator(seed, "factory", "depth"))
    valid = draws > 0.07
    return torch.where(valid, depth, torch.zeros(())), valid


def make_clip(
    scene_id: str = "scene",
    num_frames: int = 1,
    height: int = HEIGHT,
    width: int = WIDTH,
    *,
    seed: int = 0,
) -> Clip:
    """A clip of an image (one frame) or a video, with metric depth."""
    depth, depth_valid = make_depth(num_frames, height, width, seed=seed)
    return Clip(
        scene_id=scene_id,
        frames=make_frames(num_frames, height, width, seed=seed),
        cameras=make_cameras(num_frames, height, width),
        depth=depth,
        depth_valid=depth_valid,
        depth_scale="metric",
        fps=24.0,
        dynamic_mask=None,
        prompt="a box before a wall",
        source={"kind": "factory", "sha256": "0" * 64, "licence": "CC0-1.0"},
    )


def make_targets(num_frames: int = NUM_FRAMES, height: int = HEIGHT, width: int = WIDTH) -> Targets:
    """Frames with depth and cameras, as training and evaluation compare with."""
    depth, depth_valid = make_depth(num_frames, height, width)
    return Targets(
        rgb=make_frames(num_frames, height, width).float() / 255.0,
        depth=depth,
        depth_valid=depth_valid,
        filled=~depth_valid,
        cameras=make_cameras(num_frames, height, width),
        times=torch.arange(num_frames, dtype=torch.float32),
    )


def make_quality(**changes: float | None) -> ViewQuality:
    """Numbers as a good view among siblings has them; its displacement could not be measured."""
    numbers: dict[str, float | None] = {
        "cache_psnr_db": 31.5,
        "cache_displacement_pixels": None,
        "pose_error_frames": 0.125,
        "sibling_psnr_db": 26.25,
        "sibling_displacement_pixels": 0.3,
        "sharpness_ratio": 0.95,
        "filled_sharpness_ratio": 0.4,
        "luminance_drift": -0.01,
        "clipped_excess": 0.002,
    }
    return ViewQuality(**{**numbers, **changes})


def make_view(
    scene_id: str = "scene",
    view_index: int = 0,
    num_frames: int = NUM_FRAMES,
    height: int = HEIGHT,
    width: int = WIDTH,
    *,
    trajectory: str = "right",
    seed: int = 0,
    codec: str = "dct",
    codec_fingerprint: str = "dct-test",
) -> View:
    """A generated view; views of another index or seed differ in every tensor but the cameras."""
    seed = 1000 * seed + view_index
    depth, depth_valid = make_depth(num_frames, height, width, seed=seed)
    generator = np.random.default_rng(seed)
    latents = generator.standard_normal(
        (
            LATENT_CHANNELS,
            num_latent_frames(num_frames),
            height // SPATIAL_FACTOR,
            width // SPATIAL_FACTOR,
        ),
        dtype=np.float32,
    )
    latents[-1, -1, -1, -1] = 0.0  # ends in zero bytes, which some readers strip
    return View(
        scene_id=scene_id,
        view_index=view_index,
        trajectory=trajectory,
        motion_reversed=False,
        frames=make_frames(num_frames, height, width, seed=seed),
        cameras=make_cameras(num_frames, height, width),
        latents=torch.from_numpy(latents),
        depth=depth,
        depth_valid=depth_valid,
        filled=~depth_valid,
        depth_scale="metric",
        fps=24.0,
        movement_distance=0.2718281828,
        seed=2**62 + seed,
        quality=make_quality(),
        provenance={
            "teacher": "warp",
            "teacher_fingerprint": "warp-test",
            "codec": codec,
            "codec_fingerprint": codec_fingerprint,
            "source_sha256": "0" * 64,
            "licence": "CC0-1.0",
        },
    )


def assert_views_equal(found: View, expected: View) -> None:
    """Every field equal, to the bit and in its type."""
    for name in (field.name for field in dataclasses.fields(View)):
        one, other = getattr(found, name), getattr(expected, name)
        if name == "cameras":
            assert (one.height, one.width) == (other.height, other.width)
            pairs = [
                ("camera_to_world", one.camera_to_world, other.camera_to_world),
                ("intrinsics", one.intrinsics, other.intrinsics),
            ]
        else:
            pairs = [(name, one, other)]
        for label, first, second in pairs:
            if isinstance(second, torch.Tensor):
                assert first.dtype == second.dtype, (label, first.dtype, second.dtype)
                assert torch.equal(first, second), label
            else:
                assert first == second and type(first) is type(second), (label, first, second)
