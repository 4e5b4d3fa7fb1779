"""FLIP: the difference that someone sees who flips between two pictures (Andersson et al. 2020).

It is computed by NVIDIA's own package, flip-evaluator, which needs no weights; an extra, `judge`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_model.metrics.scores import Scores


@dataclass(frozen=True)
class FlipConvention:
    """The viewer that FLIP assumes.

    Attributes:
        pixels_per_degree: of the visual angle; 67 is the package's own: a display of 0.7 m and
            3,840 pixels seen from 0.7 m.
    """

    pixels_per_degree: float = 67.0


def flip(
    predicted: Float[Tensor, "frame 3 height width"],
    target: Float[Tensor, "frame 3 height width"],
    *,
    convention: FlipConvention = FlipConvention(),
) -> Scores:
    """Return the mean of LDR-FLIP over all pixels, 0 to 1; 0 for equal images.

    Images are sRGB in [0, 1], clipped to it; nothing is rounded to 8 bits here.

    Raises:
        InputError: flip-evaluator is not installed.
    """
    package = flip_package()
    settings = {"ppd": float(convention.pixels_per_degree)}
    values = [
        package.evaluate(
            _rows_of(reference),
            _rows_of(test),
            "LDR",
            inputsRGB=True,
            applyMagma=False,
            computeMeanError=True,
            parameters=settings,
        )[1]
        for reference, test in zip(target, predicted, strict=True)
    ]
    num_pixels = target.shape[-2] * target.shape[-1]
    return Scores(torch.tensor(values, dtype=torch.float64), torch.full((len(values),), num_pixels))


def flip_package() -> Any:
    """Import flip-evaluator.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module("flip_evaluator")
    except ImportError as error:
        raise InputError(
            "FLIP needs flip-evaluator, which is not installed",
            fix="pip install 'lyra-data[judge]' (or: pip install flip-evaluator)",
        ) from error


def _rows_of(image: Float[Tensor, "3 height width"]) -> Any:
    """Return rows of pixels of three channels, as the package takes them, in float32."""
    return image.clamp(0, 1).float().permute(1, 2, 0).contiguous().numpy()
