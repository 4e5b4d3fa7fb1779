"""Sampling: from noise to latents, guided away from what the network makes without the cache.

Source: Karras et al. 2022 (EDM), eq. 7 and algorithm 1 without churn; GEN3C's model_v2w for the
augmented conditioning frames.
"""

# diffusers fills its namespaces lazily, which pyright takes for private names.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import EDMEulerScheduler
from jaxtyping import Float
from torch import Tensor

from lyra_data.models.gen3c.conditioning import Condition, Latents

Text = Float[Tensor, "batch token width"]
Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(82 channels, ln(sigma) / 4 [batch], text) -> output, 16 channels."""


@dataclass(frozen=True)
class Guidance:
    """Choices for the two passes and their combination: F = Fc + scale (Fc - Fu).

    Attributes:
        text, negative_text: embeddings of the conditional and the unconditional pass.
        scale: 0 leaves the conditional pass alone, which is then the only one made.
        input_frames: the unconditional pass is not told which frames are conditioning ones.
        batched: both passes in one forward; else one after the other, in half the memory.
    """

    text: Text
    negative_text: Text
    scale: float
    input_frames: bool
    batched: bool

    def output(
        self, network: Network, scaled: Latents, timestep: Float[Tensor, ""], condition: Condition
    ) -> Latents:
        """The guided network output."""
        times = timestep.expand(len(scaled)).to(scaled.device)
        with_cache = condition.network_input(scaled)
        if self.scale == 0:
            return network(with_cache, times, self.text)
        without = condition.unconditional_input(scaled, input_frames_guidance=self.input_frames)
        if self.batched:
            both = network(
                torch.cat([with_cache, without]),
                times.repeat(2),
                torch.cat([self.text, self.negative_text]),
            )
            conditional, unconditional = both.chunk(2)
        else:
            conditional = network(with_cache, times, self.text)
            unconditional = network(without, times, self.negative_text)
        return conditional + self.scale * (conditional - unconditional)


@dataclass(frozen=True)
class Step:
    """One step, for those who watch.

    Attributes:
        index: 0 for the noisiest.
        sigma: its noise level.
        sample: what entered it: noisy latents, conditioning frames in place.
        denoised: its estimate of the result.
        latents: what it leaves.
    """

    index: int
    sigma: float
    sample: Latents
    denoised: Latents
    latents: Latents


def sample(
    network: Network,
    scheduler: EDMEulerScheduler,
    noise: Latents,
    condition: Condition,
    guidance: Guidance,
    *,
    num_steps: int,
    on_step: Callable[[Step], None],
) -> Latents:
    """Normalised latents of one segment.

    Args:
        noise: unit normal.
        on_step: told after every step.
    """
    scheduler.set_timesteps(num_steps, device=noise.device)
    scheduler.set_begin_index(0)
    config: Any = scheduler.config
    latents = noise * scheduler.init_noise_sigma
    for index, timestep in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[index])
        entered = condition.enter(latents, sigma, sigma_data=config.sigma_data)
        scaled = scheduler.scale_model_input(entered, timestep)
        output = guidance.output(network, scaled, timestep, condition).float()
        held = condition.held(sigma)
        free = scheduler.precondition_outputs(entered, output, sigma)
        denoised = held * condition.image_latents + (1 - held) * free
        latents, _ = scheduler.step(
            output, timestep, entered, pred_original_sample=denoised, return_dict=False
        )
        on_step(Step(index, sigma, entered, denoised, latents))
    return latents
