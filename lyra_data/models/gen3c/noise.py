"""Draw the noise of a run: each segment's starting noise, and that on its conditioning frame."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.seeds import derive_seed, torch_generator

Shape = tuple[int, ...]


def sample_seeds(
    seed: int | list[int] | None, generator: torch.Generator | None, batch: int
) -> list[int]:
    """One seed for each sample of the batch; without any, drawn from `generator`."""
    if seed is None:
        return torch.randint(2**62, (batch,), generator=generator).tolist()
    seeds = [seed] if isinstance(seed, int) else list(seed)
    if len(seeds) == 1 and batch > 1:  # samples of one batch must not share their noise
        seeds = [seeds[0] + index for index in range(batch)]
    assert len(seeds) == batch, "one seed, or one for each of the batch"
    return seeds


def starting_noise(
    seeds: list[int], segment: int, shape: Shape
) -> Float[Tensor, "batch channel latent_frame latent_height latent_width"]:
    """Unit normal noise of one segment, one seed for each sample of the batch.

    Drawn on the CPU, so that every device starts from the same.
    """
    return torch.stack(
        [
            torch.randn(shape, generator=torch_generator(seed, "gen3c", f"noise {segment}"))
            for seed in seeds
        ]
    )


def augmentation_noise(
    seeds: list[int], segment: int, shape: Shape
) -> Float[Tensor, "batch channel latent_frame latent_height latent_width"]:
    """Unit normal noise that a segment's conditioning latents are augmented with."""
    return torch.cat(
        [
            reference_augmentation_noise(
                derive_seed(seed, "gen3c", f"augmentation {segment}") % 2**32, (1, *shape)
            )
            for seed in seeds
        ]
    )


def reference_augmentation_noise(seed: int, shape: Shape) -> Float[Tensor, "*shape"]:
    """The reference's own: the legacy Mersenne Twister's normals in array order."""
    draws = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(draws.astype(np.float32))
