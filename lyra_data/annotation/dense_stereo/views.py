"""The input of dense stereo: grey pictures of two sizes with their cameras."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, UInt8


@dataclass(frozen=True)
class StereoViews:
    """Grey pictures with cameras, kept as bytes: a frame becomes float only while it is used.

    Attributes:
        grey: one a frame.
        intrinsics: fx, fy, cx, cy in pixels of these pictures.
        world_to_camera: OpenCV axes.
    """

    grey: UInt8[np.ndarray, "frame height width"]
    intrinsics: Float64[np.ndarray, "frame 4"]
    world_to_camera: Float64[np.ndarray, "frame 4 4"]

    def __len__(self) -> int:
        return len(self.grey)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.grey.shape[1:]
        return height, width

    def halved(self) -> StereoViews:
        """Return the same views with half as many rows and columns, rounded up."""
        height, width = self.size
        half_height, half_width = (height + 1) // 2, (width + 1) // 2
        pictures = [
            cv2.resize(each, (half_width, half_height), interpolation=cv2.INTER_AREA)
            for each in self.grey
        ]
        scale = np.array([half_width / width, half_height / height] * 2)
        return StereoViews(np.stack(pictures), self.intrinsics * scale, self.world_to_camera)

    def way(self, frame: int, other: int) -> tuple[np.ndarray, np.ndarray]:
        """Turn [3, 3] and shift [3]: pixel (x, y, 1) of `frame` at inverse depth w is seen at
        turn @ (x, y, 1) + w * shift of `other`, homogeneous, in units of the frame's depth."""
        relative = self.world_to_camera[other] @ _inverse(self.world_to_camera[frame])
        to_pixels = _matrix(self.intrinsics[other])
        turn = to_pixels @ relative[:3, :3] @ np.linalg.inv(_matrix(self.intrinsics[frame]))
        return turn, to_pixels @ relative[:3, 3]


def _matrix(intrinsics: np.ndarray) -> np.ndarray:
    fx, fy, cx, cy = intrinsics
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def _inverse(pose: np.ndarray) -> np.ndarray:
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse
