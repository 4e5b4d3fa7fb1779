"""The renderer in plain torch, of any dtype: the oracle of the others, and slow.

Facts as in gsplat 1.5.3 (see base.py). Gradients are autograd's own. Tiles keep the memory at
(pixels of a tile) x (Gaussians that reach it) numbers; they change no result.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import Render, RenderingParams, Window, refuse_3dgut

TILE = 16
SCREEN_BLUR = 0.3
MIN_ALPHA, MAX_ALPHA = 1.0 / 255.0, 0.999
MIN_TRANSMITTANCE = 1e-4
SLOPE_MARGIN = 0.3


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    params: RenderingParams,
    window: Window | None = None,
) -> Render:
    """Render every camera's view; float64 in, float64 out.

    Raises:
        ParamsError: params ask for 3DGUT.
    """
    refuse_3dgut(params, "torch")
    size, seen = (cameras.height, cameras.width), window or Window.whole(cameras)
    views = [
        _render_view(gaussians, world_to_camera, intrinsics, size, seen, params)
        for world_to_camera, intrinsics in zip(
            cameras.world_to_camera, cameras.intrinsics, strict=True
        )
    ]
    rgb, depth, alpha = (torch.stack(images) for images in zip(*views, strict=True))
    return Render(rgb=rgb, depth=depth, alpha=alpha)


def _render_view(
    gaussians: Gaussians,
    world_to_camera: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, 4],
    size: tuple[int, int],
    window: Window,
    params: RenderingParams,
) -> tuple[Tensor, Tensor, Tensor]:
    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    centres = gaussians.means @ rotation.T + translation
    z = centres[:, 2]
    seen = (z >= params.near) & (z <= params.far) & (gaussians.opacities >= MIN_ALPHA)
    seen &= gaussians.quats.norm(dim=-1) > 0
    nearest_first = torch.argsort(z, stable=True)
    order = nearest_first[seen[nearest_first]]
    gaussians, centres = gaussians[order], centres[order]

    corner = intrinsics.new_tensor([window.left, window.top])
    screen = centres[:, :2] / centres[:, 2:] * intrinsics[:2] + (intrinsics[2:] - corner)
    covariances = _screen_covariances(gaussians, centres, rotation, intrinsics, *size)
    conics = torch.linalg.inv(covariances)
    with torch.no_grad():
        extent = torch.sqrt(2 * torch.log(gaussians.opacities / MIN_ALPHA))[:, None]
        radii = extent * torch.sqrt(torch.diagonal(covariances, dim1=1, dim2=2)) + 1.0

    features = torch.cat([gaussians.colors, centres[:, 2:]], dim=1)
    background = z.new_tensor([*params.background, 0.0])
    height, width = window.height, window.width
    image, alpha = z.new_empty(4, height, width), z.new_empty(height, width)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            rows = torch.arange(top, min(top + TILE, height), device=z.device)
            columns = torch.arange(left, min(left + TILE, width), device=z.device)
            corner, end = z.new_tensor([left, top]), z.new_tensor([left + TILE, top + TILE])
            reach = ((screen + radii > corner) & (screen - radii < end)).all(1)
            weights, final = _weights(
                rows, columns, screen[reach], conics[reach], gaussians.opacities[reach]
            )
            colour = torch.einsum("hwg,gc->chw", weights, features[reach])
            tile = (slice(top, top + TILE), slice(left, left + TILE))
            image[:, *tile] = colour + final * background[:, None, None]
            alpha[tile] = 1.0 - final
    return image[:3], image[3] / alpha.clamp(min=1e-10), alpha


def _screen_covariances(
    gaussians: Gaussians,
    centres: Float[Tensor, "gaussian 3"],
    rotation: Float[Tensor, "3 3"],
    intrinsics: Float[Tensor, 4],
    height: int,
    width: int,
) -> Float[Tensor, "gaussian 2 2"]:
    """The 3D covariances through the projection, linearised at the (clamped) centres."""
    z = centres[:, 2:]
    size = z.new_tensor([width, height])
    margin = SLOPE_MARGIN * 0.5 * size / intrinsics[:2]
    low = -intrinsics[2:] / intrinsics[:2] - margin
    high = (size - intrinsics[2:]) / intrinsics[:2] + margin
    slopes = torch.minimum(torch.maximum(centres[:, :2] / z, low), high)
    focal = torch.diag(intrinsics[:2])
    jacobians = torch.cat([focal.expand(len(z), 2, 2), -(intrinsics[:2] * slopes)[..., None]], 2)
    axes = _rotation_matrices(gaussians.quats) * gaussians.scales[:, None, :]
    half = jacobians / z[..., None] @ rotation @ axes
    return half @ half.mT + SCREEN_BLUR * torch.eye(2, dtype=z.dtype, device=z.device)


def _rotation_matrices(quats: Float[Tensor, "gaussian 4"]) -> Float[Tensor, "gaussian 3 3"]:
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1, eps=0.0).unbind(-1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return rearrange(
        torch.stack(entries, -1), "gaussian (row column) -> gaussian row column", row=3
    )


def _weights(
    rows: Int[Tensor, " height"],
    columns: Int[Tensor, " width"],
    screen: Float[Tensor, "gaussian 2"],
    conics: Float[Tensor, "gaussian 2 2"],
    opacities: Float[Tensor, " gaussian"],
) -> tuple[Float[Tensor, "height width gaussian"], Float[Tensor, "height width"]]:
    """Compositing weights of Gaussians, nearest first, and the transmittance behind them all."""
    dx = screen[:, 0] - (columns[None, :, None] + PIXEL_CENTRE)
    dy = screen[:, 1] - (rows[:, None, None] + PIXEL_CENTRE)
    a, b, c = conics[:, 0, 0], conics[:, 0, 1], conics[:, 1, 1]
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (opacities * torch.exp(-sigma)).clamp(max=MAX_ALPHA)
    alpha = torch.where((sigma >= 0) & (alpha >= MIN_ALPHA), alpha, 0.0)
    first = alpha.new_ones(len(rows), len(columns), 1)
    transmittance = torch.cat([first, torch.cumprod(1.0 - alpha, dim=-1)], dim=-1)
    taken = transmittance[..., 1:] > MIN_TRANSMITTANCE
    weights = torch.where(taken, alpha * transmittance[..., :-1], 0.0)
    final = transmittance.gather(-1, taken.sum(-1, keepdim=True))
    return weights, final[..., 0]
