"""Compute viewing rays and Pluecker coordinates, at full size and on the coarse grid.

Pixel centres are at +0.5, directions have unit length, everything is computed in float32. (The
reference computes rays in bfloat16, where pixel coordinates above 256 lose whole pixels and
directions are up to 0.39 degrees off.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras


def rays(
    cameras: Cameras,
) -> tuple[Float[Tensor, "frame 3 height width"], Float[Tensor, "frame 3 height width"]]:
    """Return origins and unit directions of the rays through all pixel centres, in the world."""
    with torch.autocast(cameras.intrinsics.device.type, enabled=False):
        intrinsics, pose = cameras.intrinsics.float(), cameras.camera_to_world.float()
        fx, fy, cx, cy = intrinsics[:, :, None, None].unbind(1)
        columns = torch.arange(cameras.width, device=pose.device) + PIXEL_CENTRE
        rows = torch.arange(cameras.height, device=pose.device) + PIXEL_CENTRE
        x = ((columns - cx) / fx).expand(-1, cameras.height, -1)
        y = ((rows[:, None] - cy) / fy).expand(-1, -1, cameras.width)
        directions = F.normalize(torch.stack([x, y, torch.ones_like(x)], dim=1), dim=1)
        directions = torch.einsum("fij,fjhw->fihw", pose[:, :3, :3], directions)
        origins = repeat(
            pose[:, :3, 3], "frame xyz -> frame xyz h w", h=cameras.height, w=cameras.width
        )
        return origins, directions


def coarse_rays(
    cameras: Cameras, factor: int
) -> tuple[Float[Tensor, "frame 3 row column"], Float[Tensor, "frame 3 row column"]]:
    """Return rays through the centres of the image's `factor` x `factor` patches."""
    assert cameras.height % factor == 0, (cameras.height, factor)
    assert cameras.width % factor == 0, (cameras.width, factor)
    return rays(cameras.resized(cameras.height // factor, cameras.width // factor))


def pluecker(cameras: Cameras) -> Float[Tensor, "frame 6 height width"]:
    """Return Pluecker coordinates of every pixel's ray: moment o x d (3), direction d (3)."""
    origins, directions = rays(cameras)
    return torch.cat([torch.linalg.cross(origins, directions, dim=1), directions], dim=1)
