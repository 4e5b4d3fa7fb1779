"""Deferred back-propagation: a loss over many views in the memory of one, or of one patch.

Every view is rendered, judged and differentiated by itself; only the gradients of the Gaussians
and of the cameras are kept, and handed on when the caller goes backward. The gradient is that of
rendering all views at once. With `patch_pixels` a view's picture is rendered without a graph and
judged whole, and then the gradient goes back patch by patch (ARF, Zhang et al. 2022, section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import Render, RenderingParams, Window, patches

LossOfView = Callable[[Render, Gaussians, int], Float[Tensor, ""]]
"""The loss of one view, given its render (of a single frame), the Gaussians it shows, and its index
among the cameras."""


def loss_over_views(
    gaussians: Gaussians,
    cameras: Cameras,
    params: RenderingParams,
    loss_of_view: LossOfView,
    *,
    backend: str = "auto",
) -> Float[Tensor, ""]:
    """Sum of the losses of all views, to go backward from as usual.

    Nothing but the Gaussians that `loss_of_view` is given and camera_to_world gets a gradient:
    what else it uses is taken for constant. Without gradients to compute, the views are only
    rendered and judged.
    """
    names = [field.name for field in fields(Gaussians)]
    inputs = [*(getattr(gaussians, name) for name in names), cameras.camera_to_world]
    differentiates = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    leaves = [
        tensor.detach().requires_grad_(differentiates and tensor.requires_grad) for tensor in inputs
    ]
    leaf_gaussians = Gaussians(**dict(zip(names, leaves[:-1], strict=True)))
    leaf_cameras = replace(cameras, camera_to_world=leaves[-1])

    backpropagate = _whole if params.patch_pixels is None else _in_patches
    total = gaussians.means.new_zeros(())
    for frame in range(len(cameras)):

        def loss_of_render(view: Render, frame: int = frame) -> Float[Tensor, ""]:
            return loss_of_view(view, leaf_gaussians, frame)

        total += backpropagate(
            leaf_gaussians, leaf_cameras, frame, params, loss_of_render, leaves, backend
        )
    if not differentiates:
        return total
    gradients = [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves]
    return _WithGradients.apply(total, gradients, *inputs)  # type: ignore[return-value]


LossOfRender = Callable[[Render], Float[Tensor, ""]]


def _whole(
    gaussians: Gaussians,
    cameras: Cameras,
    frame: int,
    params: RenderingParams,
    loss_of_render: LossOfRender,
    leaves: list[Tensor],
    backend: str,
) -> Float[Tensor, ""]:
    """The loss of one view; its gradients are added to the leaves, and its graph is gone."""
    loss = loss_of_render(render(gaussians, cameras[[frame]], params, backend=backend))
    if loss.requires_grad:
        loss.backward(inputs=[leaf for leaf in leaves if leaf.requires_grad])
    return loss.detach()


def _in_patches(
    gaussians: Gaussians,
    cameras: Cameras,
    frame: int,
    params: RenderingParams,
    loss_of_render: LossOfRender,
    leaves: list[Tensor],
    backend: str,
) -> Float[Tensor, ""]:
    """The same with the graph of one patch: rendered once to be judged, once to go back.

    The loss is that of the whole picture, so losses that look at more than a pixel (SSIM, LPIPS,
    the median of the depth) are what they are without patches.
    """
    assert params.patch_pixels is not None
    windows = patches(cameras.height, cameras.width, params.patch_pixels)
    images: list[Tensor] = []
    with torch.no_grad():
        for window in windows:
            patch = render(gaussians, cameras[[frame]], params, backend=backend, window=window)
            parts = [patch.rgb, patch.depth, patch.alpha]
            size = (cameras.height, cameras.width)
            images = images or [part.new_empty(*part.shape[:-2], *size) for part in parts]
            for image, part in zip(images, parts, strict=True):
                image[..., *window.slices] = part
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    rgb, depth, alpha = (image.requires_grad_(bool(wanted)) for image in images)
    loss = loss_of_render(Render(rgb=rgb, depth=depth, alpha=alpha))
    if loss.requires_grad:
        loss.backward(inputs=[*images, *wanted])
        for window in windows:
            _go_back(gaussians, cameras, frame, params, images, wanted, backend, window)
    return loss.detach()


def _go_back(
    gaussians: Gaussians,
    cameras: Cameras,
    frame: int,
    params: RenderingParams,
    images: list[Tensor],
    wanted: list[Tensor],
    backend: str,
    window: Window,
) -> None:
    """Render one patch again and pass the gradients of its pixels on."""
    patch = render(gaussians, cameras[[frame]], params, backend=backend, window=window)
    pairs = [
        (part, image.grad[..., *window.slices])
        for part, image in zip([patch.rgb, patch.depth, patch.alpha], images, strict=True)
        if part.requires_grad and image.grad is not None
    ]
    if pairs:
        parts, gradients = zip(*pairs, strict=True)
        torch.autograd.backward(parts, gradients, inputs=wanted)


class _WithGradients(torch.autograd.Function):
    """A value whose gradients are known already."""

    @staticmethod
    def forward(
        ctx: Any, value: Float[Tensor, ""], gradients: list[Tensor], *_inputs: Tensor
    ) -> Float[Tensor, ""]:
        ctx.save_for_backward(*gradients)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(grads[0] * gradient for gradient in ctx.saved_tensors))
