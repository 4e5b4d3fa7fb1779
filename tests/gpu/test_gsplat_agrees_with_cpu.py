"""gsplat on CUDA and the CPU renderer draw the same pictures and gradients.

Tolerances: RGB, depth and alpha differ by less than 1e-5 in the mean and 1e-3 in 99.9 % of pixels
(two or three pixels of 50,000 flip at the thresholds); gradients have a cosine above 0.9999. They
are what two CPU renderers meet, and were not measured on a GPU.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams, Window
from lyra_model.rendering.deferred import loss_over_views
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


def test_a_window_of_gsplat_is_a_part_of_its_picture():
    gaussians, cameras = random_scene(num_gaussians=3000, height=96, width=160)
    gaussians, cameras = gaussians.to("cuda"), cameras.to("cuda")
    whole = render(gaussians, cameras, PARAMS).rgb
    window = Window(top=32, left=64, height=48, width=64)
    part = render(gaussians, cameras, PARAMS, window=window).rgb
    difference = (part - whole[..., 32:80, 64:128]).abs()
    assert difference.mean() < 2e-3  # slopes are limited by the window's size, not the picture's


@pytest.mark.parametrize("patch_pixels", [None, 64])
def test_3dgut_draws_nearly_what_the_classic_projection_draws_and_has_gradients(patch_pixels):
    """Another projection of the same small Gaussians: alike, and not equal."""
    gaussians, cameras = random_scene(num_gaussians=3000, height=96, width=160, size_pixels=1.0)
    gaussians = gaussians.map(lambda field: field.to("cuda").requires_grad_())
    cameras = cameras.to("cuda")
    with_3dgut = {"with_ut": True, "with_eval3d": True, "patch_pixels": patch_pixels}
    pictures, gradients = [], []
    for changes in ({}, with_3dgut):
        params = PARAMS.model_copy(update=changes)
        pictures.append(render(gaussians, cameras, params).rgb.detach())
        loss = loss_over_views(
            gaussians, cameras, params, lambda view, *_: view.rgb.square().mean()
        )
        gradients.append(torch.autograd.grad(loss, [gaussians.means, gaussians.colors]))
    assert (pictures[0] - pictures[1]).abs().mean() < 2e-2
    for classic, by_3dgut in zip(*gradients, strict=True):
        assert cosine(classic.cpu(), by_3dgut.cpu()) > 0.9
