"""Losses over views, patch by patch: the numbers of whole pictures in the memory of a patch."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.seeds import torch_generator
from lyra_model.gaussians import Gaussians
from lyra_model.losses import LossParams, total_loss
from lyra_model.losses.base import LossInput
from lyra_model.rendering import cpu, render
from lyra_model.rendering.base import Render, RenderingParams, Window, patches
from lyra_model.rendering.deferred import LossOfView, loss_over_views
from tests.unit.test_rendering import PARAMS, images, random_scene, with_gradients

IN_PATCHES = PARAMS.model_copy(update={"patch_pixels": 16})
HEIGHT, WIDTH, FRAMES = 40, 52, 3
ALL_LOSSES = LossParams(
    image=1.0, ssim=0.5, depth=0.2, metric_depth=0.1, opacity=0.1, lpips=0.0, reference=False
)


def all_losses(num_frames: int) -> LossOfView:
    """SSIM and the depth's median look at whole pictures, opacity at the Gaussians themselves."""
    draws = torch_generator(5, "targets", "test_rendering_in_patches")
    rgb = torch.rand(num_frames, 3, HEIGHT, WIDTH, generator=draws)
    depth = 1.0 + torch.rand(num_frames, HEIGHT, WIDTH, generator=draws)
    valid = torch.rand(depth.shape, generator=draws) > 0.2

    def loss_of_view(view: Render, shown: Gaussians, frame: int) -> Tensor:
        one = [frame]
        inputs = LossInput(view, rgb[one], depth[one], valid[one], shown)
        return total_loss(ALL_LOSSES, inputs).total

    return loss_of_view


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_patches_put_together_are_the_whole_picture(backend):
    scene = random_scene(300, HEIGHT, WIDTH, size_pixels=6.0)
    whole = images(render(*scene, PARAMS, backend=backend))
    windows = patches(HEIGHT, WIDTH, 16)
    assert sum(window.height * window.width for window in windows) == HEIGHT * WIDTH
    for window in windows:
        parts = images(render(*scene, PARAMS, backend=backend, window=window))
        for part, image in zip(parts, whole, strict=True):
            expected = image[..., *window.slices]
            torch.testing.assert_close(part, expected, rtol=1e-4, atol=2e-5)


def test_a_window_that_is_the_whole_picture_changes_no_bit():
    gaussians, cameras = random_scene(300, HEIGHT, WIDTH)
    whole = render(gaussians, cameras, PARAMS)
    same = render(gaussians, cameras, PARAMS, window=Window(0, 0, HEIGHT, WIDTH))
    for one, other in zip(images(whole), images(same), strict=True):
        assert torch.equal(one, other)


def test_a_loss_in_patches_has_the_value_and_gradients_of_whole_pictures():
    scene = random_scene(300, HEIGHT, WIDTH, num_frames=FRAMES, size_pixels=4.0)
    found = []
    for params in (PARAMS, IN_PATCHES):
        gaussians, cameras, inputs = with_gradients(*scene)
        loss = loss_over_views(gaussians, cameras, params, all_losses(FRAMES))
        found.append([loss.detach(), *torch.autograd.grad(loss, inputs)])
    for in_patches, whole in zip(found[1], found[0], strict=True):
        scale = float(whole.abs().max())
        torch.testing.assert_close(in_patches, whole, rtol=1e-3, atol=1e-4 * scale)


def test_a_loss_of_gaussians_alone_goes_back_in_patches_too():
    gaussians, cameras, _ = with_gradients(*random_scene(50, HEIGHT, WIDTH))
    loss = loss_over_views(gaussians, cameras, IN_PATCHES, lambda _, shown, __: shown.scales.sum())
    (gradient,) = torch.autograd.grad(loss, [gaussians.scales])
    assert torch.equal(gradient, torch.ones_like(gradient))


@pytest.mark.parametrize("params", [PARAMS, IN_PATCHES], ids=["whole", "in patches"])
def test_no_more_than_one_render_is_held_for_the_way_back(params, monkeypatch):
    gaussians, cameras, _ = with_gradients(*random_scene(40, 32, 32, num_frames=5))
    of_one_view, made, held = cpu._render_view, [], []

    def num_held() -> int:
        return sum(reference() is not None for reference in made)

    def recorded(*arguments):
        held.append(num_held())
        view = of_one_view(*arguments)
        made.append(weakref.ref(view))
        return view

    monkeypatch.setattr(cpu, "_render_view", recorded)
    loss = loss_over_views(gaussians, cameras, params, lambda view, *_: view.rgb.sum())
    assert len(made) == (5 if params.patch_pixels is None else 5 * 4 * 2)
    assert max(held) == 0, held  # when the next one begins
    assert loss.requires_grad and num_held() == 0
    together = [render(gaussians, cameras[[frame]], params).rgb for frame in range(len(cameras))]
    assert num_held() == len(together)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_only_gsplat_has_3dgut(backend):
    params = PARAMS.model_copy(update={"with_ut": True, "with_eval3d": True})
    with pytest.raises(ParamsError, match="only gsplat") as caught:
        render(*random_scene(5, 16, 16), params, backend=backend)
    assert "with_eval3d to false" in str(caught.value)


def test_an_unscented_projection_without_a_response_in_3d_is_refused():
    values = PARAMS.model_dump() | {"with_ut": True}
    with pytest.raises(ParamsError, match="with_ut needs with_eval3d"):
        RenderingParams.parse(values, where="train.rendering")


@pytest.mark.parametrize("side", [0, 8, 40])
def test_patches_are_multiples_of_tiles(side):
    with pytest.raises(ParamsError, match="patch_pixels"):
        RenderingParams.parse(PARAMS.model_dump() | {"patch_pixels": side}, where="rendering")
