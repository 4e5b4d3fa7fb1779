"""Deferred back-propagation: a loss over many views in the memory of one.

Every view is rendered, judged and differentiated by itself; only the gradients of the Gaussians
and of the cameras are kept, and handed on when the caller goes backward. The gradient is that of
rendering all views at once (ARF, Zhang et al. 2022, section 4.3, by views instead of patches).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import Render, RenderingParams

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

    total = gaussians.means.new_zeros(())
    for frame in range(len(cameras)):
        view = render(leaf_gaussians, leaf_cameras[[frame]], params, backend=backend)
        loss = loss_of_view(view, leaf_gaussians, frame)
        if loss.requires_grad:
            loss.backward(inputs=[leaf for leaf in leaves if leaf.requires_grad])
        total += loss.detach()
        del view, loss  # or this view's memory would be held while the next is rendered
    if not differentiates:
        return total
    gradients = [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves]
    return _WithGradients.apply(total, gradients, *inputs)  # type: ignore[return-value]


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
