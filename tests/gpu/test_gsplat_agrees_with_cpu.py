"""gsplat on CUDA and the CPU renderer draw the same pictures and gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from tests.unit.test_rendering import PARAMS, cosine, random_scene

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="gsplat renders on CUDA only"),
]


def gradients_on(device: str, params: RenderingParams) -> tuple[list, list]:
    gaussians, cameras = random_scene(num_gaussians=3000, height=101, width=150, num_frames=2)
    gaussians = gaussians.map(lambda field: field.to(device).requires_grad_())
    pose = cameras.camera_to_world.to(device).requires_grad_()
    cameras = replace(cameras.to(device), camera_to_world=pose)
    view = render(gaussians, cameras, params)
    images = [view.rgb, view.depth, view.alpha]
    draws = torch.Generator().manual_seed(3)
    weights = [torch.rand(image.shape, generator=draws).to(device) for image in images]
    loss = sum((image * weight).sum() for image, weight in zip(images, weights, strict=True))
    gradients = torch.autograd.grad(loss, [*vars(gaussians).values(), pose])
    return [image.detach().cpu() for image in images], [grad.cpu() for grad in gradients]


def test_gsplat_draws_what_the_cpu_draws():
    images_cpu, gradients_cpu = gradients_on("cpu", PARAMS)
    images_cuda, gradients_cuda = gradients_on("cuda", PARAMS)
    for image_cpu, image_cuda in zip(images_cpu, images_cuda, strict=True):
        difference = (image_cpu - image_cuda).abs().flatten()
        assert difference.mean() < 1e-5
        assert difference.quantile(0.999) < 1e-3
    for gradient_cpu, gradient_cuda in zip(gradients_cpu, gradients_cuda, strict=True):
        assert cosine(gradient_cpu, gradient_cuda) > 0.9999


def test_gsplat_draws_the_background_where_there_are_no_gaussians():
    gaussians, cameras = random_scene(num_gaussians=5, height=20, width=30)
    view = render(gaussians[:0].to("cuda"), cameras.to("cuda"), PARAMS)
    background = torch.tensor(PARAMS.background, device="cuda")
    assert torch.equal(view.rgb, background[None, :, None, None].expand_as(view.rgb))
