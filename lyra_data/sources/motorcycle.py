"""The built-in scene: the Middlebury 2014 Motorcycle pair that scikit-image carries in its wheel.

The left photo with its measured depth is the scene; the right photo, 0.193 m to the right of it,
is a real held-out view.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.engine.params import Params
from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.material import HeldOutView, SourceMaterial
from lyra_data.sources.base import SceneSource

# Calibration of the 741x500 pair, from the docstring of skimage.data.stereo_motorcycle; pixel
# centres are integers there.
FOCAL_PIXELS = 994.978
LEFT_CENTRE_X = 311.193
CENTRE_Y = 254.877
CENTRE_OFFSET_PIXELS = 31.086
"""Offset of the principal point in the right photo, to the right of the left photo's ("doffs")."""
BASELINE_METRES = 0.193001

CITATION = (
    "D. Scharstein, H. Hirschmueller, Y. Kitajima, G. Krathwohl, N. Nesic, X. Wang, P. Westling: "
    "High-resolution stereo datasets with subpixel-accurate ground truth. GCPR 2014"
)
LICENCE = (
    "Middlebury stereo data; Middlebury College permits use and publication and asks to be cited"
)


class MotorcycleParams(Params):
    """Nothing to set."""

    name: Literal["motorcycle"]

    @property
    def scene_id(self) -> str:
        return "motorcycle"


class MotorcycleSource(SceneSource[MotorcycleParams]):
    """See the module's docstring."""

    Params = MotorcycleParams
    name: ClassVar[str] = "motorcycle"

    def read(self, root: Path = Path()) -> SourceMaterial:  # noqa: ARG002 - reads no files
        """Return the left photo, its depth in metres, and the right photo held out."""
        from skimage.data import stereo_motorcycle

        left, right, disparity = stereo_motorcycle()
        known = np.isfinite(disparity)
        shift = np.where(known, disparity, 0.0) + CENTRE_OFFSET_PIXELS
        depth = np.where(known, FOCAL_PIXELS * BASELINE_METRES / shift, 0.0).astype(np.float32)
        height, width = disparity.shape
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=_tensor(left)[None],
            cameras=_camera(LEFT_CENTRE_X, position_x=0.0, height=height, width=width),
            depth=torch.from_numpy(depth)[None],
            depth_valid=torch.from_numpy(known)[None],
            depth_scale="metric",
            prompt="a red motorcycle in a workshop",
            held_out=(
                HeldOutView(
                    name="right",
                    frame=_tensor(right),
                    camera=_camera(
                        LEFT_CENTRE_X + CENTRE_OFFSET_PIXELS,
                        position_x=BASELINE_METRES,
                        height=height,
                        width=width,
                    ),
                ),
            ),
            provenance={
                "kind": self.name,
                "image": "skimage.data.stereo_motorcycle, left photo",
                "image_sha256": sha256_of_bytes(left.tobytes()),
                "depth": "skimage.data.stereo_motorcycle, disparity",
                "depth_sha256": sha256_of_bytes(disparity.tobytes()),
                "held_out": "skimage.data.stereo_motorcycle, right photo",
                "held_out_sha256": sha256_of_bytes(right.tobytes()),
                "url": "https://vision.middlebury.edu/stereo/data/scenes2014/",
                "licence": LICENCE,
                "citation": CITATION,
            },
        )


def _camera(centre_x: float, *, position_x: float, height: int, width: int) -> Cameras:
    """Return a camera of the rectified pair: no rotation, `position_x` metres to the right."""
    camera_to_world = torch.eye(4)
    camera_to_world[0, 3] = position_x
    centre = (centre_x + PIXEL_CENTRE, CENTRE_Y + PIXEL_CENTRE)
    intrinsics = torch.tensor([[FOCAL_PIXELS, FOCAL_PIXELS, *centre]])
    return Cameras(camera_to_world[None], intrinsics, height, width)


def _tensor(photo: np.ndarray) -> UInt8[Tensor, "3 height width"]:
    return torch.from_numpy(rearrange(photo, "y x channel -> channel y x").copy())
