"""Measuring a view while it is made: its frames against the cache's pictures."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from torch import Tensor

from lyra_data.generation.quality import photometry
from lyra_data.generation.quality.contrast import contrast_everywhere, local_contrast, reduction
from lyra_data.generation.quality.displacement import median_displacement
from lyra_data.generation.quality.pose_check import mean_pose_error
from lyra_data.scene.quality import ViewQuality

NUM_SAMPLES = 8
"""Frames looked at, spread over the view. The first, where every view shows its source, is not."""


def measure_view(
    frames: UInt8[Tensor, "frame 3 height width"],
    filled: Bool[Tensor, "frame height width"],
    *,
    pictures: UInt8[Tensor, "frame 3 height width"],
    known: Bool[Tensor, "frame height width"],
) -> ViewQuality:
    """Measure every number of a view but those that need the scene's other views.

    Args:
        frames: what the teacher made.
        filled: True where the teacher invented the pixel.
        pictures: what the cache showed in the same cameras.
        known: True where it did.
    """
    chosen = sampled_frames(len(frames))
    actual, expected, where = (part[chosen].numpy() for part in (frames, pictures, known))
    contrast = contrast_everywhere(actual, where)
    path_contrast, path_known = local_contrast(pictures.numpy(), known.numpy())
    displacements = [
        median_displacement(path_contrast[index], path_known[index], seen)
        for index, seen in zip(chosen, contrast, strict=True)
    ]
    measured = [distance for distance in displacements if distance is not None]
    return ViewQuality(
        cache_psnr_db=photometry.psnr_db(actual, expected, where),
        cache_displacement_pixels=(
            max(measured) * reduction(*frames.shape[-2:]) if measured else None
        ),
        pose_error_frames=mean_pose_error(contrast, chosen, path_contrast, path_known),
        sibling_psnr_db=None,
        sibling_displacement_pixels=None,
        sharpness_ratio=photometry.sharpness_ratio(actual, expected, where),
        filled_sharpness_ratio=photometry.filled_sharpness_ratio(actual, filled[chosen].numpy()),
        luminance_drift=photometry.luminance_drift(actual, expected, where),
        clipped_excess=photometry.clipped_excess(actual, expected, where),
    )


def sampled_frames(num_frames: int) -> list[int]:
    """Return indices of evenly spread frames, the last among them and the first not, unless it is
    the only one."""
    spread = np.linspace(0, num_frames - 1, NUM_SAMPLES + 1).round().astype(int)
    return sorted({int(frame) for frame in spread[1:]})
