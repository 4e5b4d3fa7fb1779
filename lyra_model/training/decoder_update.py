"""Take one step of the optimiser on one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lyra_model.batches.step_reader import StepBatch
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.gaussians import Gaussians
from lyra_model.losses.perceptual_network import PerceptualNetwork
from lyra_model.metrics.psnr import psnr
from lyra_model.phases.phase_params import PhaseParams, learning_rate
from lyra_model.rendering.base import Render, RenderingParams
from lyra_model.rendering.deferred import loss_over_views
from lyra_model.training.processes import Processes, clip_gradients
from lyra_model.training.view_loss import loss_of_frames


class NotFiniteError(Exception):
    """A number of a step is not finite; the weights are as they were before the step.

    Attributes:
        quantity: "the loss", "the gradient" or "a Gaussian".
    """

    def __init__(self, quantity: str) -> None:
        super().__init__(f"{quantity} is no finite number")
        self.quantity = quantity


@dataclass(frozen=True)
class UpdateResult:
    """The figures of one step.

    Attributes:
        terms: loss, psnr (dB) and every loss of positive weight, means over frames and processes.
        gradient_norm: over all weights, before it was limited.
        learning_rate: that the step was taken with.
    """

    terms: dict[str, float]
    gradient_norm: float
    learning_rate: float


class DecoderUpdate:
    """Takes the steps of a phase: decode, render, compare, differentiate, optimise.

    Args:
        decoder: whose weights are trained.
        network: the decoder as it is called: itself, or wrapped for several processes.
        optimiser: of the decoder's parameters.
        max_gradient_norm: see OptimiserParams.
        perceptual: the network of loss `lpips`; None where that has no weight.
    """

    def __init__(
        self,
        decoder: GaussianDecoder,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        phase: PhaseParams,
        rendering: RenderingParams,
        max_gradient_norm: float,
        perceptual: PerceptualNetwork | None,
        processes: Processes,
    ) -> None:
        self.decoder, self.network, self.optimiser = decoder, network, optimiser
        self.phase, self.rendering = phase, rendering
        self.max_gradient_norm, self.perceptual = max_gradient_norm, perceptual
        self.processes = processes

    def take(self, batch: StepBatch, step: int) -> UpdateResult:
        """Change the weights by one step, counted from 0.

        Raises:
            NotFiniteError: a loss, a gradient or a Gaussian is no finite number.
        """
        rate = learning_rate(self.phase, step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        terms = self.processes.mean(self.backpropagate(batch))
        norm = clip_gradients(self.decoder, self.max_gradient_norm)
        if not math.isfinite(norm):
            raise NotFiniteError("the gradient")
        self.optimiser.step()
        return UpdateResult(terms, norm, rate)

    def backpropagate(self, batch: StepBatch) -> dict[str, float]:
        """Add up the gradients of the mean loss over the target frames.

        One render is in memory at a time.

        Returns:
            Means over frames: loss, its terms, psnr (dB).

        Raises:
            NotFiniteError: a loss or a Gaussian is no finite number.
        """
        half = self.phase.precision == "bfloat16"
        device_type = batch.targets.rgb.device.type
        with torch.autocast(device_type, torch.bfloat16, enabled=half):
            (gaussians,) = self.network(batch.inputs, prune_ratio=self.phase.prune_ratio)
        if not all(bool(values.isfinite().all()) for values in vars(gaussians).values()):
            raise NotFiniteError("a Gaussian")
        targets, num_targets = batch.targets, len(batch.targets)
        means: dict[str, float] = {}

        def loss_of_view(render: Render, rendered: Gaussians, index: int) -> Tensor:
            target = targets[[index]]
            value = loss_of_frames(
                self.phase.losses, render, target, rendered, self.perceptual, batch.inputs
            )
            quality = psnr(render.rgb.detach(), target.rgb).mean
            figures = {"loss": float(value.total.detach()), "psnr": quality, **value.terms}
            if not math.isfinite(figures["loss"]):
                raise NotFiniteError("the loss")
            for name, figure in figures.items():
                means[name] = means.get(name, 0.0) + figure / num_targets
            return value.total / num_targets

        loss_over_views(gaussians, targets.cameras, self.rendering, loss_of_view).backward()
        return means
