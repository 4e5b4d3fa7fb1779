"""Losses and metrics against the reference's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_model.gaussians import Gaussians
from lyra_model.losses import LossParams, total_loss
from lyra_model.losses.base import LossInput
from lyra_model.losses.depth import depth_loss, reference_normalise
from lyra_model.losses.opacity import opacity_loss
from lyra_model.losses.perceptual import perceptual_input
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.ssim import ssim
from lyra_model.rendering.base import Render
from tests.conformance.base import Comparison, Result, load_arrays


def check(entry: dict[str, Any], folder: Path) -> Result:
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    if Path(entry["file"]).name.startswith("metrics"):
        return _check_metrics(entry, arrays)
    return _check_losses(entry, arrays)


def _check_metrics(entry: dict[str, Any], arrays: dict[str, Tensor]) -> Result:
    comparison = Comparison(entry)
    tolerance = entry["tolerance"]
    predicted, target = arrays["in_pred"], arrays["in_gt"]
    comparison.add("psnr", psnr(predicted, target).values, arrays["out_psnr"], tolerance["psnr"])
    equal = psnr(target, target).values
    comparison.add("psnr of equals", equal, arrays["out_psnr_equal"], tolerance["psnr"])
    comparison.add("ssim", ssim(predicted, target).values, arrays["out_ssim"], tolerance["ssim"])
    equal = ssim(target, target).values
    comparison.add("ssim of equals", equal, arrays["out_ssim_equal"], tolerance["ssim"])
    comparison.notes.append("resizing before a comparison is not compared: nothing here does it")
    return comparison.result()


def _check_losses(entry: dict[str, Any], arrays: dict[str, Tensor]) -> Result:
    comparison = Comparison(entry)
    params = entry["params"]
    height, width = arrays["in_pred"].shape[-2:]
    for target in ("gt", "gt_zeros", "gt_constant"):
        predicted = arrays["in_pred"].clone().requires_grad_()
        loss = depth_loss(_input(arrays, predicted, arrays[f"in_{target}"]), reference=True)
        loss.backward()
        comparison.add(f"depth loss, {target}", loss, arrays[f"out_loss_{target}"])
        gradient = arrays[f"out_grad_{target}"]
        comparison.add(f"depth gradient, {target}", predicted.grad, gradient)

    predicted, zeros = arrays["in_pred"].flatten(0, 2), arrays["in_gt_zeros"].flatten(0, 2)
    everywhere = torch.ones_like(predicted, dtype=torch.bool)
    for name, depth, valid in (
        ("pred_allvalid", predicted, everywhere),
        ("gt_zeros", zeros, zeros > 0),
        ("pred_zeros", predicted, zeros > 0),
    ):
        expected = arrays[f"out_normalised_{name}"].flatten(0, 1)
        comparison.add(f"normalised {name}", reference_normalise(depth, valid), expected)

    inputs = _input(arrays, arrays["in_pred"], arrays["in_gt_zeros"])
    opacity = opacity_loss(inputs, reference=True)
    comparison.add("opacity loss", opacity, arrays["out_opacity_loss"])
    weights = LossParams(
        image=1.0,
        ssim=0.0,
        depth=params["lambda_depth"],
        metric_depth=0.0,
        opacity=params["lambda_opacity"],
        lpips=0.0,
        reference=True,
    )
    comparison.add("total", total_loss(weights, inputs).total, arrays["out_total_loss"])
    inputs = _input(arrays, arrays["in_pred"], arrays["in_gt"])

    images, rendered = arrays["in_image_gt"].flatten(0, 1), arrays["in_image_pred"].flatten(0, 1)
    for index, case in enumerate(params["resize_cases"]):
        assert case["image"] == [height, width]
        small = perceptual_input(images, case["min"])
        comparison.add(f"resize to {case['min']}", small, arrays[f"out_lpips_resize{index}"])
    # The stand-in for the perceptual network: mean |x - y|, at the second of the sizes.
    size = params["resize_cases"][1]["min"]
    stub = (perceptual_input(images, size) - perceptual_input(rendered, size)).abs().mean()
    total = total_loss(weights, inputs).total + params["lambda_lpips_stub"] * stub
    comparison.add("total with stub", total, arrays["out_total_loss_with_stub_perceptual"])
    return comparison.result()


def _input(arrays: dict[str, Tensor], predicted: Tensor, target: Tensor) -> LossInput:
    """Every scene's frames as frames of one; the losses' means do not see the difference."""
    depth = predicted.flatten(0, 2)
    opacities = arrays["in_opacity"].flatten()
    empty = torch.zeros(len(opacities), 3)
    return LossInput(
        render=Render(arrays["in_image_pred"].flatten(0, 1), depth, torch.ones_like(depth)),
        rgb=arrays["in_image_gt"].flatten(0, 1),
        depth=target.flatten(0, 2),
        depth_valid=target.flatten(0, 2) > 0,
        gaussians=Gaussians(empty, empty, torch.zeros(len(opacities), 4), opacities, empty),
    )
