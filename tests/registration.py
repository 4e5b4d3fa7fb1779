"""How far, in pixels, the content of one picture lies from where it lies in another one."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

WINDOW = 13
"""Pixels along a side of what is registered around a point."""

SPACING = 3
LEAST_TEXTURE = 5e-4
"""Smallest eigenvalue of the window's gradients: less tells no place in some direction."""


def displacements(picture: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Distance in pixels at every point of a dense grid (Lucas-Kanade, from truth to picture).

    Args:
        picture, truth: uint8 [3 height width].
        counted: bool [height width]; points count whose whole window is True and has texture.

    Returns:
        One distance per point that counts; infinity where the content was not found again.
    """
    before, after = (_grey(image) for image in (truth, picture))
    rows, columns = np.mgrid[
        WINDOW // 2 : before.shape[0] : SPACING, WINDOW // 2 : before.shape[1] : SPACING
    ]
    square = np.ones((WINDOW, WINDOW), np.uint8)
    whole = cv2.erode(counted.numpy().astype(np.uint8), square, borderValue=0)
    texture = cv2.cornerMinEigenVal(before, WINDOW)
    kept = (whole[rows, columns] > 0) & (texture[rows, columns] > LEAST_TEXTURE)
    points = np.stack([columns[kept], rows[kept]], -1).astype(np.float32)[:, None]
    if not len(points):
        return torch.zeros(0)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, points.copy(), winSize=(WINDOW, WINDOW), maxLevel=1
    )
    distance = np.linalg.norm(found - points, axis=-1)[:, 0]
    return torch.from_numpy(np.where(status[:, 0] > 0, distance, np.inf))


def _grey(image: Tensor) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2GRAY)
