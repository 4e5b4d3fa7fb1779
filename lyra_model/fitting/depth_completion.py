"""Complete unknown depth inside frames from what surrounds it: a guess, to show things with.

A guessed depth never supervises, is never compared with, and counts nowhere as known: the mask of
known depth stays as it was. Inverse depth is spread from the known pixels into the unknown ones as
heat would, well between pixels of like colours and badly across edges of colour; ADR 0027 compares
other ways.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.fitting.diffusion_kernel import diffuse

COLOUR_SCALE = 0.05
"""Sum of the three channels' differences at which a link between pixels falls to 1/e."""
LEAST_LINK = 1e-4
"""A hole shut in by edges still takes something from beyond them."""
TOLERANCE = 1e-4
"""Rounds end when none changes an inverse depth by more than this share of the largest one."""
MAX_ROUNDS = 300


def complete_depth(
    rgb: Float[Tensor, "frame 3 height width"],
    depth: Float[Tensor, "frame height width"],
    known: Bool[Tensor, "frame height width"],
) -> Float[Tensor, "frame height width"]:
    """Return z depth for every pixel: as given where it is known, guessed elsewhere; on the CPU.

    A frame without any known pixel takes the median of all that is known in the other frames.

    Args:
        rgb: 0..1.

    Raises:
        ValueError: no depth is known in any frame.
    """
    if not bool(known.any()):
        raise ValueError("no depth is known in any frame: there is nothing to complete it from")
    completed = depth.cpu().clone()
    for frame, (picture, mask) in enumerate(zip(rgb.cpu(), known.cpu(), strict=True)):
        if not bool(mask.any()):
            completed[frame] = depth[known].median()
        elif not bool(mask.all()):
            guess = _diffused(picture.numpy(), depth[frame].cpu().numpy(), mask.numpy())
            completed[frame] = torch.where(mask, completed[frame], torch.from_numpy(guess))
    return completed


def _diffused(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return one frame's depth with every unknown pixel guessed."""
    inverse = 1.0 / nearest_known(depth, known)
    rows, columns = np.nonzero(~known)
    diffuse(
        inverse,
        *_links(rgb),
        rows.astype(np.int32),
        columns.astype(np.int32),
        np.float32(TOLERANCE * inverse[known].max()),
        MAX_ROUNDS,
    )
    # Steps that are too long on purpose overshoot for a while; the last round may be one of those.
    return 1.0 / inverse.clip(inverse[known].min(), inverse[known].max())


def nearest_known(depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the depth of the nearest known pixel, height x width; there has to be one."""
    _, labels_of_nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels_of_nearest, np.int32)
    depth_of = np.zeros(labels.max() + 1, np.float32)
    depth_of[labels[known]] = depth[known]
    return depth_of[labels]


def _links(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how well every pixel is joined to the one on its right, and to the one below it.

    Those of the last column, and of the last row, are 0: there is no pixel beyond.
    """
    links = []
    for axis in (2, 1):
        difference = np.abs(np.diff(rgb, axis=axis)).sum(0)
        link = np.exp(-difference / COLOUR_SCALE) + LEAST_LINK
        widths = [(0, int(axis == 1)), (0, int(axis == 2))]
        links.append(np.ascontiguousarray(np.pad(link, widths).astype(np.float32)))
    return links[0], links[1]
