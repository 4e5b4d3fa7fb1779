"""Cases of a gen3c folder made from the published formulas alone, for tests of the comparison.

Nothing here calls our sampling or conditioning: EDM preconditioning and Euler steps (Karras et al.
2022, eq. 5, 7) in double precision, GEN3C's 82 channels, and diffusers' VAE as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

Case = dict[str, Any]
Network = Callable[[Tensor, Tensor, float], Tensor]
"""(conditional input, unconditional input, noise level) -> guided output."""

SAMPLER_TOLERANCE = {"max_abs": 2e-4, "relative_to_step_scale": 1e-5}


def sampler_case(
    folder: Path,
    *,
    guidance: float = 1.0,
    num_steps: int = 3,
    shape: tuple[int, ...] = (1, 16, 2, 4, 4),
    seed: int = 6,
    has_negative_text: bool = True,
) -> Case:
    """Sample with the toy network; writes sampler.safetensors."""
    draws = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=draws).double()

    batch, _, *latent_size = shape
    toy = {"toy_A": normal(16, 82) * 0.15, "toy_b": normal(16) * 0.3, "toy_c": normal(16) * 0.3}
    text, negative = normal(batch, 4, 8), normal(batch, 4, 8)
    if not has_negative_text:  # the unconditional pass keeps the prompt's own
        negative = text

    def network(with_cache: Tensor, without: Tensor, sigma: float) -> Tensor:
        outputs = []
        for channels, words in ((with_cache, text), (without, negative)):
            mixed = torch.einsum("oc,bcthw->bothw", toy["toy_A"], channels)
            constant = math.log(sigma) / 4 * toy["toy_b"] + torch.outer(
                words.mean((1, 2)), toy["toy_c"]
            )
            outputs.append(torch.tanh(mixed + constant[:, :, None, None, None]))
        conditional, unconditional = outputs
        return conditional + guidance * (conditional - unconditional)

    given = {
        "condition_latents": normal(*shape) * 0.5,
        "cache_latents": normal(batch, 64, *latent_size) * 0.5,
        "augment_noise": _augment_noise(seed, shape),
        "initial_noise": normal(*shape),
    }
    steps = _steps(given, network, num_steps=num_steps, num_frames=1)
    case = {
        "id": "sampler/made",
        "kind": "sampler_toy",
        "data": "sampler.safetensors",
        "num_steps": num_steps,
        "guidance": guidance,
        "num_condition_latent_frames": 1,
        "augment_sigma": 0.001,
        "augment_seed": seed,
        "input_frames_guidance": False,
        "has_negative_text": has_negative_text,
        "tolerance": SAMPLER_TOLERANCE,
    }
    sigmas = _levels(num_steps)
    data = {
        **toy,
        **given,
        "text_embeddings": text,
        **({"negative_text_embeddings": negative} if has_negative_text else {}),
        "sigmas": sigmas,
        "timesteps": sigmas[:-1].log() / 4,
        "first_step_input_cond": steps[0]["with_cache"],
        "first_step_input_uncond": steps[0]["without"],
        "last_step_input_cond": steps[-1]["with_cache"],
        "final": steps[-1]["after"],
        "step_inputs": torch.stack([step["entered"] for step in steps]),
        "step_outputs": torch.stack([step["effective"] for step in steps]),
        "step_x0": torch.stack([step["denoised"] for step in steps]),
        "trajectory": torch.stack([step["after"] for step in steps]),
    }
    _save(data, folder / case["data"])
    return case


def conditioning_case(
    folder: Path, vae: Any, *, size: tuple[int, int, int], num_frames: int = 1, batch: int = 1
) -> Case:
    """Warped frames to the network's input at two steps; writes conditioning.safetensors.

    Args:
        vae: of the files the case is to name as vae_weights and vae_config.
        size: frames, height and width in pixels.
        num_frames: conditioning latent frames.
    """
    draws = torch.Generator().manual_seed(8)
    frames, height, width = size
    length = (frames - 1) // 8 + 1
    shape = (batch, 16, length, height // 8, width // 8)
    mean = torch.randn(16, length, generator=draws) * 0.1
    std = 1 + 0.2 * torch.rand(16, length, generator=draws)
    image = torch.rand(batch, 3, 1, height, width, generator=draws) * 2 - 1
    masks = (torch.rand(batch, frames, 1, 1, height, width, generator=draws) > 0.4).float()
    colours = torch.rand(batch, frames, 1, 3, height, width, generator=draws) * 2 - 1
    warped = torch.where(masks.bool(), colours, torch.tensor(-1.0))

    def encode(video: Tensor) -> Tensor:
        raw = torch.cat([vae.encode(one).latent_dist.mode() for one in video.split(1)])
        return (raw - mean[None, :, :, None, None]) / std[None, :, :, None, None] * 0.5

    mask_video = (2 * masks[:, :, 0] - 1).repeat(1, 1, 3, 1, 1)
    with torch.no_grad():
        blank = torch.zeros(batch, 3, frames - 1, height, width)
        picture = encode(torch.cat([image, blank], dim=2))
        parts = [encode(video.transpose(1, 2)) for video in (warped[:, :, 0], mask_video)]
    given = {
        "condition_latents": picture,
        "cache_latents": torch.cat([*parts, torch.zeros(batch, 32, *shape[2:])], dim=1),
        "augment_noise": _augment_noise(8, shape),
        "initial_noise": torch.randn(shape, generator=draws),
    }
    steps = _steps(given, lambda *_: torch.zeros(shape), num_steps=2, num_frames=num_frames)
    data = {
        **given,
        "condition_image": image,
        "warped_frames": warped,
        "warped_masks": masks,
        "latents_mean": mean,
        "latents_std": std,
        "step1_latents_before": steps[0]["after"],
    }
    for index, step in enumerate(steps):
        data[f"step{index}_input_cond"] = step["with_cache"]
        data[f"step{index}_input_uncond"] = step["without"]
    case = {
        "id": "conditioning/made",
        "kind": "conditioning_assembly",
        "data": "conditioning.safetensors",
        "num_steps": 2,
        "augment_sigma": 0.001,
        "augment_seed": 8,
        "num_condition_latent_frames": num_frames,
        "frame_buffer_max": 2,
        "tolerance": {"max_abs": 1e-4},
    }
    _save(data, folder / case["data"])
    return case


def _steps(
    given: dict[str, Tensor], network: Network, *, num_steps: int, num_frames: int
) -> list[dict[str, Tensor]]:
    """Euler steps from 80 to 0, with what enters and leaves each. Augmentation at 0.001."""
    picture, cache = given["condition_latents"].double(), given["cache_latents"].double()
    augmented = picture + 0.001 * given["augment_noise"].double()
    batch, _, length, *size = picture.shape
    mask = torch.zeros(batch, 1, length, *size, dtype=torch.float64)
    mask[:, :, :num_frames] = 1
    sigmas, steps = _levels(num_steps).tolist(), []
    after = given["initial_noise"].double() * math.sqrt(80**2 + 1)
    for sigma, following in pairwise(sigmas):
        held = mask * (sigma > 0.001)
        total = math.sqrt(sigma**2 + 0.25)
        entered = held * augmented * total / math.sqrt(0.001**2 + 0.25) + (1 - held) * after
        channels = [entered / total, mask, cache, torch.zeros_like(mask)]
        with_cache = torch.cat(channels, dim=1)
        channels[2] = torch.zeros_like(cache)
        without = torch.cat(channels, dim=1)
        skipped, scale = 0.25 / total**2, 0.5 * sigma / total
        free = skipped * entered + scale * network(with_cache, without, sigma).double()
        denoised = held * picture + (1 - held) * free
        after = entered + (entered - denoised) * (following - sigma) / sigma
        steps.append(
            {
                "entered": entered,
                "with_cache": with_cache,
                "without": without,
                "denoised": denoised,
                "effective": (denoised - skipped * entered) / scale,
                "after": after,
            }
        )
    return steps


def _levels(num_steps: int) -> Tensor:
    first, last = (level ** (1 / 7) for level in (80.0, 0.0002))
    levels = torch.linspace(first, last, num_steps, dtype=torch.float64) ** 7
    return torch.cat([levels, levels.new_zeros(1)])


def _augment_noise(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape)).float()


def _save(data: dict[str, Tensor], path: Path) -> None:
    save_file({name: values.float().contiguous() for name, values in data.items()}, path)
