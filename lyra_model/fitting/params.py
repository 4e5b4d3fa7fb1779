"""FitParams: the settings of an optimisation of Gaussians against frames."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lyra_data.engine.params import Params

Rate = Annotated[float, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]


class FitParams(Params):
    """Section `reconstruct.fit` of params.yaml.

    Attributes:
        steps: of the optimiser; 0 leaves Gaussians as they are.
        frames_per_step: frames compared in every step.
        photo_share: share of those that are drawn from frames without invented pixels alone: the
            others show the same pixels moved by their depth, and less sharply.
        means_rate: learning rate of centres, in units of their distance from the cameras.
        scales_rate: of the logarithms of scales.
        quats_rate: of quaternions.
        opacities_rate: of opacities before the sigmoid.
        colors_rate: of colours before the sigmoid.
        final_rate_share: learning rates fall exponentially to this share of themselves.
        l1: weight of the mean absolute difference of colours.
        ssim: weight of 1 - SSIM.
        depth: weight of the mean absolute difference of known depths, in units of the depth.
        opacity: weight of the mean opacity.
        filled: weight of the colours of pixels that the teacher invented, beside 1 of the others.
        judge_invented: count invented pixels of frames that are kept back too.
        measure_every: steps between measurements on frames that are kept back.
        measured_frames: at most so many of those are measured each time.
    """

    steps: Annotated[int, Field(ge=0)] = 600
    frames_per_step: Annotated[int, Field(ge=1)] = 1
    photo_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    means_rate: Rate = 8e-4
    scales_rate: Rate = 4e-2
    quats_rate: Rate = 8e-3
    opacities_rate: Rate = 0.1
    colors_rate: Rate = 6e-2
    final_rate_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    l1: Weight = 1.0
    ssim: Weight = 0.2
    depth: Weight = 0.1
    opacity: Weight = 0.0
    filled: Weight = 1.0
    judge_invented: bool = True
    measure_every: Annotated[int, Field(ge=1)] = 50
    measured_frames: Annotated[int, Field(ge=1)] = 6
