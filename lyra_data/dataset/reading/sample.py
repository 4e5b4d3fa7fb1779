"""Hold some latents, cameras and frames of one scene, as training reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras

Precision: TypeAlias = Literal["lean", "f32"]
"""lean: uint8 frames, depth and latents as they are stored; f32: all float32, frames 0..1."""


@dataclass(frozen=True)
class SceneSample:
    """Some views of a scene: everything is keyed by view_index.

    Attributes:
        latents: of the views whose latents were asked for.
        cameras: of all frames of every view that anything was read of; empty where they were not
            asked for.
        frames: the frames that were asked for, in their order, [frame 3 height width].
        depth: of those frames; empty where depth was not asked for.
        depth_valid, filled: of those frames, where the depth is known and where the teacher
            invented the pixel; empty where masks were not asked for.
    """

    scene_id: str
    latents: Mapping[int, Float[Tensor, "channel latent_frame latent_height latent_width"]]
    cameras: Mapping[int, Cameras]
    frames: Mapping[int, Tensor]
    depth: Mapping[int, Float[Tensor, "frame height width"]]
    depth_valid: Mapping[int, Bool[Tensor, "frame height width"]]
    filled: Mapping[int, Bool[Tensor, "frame height width"]]


def as_f32(sample: SceneSample) -> SceneSample:
    """Return the sample with latents, frames and depth as float32, frames 0..1."""
    return replace(
        sample,
        latents={view: latents.float() for view, latents in sample.latents.items()},
        frames={view: one.to(torch.float32).div_(255.0) for view, one in sample.frames.items()},
        depth={view: depth.float() for view, depth in sample.depth.items()},
    )
