"""The convolutional network that reads matching costs, colours and what latents say of a picture.

It works at half of the pictures' size, in three levels, and gives what `gaussians.py` needs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

GROUPS = 4


class Residual(nn.Module):
    """x + two convolutions of the normalised x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "picture c row column"]) -> Tensor:
        return x + self.second(F.gelu(self.first(self.norm(x))))


class PictureNetwork(nn.Module):
    """A U-Net of three levels.

    Args:
        channels: of its finest level.
    """

    def __init__(self, inputs: int, outputs: int, channels: int) -> None:
        super().__init__()
        middle, coarse = channels * 3 // 2, channels * 2
        self.enter = nn.Conv2d(inputs, channels, 3, padding=1)
        self.fine = Residual(channels)
        self.to_middle = nn.Conv2d(channels, middle, 3, stride=2, padding=1)
        self.middle = Residual(middle)
        self.to_coarse = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(Residual(coarse), Residual(coarse))
        self.from_coarse = nn.Conv2d(coarse + middle, middle, 1)
        self.middle_again = Residual(middle)
        self.from_middle = nn.Conv2d(middle + channels, channels, 1)
        self.fine_again = Residual(channels)
        self.leave = nn.Conv2d(channels, outputs, 1)

    def forward(
        self, x: Float[Tensor, "picture inputs row column"]
    ) -> Float[Tensor, "picture outputs row column"]:
        fine = self.fine(self.enter(x))
        middle = self.middle(self.to_middle(fine))
        coarse = self.coarse(self.to_coarse(middle))
        joined = torch.cat([_enlarged(coarse, middle), middle], dim=1)
        middle = self.middle_again(self.from_coarse(joined))
        joined = torch.cat([_enlarged(middle, fine), fine], dim=1)
        return self.leave(self.fine_again(self.from_middle(joined)))


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
