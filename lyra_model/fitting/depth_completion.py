"""Complete unknown depth inside frames from what surrounds it: a guess, to show things with.

A guessed depth never supervises, is never compared with, and counts nowhere as known: the mask of
known depth stays as it was.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor


def complete_depth(
    depth: Float[Tensor, "frame height width"], known: Bool[Tensor, "frame height width"]
) -> Float[Tensor, "frame height width"]:
    """Return z depth for every pixel: as given where it is known, guessed elsewhere.

    A pixel takes the depth of the nearest known pixel of its frame. A frame without any known pixel
    takes the median of all that is known in the other frames.

    Raises:
        ValueError: no depth is known in any frame.
    """
    if not bool(known.any()):
        raise ValueError("no depth is known in any frame: there is nothing to complete it from")
    return torch.stack(
        [
            _complete_frame(frame, mask)
            if bool(mask.any())
            else depth[known].median().expand_as(frame)
            for frame, mask in zip(depth, known, strict=True)
        ]
    )


def _complete_frame(
    depth: Float[Tensor, "height width"], known: Bool[Tensor, "height width"]
) -> Float[Tensor, "height width"]:
    """Return the depth with every unknown pixel given that of the nearest known one."""
    unknown = ~known.cpu().numpy()
    if not unknown.any():
        return depth
    indices = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    rows, columns = np.asarray(indices)
    nearest = np.ascontiguousarray(depth.cpu().numpy()[rows, columns])
    return torch.from_numpy(nearest).to(depth.device)
