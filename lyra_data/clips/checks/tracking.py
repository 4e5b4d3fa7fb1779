"""Points that pictures show in two frames, found without depth or poses."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.scene.cameras import PIXEL_CENTRE

LONGEST_SIDE = 640
"""Pixels. Larger pictures are reduced first by a whole factor; it bounds the cost."""

MAX_POINTS = 300
MIN_POINTS = 12
WINDOW = 13
"""Side of the neighbourhood that a point is found by, in pixels."""

LEVELS = 4
MAX_RETURN_ERROR = 0.7
"""Pixels. A point counts as found if following it back leads this near to where it started."""


@dataclass(frozen=True)
class Tracks:
    """Points of one frame that were found again in another.

    Attributes:
        start, end: (x, y) in pixels of the clip, centres of pixels at +0.5.
        found_share: of the points that were sought.
    """

    start: Float[np.ndarray, "point 2"]
    end: Float[np.ndarray, "point 2"]
    found_share: float

    def __len__(self) -> int:
        return len(self.start)

    @property
    def motion(self) -> float:
        """Median distance from start to end, in pixels."""
        return float(np.median(np.linalg.norm(self.end - self.start, axis=1)))


def reduction(height: int, width: int) -> int:
    """Pixels along a side that become one before points are sought."""
    return -(-max(height, width) // LONGEST_SIDE)


def grey_picture(
    frame: UInt8[Tensor, "3 height width"],
) -> UInt8[np.ndarray, "low_height low_width"]:
    """Luma at the size that is looked at."""
    picture = np.ascontiguousarray(rearrange(frame, "c h w -> h w c").numpy())
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    factor = reduction(*grey.shape)
    if factor == 1:
        return grey
    height, width = (side // factor for side in grey.shape)
    whole = grey[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def follow(
    before: UInt8[np.ndarray, "low_height low_width"],
    after: UInt8[np.ndarray, "low_height low_width"],
    counted: Bool[Tensor, "height width"],
) -> Tracks | None:
    """Corners of one picture in another: pyramidal Lucas-Kanade, there and back again.

    Nothing tells where to look, so wrong poses cannot pull points to where they expect them.

    Args:
        counted: True where a corner may be taken, in the clip's own pixels.

    Returns:
        None: too few corners are counted.
    """
    factor = reduction(*counted.shape)
    offset = factor // 2
    mask = counted.numpy()[offset::factor, offset::factor][: before.shape[0], : before.shape[1]]
    corners = cv2.goodFeaturesToTrack(
        before,
        MAX_POINTS,
        qualityLevel=0.01,
        minDistance=max(3.0, max(before.shape) / 100),
        mask=mask.astype(np.uint8),
        blockSize=5,
    )
    if corners is None or len(corners) < MIN_POINTS:
        return None
    there, found = _follow(before, after, corners)
    back, found_back = _follow(after, before, there)
    returned = np.linalg.norm(back - corners, axis=-1)[:, 0] <= MAX_RETURN_ERROR
    inside = (there[:, 0] >= 0).all(-1) & (there[:, 0] <= np.array(before.shape[::-1]) - 1).all(-1)
    kept = found & found_back & returned & inside
    start, end = (
        factor * (points[kept, 0].astype(np.float64) + PIXEL_CENTRE) for points in (corners, there)
    )
    return Tracks(start, end, float(kept.mean()))


def steady_depth(
    depth: Float[Tensor, "height width"], known: Bool[Tensor, "height width"]
) -> tuple[Bool[Tensor, "height width"], Float[Tensor, "height width"]]:
    """Return where depth is known, or is beside, and the same all around; and it, 0 elsewhere.

    At an edge of depth it is a toss-up which surface a corner belongs to. Depth may be sparse: what
    is not known around a pixel is not asked.
    """
    values, mask = depth.float().numpy(), known.numpy()
    around, beside = np.ones((5, 5), np.uint8), np.ones((3, 3), np.uint8)
    far = cv2.dilate(np.where(mask, values, 0), around)
    near = cv2.erode(np.where(mask, values, np.inf).astype(np.float32), around)
    filled = np.where(mask, values, cv2.dilate(np.where(mask, values, 0), beside))
    steady = (filled > 0) & (far - near < 0.1 * far)
    return torch.from_numpy(steady), torch.from_numpy(np.where(steady, filled, 0))


def _follow(
    picture: np.ndarray, other: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        picture, other, points, np.empty_like(points), winSize=(WINDOW, WINDOW), maxLevel=LEVELS
    )
    return found, status[:, 0] == 1
