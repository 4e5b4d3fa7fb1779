"""TrainParams: section `train` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params
from lyra_data.models.codecs import CODECS
from lyra_model.decoder import DecoderParams
from lyra_model.losses import PerceptualParams
from lyra_model.phases.phase_params import PhaseParams, check_phases
from lyra_model.phases.view_sampling import TargetBias
from lyra_model.rendering.base import RenderingParams


class OptimiserParams(Params):
    """AdamW. The reference's values stand in brackets.

    Attributes:
        betas: decay of the running means of the gradient and of its square [0.9, 0.999].
        weight_decay: decoupled from the gradient [0.01].
        max_gradient_norm: gradients of a larger norm, over all weights, are scaled to it [1.0].
    """

    betas: tuple[float, float]
    weight_decay: Annotated[float, Field(ge=0)]
    max_gradient_norm: Annotated[float, Field(gt=0)]

    @field_validator("betas")
    @classmethod
    def _betas_are_shares(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("both must lie between 0 and 1, 1 excluded")
        return betas


class TrainParams(Params):
    """Section `train` of params.yaml.

    Attributes:
        held_out_frames: last frames of every view that no phase reads or is supervised by.
        target_bias: how much more often later frames are drawn as targets, see view_sampling.py.
        scene_order: "independent": every step draws its scene from all of them; "epochs": every
            scene comes once, in an order drawn anew, before any comes again.
        codec: the one that made the dataset's latents; encodes rays, and frames of other sizes.
        decoder: shape of the network and ranges of what it predicts.
        rendering: near and far planes and background of the renders.
        optimiser: shared by all phases.
        perceptual: the network of loss `lpips`.
        phases: by name, in the order they are trained.
    """

    held_out_frames: Annotated[int, Field(ge=1)]
    target_bias: TargetBias
    scene_order: Literal["independent", "epochs"]
    codec: Annotated[Params, CODECS.field("train.codec")]
    decoder: DecoderParams
    rendering: RenderingParams
    optimiser: OptimiserParams
    perceptual: PerceptualParams
    phases: dict[str, PhaseParams]

    @model_validator(mode="after")
    def _phases_must_chain(self) -> TrainParams:
        check_phases(self.phases)
        asking = [name for name, phase in self.phases.items() if phase.losses.lpips > 0]
        if asking and self.perceptual.weights is None:
            raise ParamsError(
                f"train.phases.{asking[0]}.losses.lpips is above 0, and no network is named to "
                "compute it",
                where="params.yaml: train.perceptual.weights",
                fix="name a safetensors file (docs/training.md says how to make it), or set lpips "
                "to 0 and ssim above it",
            )
        return self

    @model_validator(mode="after")
    def _picture_depth_needs_pictures(self) -> TrainParams:
        for name, phase in self.phases.items():
            if phase.losses.picture_depth > 0 and self.decoder.pictures is None:
                raise ParamsError(
                    f"train.phases.{name}.losses.picture_depth is above 0, and the decoder is "
                    "given no pictures",
                    where="params.yaml: train.decoder.pictures",
                    fix="give it some (docs/training.md), or set picture_depth to 0",
                )
        return self
