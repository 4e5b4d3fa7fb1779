"""The network's input: 82 channels from the noisy latents, the image and the 3D cache.

Channels 0-15 noisy latents (those of the image on conditioning frames), 16 one on conditioning
frames, 17-48 buffer 0 (warped frames, then mask), 49-80 buffer 1, 81 padding mask, always zero.
Source: GEN3C's general_dit_video_conditioned and model_gen3c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

LATENT_CHANNELS = 16
MAX_BUFFERS = 2
CACHE_CHANNELS = MAX_BUFFERS * 2 * LATENT_CHANNELS
NETWORK_CHANNELS = LATENT_CHANNELS + 1 + CACHE_CHANNELS + 1

Video = Float[Tensor, "batch 3 frame height width"]
Latents = Float[Tensor, "batch 16 latent_frame latent_height latent_width"]
Encode = Callable[[Tensor], Tensor]
"""A video [batch 3 frame height width] in [-1, 1] -> its normalised latents."""


@dataclass(frozen=True)
class Condition:
    """Inputs of a segment.

    Attributes:
        image_latents: normalised; only the conditioning frames matter.
        cache_latents: channels 17-80.
        augment_noise: unit noise, the same at every step.
        augment_sigma: level of the noise that conditioning frames are given. At noise levels not
            above it they are free.
        num_frames: conditioning latent frames: the first ones.
    """

    image_latents: Latents
    cache_latents: Float[Tensor, "batch 64 latent_frame latent_height latent_width"]
    augment_noise: Latents
    augment_sigma: float
    num_frames: int = 1

    @property
    def frame_mask(self) -> Float[Tensor, "1 1 latent_frame 1 1"]:
        """1 on conditioning frames, else 0."""
        length = self.image_latents.shape[2]
        is_condition = torch.arange(length, device=self.image_latents.device) < self.num_frames
        return is_condition.to(self.image_latents.dtype)[None, None, :, None, None]

    def held(self, sigma: float) -> Float[Tensor, "1 1 latent_frame 1 1"]:
        """1 on frames whose content is given at noise level `sigma`, else 0."""
        return self.frame_mask * float(self.augment_sigma < sigma)

    def enter(self, sample: Latents, sigma: float, *, sigma_data: float) -> Latents:
        """The sample with its held frames replaced by the image's, scaled as noisy ones are."""
        own_scale = (self.augment_sigma**2 + sigma_data**2) ** 0.5
        scale = (sigma**2 + sigma_data**2) ** 0.5 / own_scale
        image = (self.image_latents + self.augment_sigma * self.augment_noise) * scale
        held = self.held(sigma)
        return held * image + (1 - held) * sample

    def network_input(
        self, scaled: Latents
    ) -> Float[Tensor, "batch 82 latent_frame latent_height latent_width"]:
        """All channels of the conditional pass; `scaled` is the sample times c_in."""
        return self._assemble(scaled, self.frame_mask, self.cache_latents)

    def unconditional_input(
        self, scaled: Latents, *, input_frames_guidance: bool
    ) -> Float[Tensor, "batch 82 latent_frame latent_height latent_width"]:
        """The same without the cache; without the conditioning mask too if that is guided."""
        mask = self.frame_mask * float(not input_frames_guidance)
        return self._assemble(scaled, mask, torch.zeros_like(self.cache_latents))

    def _assemble(self, scaled: Tensor, mask: Tensor, cache: Tensor) -> Tensor:
        plane = scaled[:, :1]
        return torch.cat([scaled, mask.expand_as(plane), cache, torch.zeros_like(plane)], dim=1)


def encode_image(
    encode: Encode, image: Float[Tensor, "batch 3 height width"], *, num_latent_frames: int
) -> Latents:
    """Latents of the conditioning image, zeros after the first frame.

    The VAE is causal: alone, the image has the latent it would have before a video.
    """
    first = encode(image[:, :, None])
    rest = first.new_zeros(1).expand(*first.shape[:2], num_latent_frames - 1, *first.shape[3:])
    return torch.cat([first, rest], dim=2)


def encode_cache(
    encode: Encode,
    warped_frames: Float[Tensor, "batch frame buffer 3 height width"],
    warped_masks: Float[Tensor, "batch frame buffer 1 height width"],
) -> Float[Tensor, "batch 64 latent_frame latent_height latent_width"]:
    """Channels 17-80: per buffer the warped frames, then their mask as a grey video.

    Buffers that are not there are zeros. One video is encoded at a time, for memory.
    """
    num_buffers = warped_frames.shape[2]
    assert 1 <= num_buffers <= MAX_BUFFERS
    masks = repeat(2 * warped_masks - 1, "b f n 1 h w -> b f n c h w", c=3)
    parts = [
        encode(rearrange(video[:, :, buffer], "b f c h w -> b c f h w"))
        for buffer in range(num_buffers)
        for video in (warped_frames, masks)
    ]
    missing = [torch.zeros_like(parts[0])] * (2 * (MAX_BUFFERS - num_buffers))
    return torch.cat([*parts, *missing], dim=1)
