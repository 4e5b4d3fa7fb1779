"""The CPU renderer: numba kernels behind one torch.autograd.Function. float32.

Views are rendered one after the other; within a view, Gaussians and tiles are spread over
torch.get_num_threads() threads. The result is bitwise the same for every number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import Render, RenderingParams, Window, refuse_3dgut
from lyra_model.rendering.cpu_kernels import over_range
from lyra_model.rendering.cpu_projection import (
    CULLED,
    SLOPE_MARGIN,
    SPLAT_FIELDS,
    project,
)
from lyra_model.rendering.cpu_projection_backward import BLOCK, project_backward
from lyra_model.rendering.cpu_rasterization import rasterize
from lyra_model.rendering.cpu_rasterization_backward import rasterize_backward
from lyra_model.rendering.cpu_tiles import nearest_first, sort_into_tiles

MAX_SIZE = np.iinfo(np.int16).max
"""Largest height and width; bounds of splats are kept in 16 bits."""


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    params: RenderingParams,
    window: Window | None = None,
) -> Render:
    """Render every camera's view.

    A Gaussian with an all-zero quaternion is not seen. Intrinsics get no gradient.

    Raises:
        ParamsError: params ask for 3DGUT.
        ValueError: a tensor is not float32 or not on the CPU, or a Gaussian holds NaN or inf.
    """
    refuse_3dgut(params, "CPU")
    tensors = {**vars(gaussians), "camera_to_world": cameras.camera_to_world}
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(
                f"the CPU renderer takes float32 on the CPU; {name} is {tensor.dtype} on "
                f"{tensor.device}. Convert it, or use backend='torch'"
            )
    assert params.near > 0.0, params.near  # depths are sorted as bits
    assert max(cameras.height, cameras.width) <= MAX_SIZE, (cameras.height, cameras.width)
    rgb, depth, alpha = _RenderViews.apply(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.colors,
        cameras.world_to_camera,
        cameras.intrinsics.detach(),
        (cameras.height, cameras.width),
        window or Window.whole(cameras),
        params,
    )
    return Render(rgb=rgb, depth=depth, alpha=alpha)


@dataclass(frozen=True)
class _View:
    """Arrays of one rendered view that its gradient needs; the kernels explain them."""

    camera: np.ndarray
    splats: np.ndarray
    bounds: np.ndarray
    spans: np.ndarray
    starts: np.ndarray
    entries: np.ndarray
    places: np.ndarray
    transmittance: np.ndarray
    last_rank: np.ndarray


class _RenderViews(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means: Float[Tensor, "gaussian 3"],
        quats: Float[Tensor, "gaussian 4"],
        scales: Float[Tensor, "gaussian 3"],
        opacities: Float[Tensor, " gaussian"],
        colors: Float[Tensor, "gaussian 3"],
        world_to_camera: Float[Tensor, "frame 4 4"],
        intrinsics: Float[Tensor, "frame 4"],
        size: tuple[int, int],
        window: Window,
        params: RenderingParams,
    ) -> tuple[Tensor, Tensor, Tensor]:
        fields = [field.contiguous() for field in (means, quats, scales, opacities, colors)]
        num_frames, height, width = len(world_to_camera), window.height, window.width
        rgb = torch.empty(num_frames, 3, height, width)
        depth = torch.empty(num_frames, height, width)
        alpha = torch.empty(num_frames, height, width)
        background = np.asarray(params.background, np.float32)
        views = [
            _render_view(
                [field.detach().numpy() for field in fields],
                _packed_camera(world_to_camera[frame], intrinsics[frame], size, window, params),
                background,
                rgb[frame].numpy(),
                depth[frame].numpy(),
                alpha[frame].numpy(),
            )
            for frame in range(num_frames)
        ]
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(*fields, depth)
            ctx.views, ctx.background = views, background
        return rgb, depth, alpha

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *fields, depth = ctx.saved_tensors
        grad_rgb, grad_depth, grad_alpha = (grad.contiguous().numpy() for grad in grads)
        # NumPy's zeros: torch's would wake threads that spin for a while on the cores used here.
        gradients = [np.zeros(field.shape, np.float32) for field in fields]
        grad_world_to_camera = torch.zeros(len(depth), 4, 4)
        for frame, view in enumerate(ctx.views):
            grad_world_to_camera[frame, :3] = _render_view_backward(
                [field.numpy() for field in fields],
                view,
                ctx.background,
                depth[frame].numpy(),
                grad_rgb[frame],
                grad_depth[frame],
                grad_alpha[frame],
                gradients,
            )
        tensors = [torch.from_numpy(gradient) for gradient in gradients]
        return (*tensors, grad_world_to_camera, None, None, None, None)


def _packed_camera(
    world_to_camera: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, 4],
    size: tuple[int, int],
    window: Window,
    params: RenderingParams,
) -> np.ndarray:
    """Rotation (9), translation (3), fx, fy, cx, cy, width, height, near, far, and the limits of
    slopes (left, right, top, bottom), as float64.

    Principal point and size are the window's; slopes are limited by the whole picture, so that a
    Gaussian has the same shape in every window.
    """
    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    height, width = size
    fx, fy, cx, cy = intrinsics.tolist()
    margin_x, margin_y = SLOPE_MARGIN * 0.5 * width / fx, SLOPE_MARGIN * 0.5 * height / fy
    return np.array(
        [
            *rotation.flatten().tolist(),
            *translation.tolist(),
            fx,
            fy,
            cx - window.left,
            cy - window.top,
            window.width,
            window.height,
            params.near,
            params.far,
            -cx / fx - margin_x,
            (width - cx) / fx + margin_x,
            -cy / fy - margin_y,
            (height - cy) / fy + margin_y,
        ]
    )


def _render_view(
    fields: list[np.ndarray],
    camera: np.ndarray,
    background: np.ndarray,
    rgb: np.ndarray,
    depth: np.ndarray,
    alpha: np.ndarray,
) -> _View:
    """Project, sort by depth, sort into tiles, composite."""
    num_gaussians, (height, width) = len(fields[0]), depth.shape
    splats = np.empty((num_gaussians, SPLAT_FIELDS), np.float32)
    bounds = np.empty((num_gaussians, 4), np.int16)
    keys = np.empty(num_gaussians, np.uint32)
    not_finite = np.empty(num_gaussians, np.bool_)
    over_range(project, num_gaussians, *fields, camera, splats, bounds, keys, not_finite)
    if not_finite.any():
        raise ValueError(
            f"{not_finite.sum()} of {num_gaussians} Gaussians hold NaN or inf, the first is number "
            f"{not_finite.argmax()}"
        )
    order = nearest_first(keys, CULLED)
    starts, entries, spans, places = sort_into_tiles(order, bounds, width, height)
    view = _View(
        camera=camera,
        splats=splats,
        bounds=bounds,
        spans=spans,
        starts=starts,
        entries=entries,
        places=places,
        transmittance=np.empty((height, width), np.float32),
        last_rank=np.empty((height, width), np.int32),
    )
    over_range(
        rasterize,
        len(starts) - 1,
        starts,
        entries,
        splats,
        bounds,
        background,
        rgb,
        depth,
        alpha,
        view.transmittance,
        view.last_rank,
    )
    return view


def _render_view_backward(
    fields: list[np.ndarray],
    view: _View,
    background: np.ndarray,
    depth: np.ndarray,
    grad_rgb: np.ndarray,
    grad_depth: np.ndarray,
    grad_alpha: np.ndarray,
    gradients: list[np.ndarray],
) -> Float[Tensor, "3 4"]:
    """Add to the Gaussians' gradients; return that of the view matrix."""
    means, quats, scales = fields[:3]
    splat_gradients = np.empty((len(view.entries), SPLAT_FIELDS), np.float32)
    over_range(
        rasterize_backward,
        len(view.starts) - 1,
        view.starts,
        view.entries,
        view.splats,
        view.bounds,
        background,
        depth,
        view.transmittance,
        view.last_rank,
        grad_rgb,
        grad_depth,
        grad_alpha,
        splat_gradients,
    )
    num_blocks = -(-len(means) // BLOCK)
    grad_views = np.zeros((num_blocks, 3, 4))
    over_range(
        project_backward,
        num_blocks,
        means,
        quats,
        scales,
        view.camera,
        view.spans,
        view.places,
        splat_gradients,
        *gradients,
        grad_views,
    )
    return torch.from_numpy(grad_views.sum(0))
