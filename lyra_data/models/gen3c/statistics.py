"""Latent statistics: between what the VAE encodes and what the network sees."""

# diffusers fills its namespaces lazily, which pyright takes for private names.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import ParamsError

SIGMA_DATA = 0.5
"""Standard deviation that latents are scaled to."""


@dataclass(frozen=True)
class LatentStatistics:
    """Mean and standard deviation per channel and latent frame.

    The first latent frame stands for one picture and the others for eight, so each has its own.
    """

    mean: Float[Tensor, "channel latent_frame"]
    std: Float[Tensor, "channel latent_frame"]

    @classmethod
    def of(cls, vae: Any) -> LatentStatistics:
        """Return those that an AutoencoderKLCosmos has in its configuration: flat lists, channels
        slowest.

        Raises:
            ParamsError: there are none, or they are diffusers' own defaults, which belong to
                another tokenizer (CV8x8x8-1.0).
        """
        return cls.of_config(vae.config)

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> LatentStatistics:
        """Return those of a VAE's config.json; raises as `of`."""
        from diffusers.models.autoencoders.autoencoder_kl_cosmos import LATENTS_MEAN, LATENTS_STD

        mean, std = config.get("latents_mean"), config.get("latents_std")
        if mean is None or std is None:
            raise _unusable("the VAE has no latent statistics")
        if list(mean) == LATENTS_MEAN or list(std) == LATENTS_STD:
            raise _unusable("the VAE has the latent statistics of another tokenizer (CV8x8x8-1.0)")
        channels = config["latent_channels"]
        if len(mean) != len(std) or len(mean) % channels or not mean:
            raise _unusable(
                f"the VAE's latent statistics hold {len(mean)} means and {len(std)} deviations, "
                f"which do not make {channels} channels"
            )
        return cls(
            torch.tensor(mean, dtype=torch.float32).reshape(channels, -1),
            torch.tensor(std, dtype=torch.float32).reshape(channels, -1),
        )

    @property
    def num_latent_frames(self) -> int:
        """The longest video these statistics reach for, in latent frames."""
        return self.mean.shape[1]

    def normalise(
        self, raw: Float[Tensor, "batch channel latent_frame latent_height latent_width"]
    ) -> Float[Tensor, "batch channel latent_frame latent_height latent_width"]:
        """Return what the network sees: zero mean, standard deviation SIGMA_DATA."""
        mean, std = self._like(raw)
        return (raw - mean) / std * SIGMA_DATA

    def denormalise(
        self, latents: Float[Tensor, "batch channel latent_frame latent_height latent_width"]
    ) -> Float[Tensor, "batch channel latent_frame latent_height latent_width"]:
        """Return what the VAE decodes."""
        mean, std = self._like(latents)
        return latents / SIGMA_DATA * std + mean

    def _like(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        length = latents.shape[2]
        assert length <= self.num_latent_frames, "more latent frames than statistics"
        mean, std = (
            part[None, :, :length, None, None].to(latents) for part in (self.mean, self.std)
        )
        return mean, std


def _unusable(what: str) -> ParamsError:
    return ParamsError(
        what,
        where="vae/config.json: latents_mean, latents_std",
        fix="convert the released weights again: the converter writes those of mean_std.pt",
    )
