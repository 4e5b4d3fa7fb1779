"""Depth as Lyra's own scripts draw it: the jet colour map, and a wave of light through a scene.

Videos of depth have these colours, to lie beside Lyra's; the report has colours of its own, which
are perceptually even. In both functions unknown depth (0) shapes nothing. Source: visu.py,
create_depth_visu and generate_wave_video, whose colours come out with red and blue exchanged; here
they are RGB.

    pictures = jet(view.depth)                       # uint8 [frame 3 height width]
    video = depth_wave(view.frames[0], view.depth[0], wave_length=0.4)
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float, UInt8
from torch import Tensor

PERCENTILES = (1.0, 99.0)
"""Percentiles of the known depths that have the first and the last colour."""

COLOUR_NEAR, COLOUR_FAR = (255, 230, 200), (200, 220, 255)
"""Colours of the wave: warm white where it starts, cold blue where it ends."""


def jet(
    depth: Float[Tensor, "frame height width"], *, limits: tuple[float, float] | None = None
) -> UInt8[Tensor, "frame 3 height width"]:
    """Return depth in colours, RGB: blue near, red far, black where unknown.

    Args:
        depth: any unit; 0 or less where unknown.
        limits: depths of the first and the last colour; beyond them colours stay as they are.
            None: the 1st and 99th percentile of what is known in all frames.
    """
    known = depth > 0
    if limits is None:
        values = depth[known].numpy() if bool(known.any()) else np.ones(1, dtype=np.float32)
        near, far = (float(np.percentile(values, percent)) for percent in PERCENTILES)
    else:
        near, far = limits
    level = (depth.clamp(near, far) - near) / max(far - near, 1e-12)
    codes = (level * 255).to(torch.uint8).numpy()
    pictures = np.stack([cv2.applyColorMap(frame, cv2.COLORMAP_JET) for frame in codes])
    colours = rearrange(torch.from_numpy(pictures).flip(-1), "f h w c -> f c h w")
    return torch.where(known[:, None], colours, torch.zeros_like(colours))


def depth_wave(
    image: UInt8[Tensor, "3 height width"] | Float[Tensor, "3 height width"],
    depth: Float[Tensor, "height width"],
    *,
    wave_length: float,
    num_still: int = 24,
    num_steps: int = 24,
    colour_near: tuple[int, int, int] = COLOUR_NEAR,
    colour_far: tuple[int, int, int] = COLOUR_FAR,
) -> UInt8[Tensor, "frame 3 height width"]:
    """Return a video in which a band of light passes through the scene from near to far.

    Args:
        image: bytes, or 0..1.
        wave_length: depth from the band's middle, where it covers the picture, to its edge.
        num_still: frames before the wave starts; it then has num_steps + 1 frames.
    """
    picture = image.float() if image.dtype == torch.uint8 else image * 255.0
    known = depth > 0
    values = depth[known] if bool(known.any()) else depth.new_ones(1)
    near, far = float(values.min()), float(values.max())
    span = far - near if far - near >= 1e-5 else 1.0
    middle = torch.linspace(near, near + span, num_steps + 1)
    distance = ((depth - middle[:, None, None]) / wave_length).clamp(-1, 1)
    cover = torch.where(known, torch.cos(distance * (torch.pi / 2)) ** 2, 0.0)[:, None]
    ends = torch.tensor([colour_near, colour_far], dtype=torch.float32)[..., None, None]
    place = ((depth - near) / span).clamp(0, 1)
    light = torch.lerp(ends[0], ends[1], place)
    wave = torch.lerp(picture, light, cover)
    still = repeat(picture, "c h w -> f c h w", f=num_still)
    return torch.cat([still, wave]).clamp(0, 255).to(torch.uint8)
