"""A sample: some latents, cameras and frames of one scene, as training asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras

Precision: TypeAlias = Literal["lean", "f32"]
"""lean: uint8 frames, depth and latents as they are stored; f32: all float32, frames 0..1."""


@dataclass(frozen=True)
class SceneSample:
    """Some of a scene.

    Attributes:
        latents: by view_index.
        cameras: of all frames of every view that anything was read of, by view_index.
        frames, depth: the frames asked for, in their order, by view_index.
    """

    scene_id: str
    latents: Mapping[int, Float[Tensor, "channel latent_frame latent_height latent_width"]]
    cameras: Mapping[int, Cameras]
    frames: Mapping[int, Tensor]
    depth: Mapping[int, Float[Tensor, "frame height width"]]


def as_f32(sample: SceneSample) -> SceneSample:
    """All tensors as float32, frames 0..1."""
    return SceneSample(
        sample.scene_id,
        {view: latents.float() for view, latents in sample.latents.items()},
        sample.cameras,
        {view: frames.to(torch.float32).div_(255.0) for view, frames in sample.frames.items()},
        {view: depth.float() for view, depth in sample.depth.items()},
    )
