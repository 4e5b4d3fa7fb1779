"""Pictures, poses and weights that metrics of other code were computed on, made from seeds.

`torch.Generator` draws the same uniform and normal numbers on every machine that has a CPU.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lyra_model.losses.perceptual_network import PerceptualNetwork


def pictures(height: int = 72, width: int = 96) -> tuple[Tensor, Tensor]:
    """Return two predicted and two true pictures of smooth colours, the first pair less alike.

    Values are whole 4096ths, so that no processor's rounding reaches them.
    """
    generator = torch.Generator().manual_seed(15)
    coarse = torch.rand(2, 3, 9, 12, generator=generator).double()
    true = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)
    noise = torch.rand(2, 3, height, width, generator=generator).double() - 0.5
    strength = torch.tensor([0.4, 0.1], dtype=torch.float64).reshape(2, 1, 1, 1)
    predicted = (true + strength * noise).clamp(0, 1)
    # An odd offset: halves, which a last bit would push up or down, are as rare as anything else.
    one, other = (((images * 4096 + 0.3579).floor() / 4096) for images in (predicted, true))
    return one.float(), other.float()


def lpips_weights(backbone: str) -> dict[str, Tensor]:
    """Return random weights of LPIPS under torchvision's names, of about the sizes it has."""
    generator = torch.Generator().manual_seed(16)
    weights = {}
    for name, tensor in PerceptualNetwork(backbone, 256).state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        if name.startswith("heads."):
            weights[f"lin{name[-1]}.weight"] = drawn.abs().reshape(1, -1, 1, 1)
        elif name.endswith("weight"):
            weights[name] = drawn * math.sqrt(2 / tensor[0].numel())
        else:
            weights[name] = drawn * 0.01
    return weights


def poses() -> tuple[Tensor, Tensor]:
    """Return the camera_to_world of six predicted cameras and of the true ones."""
    generator = torch.Generator().manual_seed(17)
    true = torch.eye(4, dtype=torch.float64).repeat(6, 1, 1)
    predicted = true.clone()
    for index in range(6):
        turn = torch.randn(3, generator=generator, dtype=torch.float64) * 0.4
        wrong = torch.randn(3, generator=generator, dtype=torch.float64) * 0.04 * (index + 1)
        place = torch.randn(3, generator=generator, dtype=torch.float64)
        moved = torch.randn(3, generator=generator, dtype=torch.float64) * 0.06 * (index + 1)
        true[index, :3, :3], true[index, :3, 3] = _rotation(turn), place
        predicted[index, :3, :3] = _rotation(wrong) @ _rotation(turn)
        predicted[index, :3, 3] = place + moved
    return predicted, true


def points() -> tuple[Tensor, Tensor]:
    """Return 200 predicted points and 300 true ones."""
    generator = torch.Generator().manual_seed(18)
    true = torch.rand(300, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    return true[:200] + 0.02 * noise, true


def _rotation(axis_angle: Tensor) -> Tensor:
    x, y, z = axis_angle.tolist()
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.linalg.matrix_exp(skew)
