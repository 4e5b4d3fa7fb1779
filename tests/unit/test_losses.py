"""Losses: what they ignore, what they push, and how they are summed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_data.engine.errors import ParamsError
from lyra_model.gaussians import Gaussians
from lyra_model.losses import LOSSES, LossParams, total_loss
from lyra_model.losses.base import LossInput
from lyra_model.losses.depth import depth_loss
from lyra_model.losses.metric_depth import metric_depth_loss
from lyra_model.losses.opacity import opacity_loss
from lyra_model.losses.perceptual import perceptual_input
from lyra_model.losses.ssim import ssim_loss
from lyra_model.rendering.base import Render

NOTHING = dict.fromkeys(LOSSES, 0.0) | {"reference": False}


def weights(**changes) -> LossParams:
    return LossParams.parse({**NOTHING, **changes}, where="losses")


def some_input(seed: int = 0) -> LossInput:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    valid = draw(2, 16, 20) > 0.2
    rendered = (draw(2, 16, 20) + 1).requires_grad_()
    return LossInput(
        render=Render(draw(2, 3, 16, 20).requires_grad_(), rendered, torch.ones(2, 16, 20)),
        rgb=draw(2, 3, 16, 20),
        depth=torch.where(valid, draw(2, 16, 20) + 1, torch.zeros(())),
        depth_valid=valid,
        gaussians=Gaussians(
            draw(7, 3), draw(7, 3), draw(7, 4), draw(7).requires_grad_(), draw(7, 3)
        ),
    )


def with_depth(inputs: LossInput, rendered: torch.Tensor) -> LossInput:
    return replace(inputs, render=replace(inputs.render, depth=rendered))


@pytest.mark.parametrize("loss", [depth_loss, metric_depth_loss])
def test_a_pixel_of_unknown_depth_changes_neither_the_loss_nor_its_gradient(loss) -> None:
    inputs = some_input()
    nonsense = torch.where(inputs.depth_valid, inputs.render.depth, torch.full((), 1e6))
    value = loss(inputs, reference=False)
    assert torch.equal(loss(with_depth(inputs, nonsense), reference=False), value)
    (gradient,) = torch.autograd.grad(value, inputs.render.depth)
    assert bool((gradient[~inputs.depth_valid] == 0).all())
    assert float(gradient[inputs.depth_valid].abs().sum()) > 0


def test_the_depth_loss_knows_neither_scale_nor_shift() -> None:
    inputs = some_input()
    changed = with_depth(inputs, inputs.depth * 3.0 + 2.0)
    assert float(depth_loss(changed, reference=False)) == pytest.approx(0.0, abs=1e-6)
    assert float(metric_depth_loss(changed, reference=False)) > 1.0


@pytest.mark.parametrize("loss", [depth_loss, metric_depth_loss])
def test_without_any_known_depth_the_loss_is_zero_and_has_a_gradient(loss) -> None:
    inputs = some_input()
    unknown = torch.zeros_like(inputs.depth_valid)
    value = loss(replace(inputs, depth=inputs.depth * 0, depth_valid=unknown), reference=False)
    assert float(value.detach()) == 0.0


def test_a_flat_depth_map_gives_a_finite_gradient() -> None:
    inputs = with_depth(some_input(), torch.full((2, 16, 20), 2.0, requires_grad=True))
    (gradient,) = torch.autograd.grad(depth_loss(inputs, reference=False), inputs.render.depth)
    assert bool(gradient.isfinite().all())


def test_the_opacity_loss_can_reach_zero_unlike_the_references() -> None:
    inputs = some_input()
    clear = replace(inputs, gaussians=replace(inputs.gaussians, opacities=torch.zeros(7)))
    assert float(opacity_loss(clear, reference=False)) == 0.0
    assert float(opacity_loss(clear, reference=True)) == 0.5


def test_ssim_loss_of_a_perfect_render_is_zero() -> None:
    inputs = some_input()
    perfect = replace(inputs, render=replace(inputs.render, rgb=inputs.rgb))
    assert float(ssim_loss(perfect, reference=False)) == pytest.approx(0.0, abs=1e-6)
    assert float(ssim_loss(inputs, reference=False).detach()) > 0.5


def test_the_total_is_the_weighted_sum_and_lists_every_term_it_used() -> None:
    inputs = some_input()
    chosen = {"image": 1.0, "depth": 0.05, "opacity": 0.1}
    value = total_loss(weights(**chosen), inputs)
    expected = sum(weight * value.terms[name] for name, weight in chosen.items())
    assert set(value.terms) == set(chosen)
    assert float(value.total.detach()) == pytest.approx(expected, rel=1e-6)
    value.total.backward()
    assert inputs.gaussians.opacities.grad is not None


def test_a_loss_without_weight_is_not_computed() -> None:
    inputs = some_input()
    inputs = replace(inputs, render=replace(inputs.render, depth=inputs.render.depth * torch.nan))
    value = total_loss(weights(image=1.0), inputs)
    assert bool(value.total.isfinite())
    assert set(value.terms) == {"image"}


def test_every_loss_has_a_weight_and_every_weight_a_loss() -> None:
    assert set(LossParams.model_fields) == {*LOSSES, "reference"}


@pytest.mark.parametrize("change", [{"image": -1.0}, {"imagee": 1.0}])
def test_bad_weights_are_refused_by_name(change: dict) -> None:
    with pytest.raises(ParamsError, match=r"losses\.image"):
        weights(**change)


def test_perceptual_input_shrinks_but_never_grows() -> None:
    images = torch.rand(1, 3, 30, 40)
    assert perceptual_input(images, 15).shape == (1, 3, 15, 20)
    assert perceptual_input(images, 60).shape == (1, 3, 30, 40)
    assert torch.allclose(perceptual_input(images, 30), images * 2 - 1)
