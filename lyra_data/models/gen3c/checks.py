"""Check what a pipeline is given before any work: models, sizes, frames, buffers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.models.gen3c.conditioning import LATENT_CHANNELS, MAX_BUFFERS, NETWORK_CHANNELS
from lyra_data.models.gen3c.segments import TEMPORAL_FACTOR
from lyra_data.models.gen3c.statistics import SIGMA_DATA, LatentStatistics

SIZE_MULTIPLE = 16
"""8 pixels a latent, 2 latents a token."""


NOISE_LEVELS = {
    "sigma_data": SIGMA_DATA,
    "sigma_schedule": "karras",
    "prediction_type": "epsilon",
    "final_sigmas_type": "zero",
}
"""Settings a scheduler must have for the network's output to have its meaning."""


def check_models(transformer: Any, vae: Any, scheduler: Any) -> None:
    """Raises ParamsError where these are not GEN3C's: channels, compression or noise levels."""
    config = transformer.config
    found = config.in_channels + int(config.concat_padding_mask)
    if found != NETWORK_CHANNELS or config.out_channels != LATENT_CHANNELS:
        raise ParamsError(
            f"this transformer takes {found} channels and gives {config.out_channels}; GEN3C's "
            f"takes {NETWORK_CHANNELS} and gives {LATENT_CHANNELS}",
            where="transformer/config.json",
            fix="convert GEN3C-Cosmos-7B's checkpoint, not another Cosmos model's",
        )
    if config.concat_padding_mask:
        raise ParamsError(
            "this transformer adds the padding channel itself",
            where="transformer/config.json",
            fix=f"set in_channels to {NETWORK_CHANNELS} and concat_padding_mask to false; the "
            "weights are the same",
        )
    compression = (vae.config.spatial_compression_ratio, vae.config.temporal_compression_ratio)
    if vae.config.latent_channels != LATENT_CHANNELS or compression != (8, TEMPORAL_FACTOR):
        raise ParamsError(
            f"this VAE has {vae.config.latent_channels} channels and compresses "
            f"{compression[0]}x in space and {compression[1]}x in time; GEN3C's has 16, 8x, 8x",
            where="vae/config.json",
            fix="convert Cosmos-Tokenize1-CV8x8x8-720p",
        )
    for key, value in NOISE_LEVELS.items():
        found = getattr(scheduler.config, key, None)
        if found != value:
            raise ParamsError(
                f"this scheduler has {key} {found!r}; GEN3C's has {value!r}",
                where="scheduler/scheduler_config.json",
                fix="convert the weights again: the converter writes GEN3C's scheduler",
            )


def check_num_steps(num_steps: int) -> None:
    """Raises ParamsError where no step would turn the noise into a video."""
    if num_steps < 1:
        raise ParamsError(
            f"{num_steps} steps are asked for, and noise would stay noise",
            where="num_inference_steps",
            fix="take 1 or more; the reference takes 35",
        )


def check_inputs(
    image: Tensor,
    warped_frames: Tensor,
    warped_masks: Tensor,
    *,
    max_size: list[int],
    statistics: LatentStatistics,
) -> None:
    """Raises ParamsError where a segment's size, length or buffers do not fit.

    Args:
        max_size: the largest latent video the transformer has positions for: frames, height, width.
    """
    batch, frames, buffers, _, height, width = warped_frames.shape
    problems, fixes = [], []
    for side, pixels, limit in (("height", height, max_size[1]), ("width", width, max_size[2])):
        largest = limit * 8 // SIZE_MULTIPLE * SIZE_MULTIPLE
        if pixels % SIZE_MULTIPLE or not 0 < pixels <= largest:
            below = pixels // SIZE_MULTIPLE * SIZE_MULTIPLE
            near = {min(max(size, SIZE_MULTIPLE), largest) for size in (below, below + 16)}
            problems.append(f"{side} {pixels} is not a multiple of 16 pixels up to {largest}")
            fixes.append(f"take a {side} of {' or '.join(map(str, sorted(near)))}")
    if not 1 <= buffers <= MAX_BUFFERS:
        problems.append(f"{buffers} buffers are given, the network takes 1 to {MAX_BUFFERS}")
        fixes.append(f"set the cache's max_buffers to {MAX_BUFFERS} or less")
    longest = (min(statistics.num_latent_frames, max_size[0]) - 1) * TEMPORAL_FACTOR + 1
    if frames > longest:
        problems.append(f"a segment of {frames} frames is longer than these weights' {longest}")
        fixes.append(f"take segments of {longest} frames")
    expected = ((batch, 3, height, width), (batch, frames, buffers, 1, height, width))
    for name, found, shape in zip(
        ("image", "warped_masks"), (image.shape, warped_masks.shape), expected, strict=True
    ):
        if tuple(found) != shape:
            problems.append(f"{name} has shape {tuple(found)}, the warped frames need {shape}")
            fixes.append("warp the cache of this image at its own size")
    if problems:
        raise ParamsError("; ".join(problems), where="gen3c", fix="; ".join(fixes))
