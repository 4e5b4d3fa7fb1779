"""The cosmos codec: Cosmos-Tokenize1-CV8x8x8-720p, whose latents Lyra's decoder was trained on.

Weights: the `vae` folder of what `lyra-data weights convert` writes, by default
weights/gen3c/vae. Latents are as the network encodes and decodes them, not normalised:
the same kind that teacher `gen3c` returns.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params
from lyra_data.engine.placement import Placement
from lyra_data.models.codecs.base import SPATIAL_FACTOR, TEMPORAL_FACTOR
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_data.models.places import find_weights, weights_folder


class CosmosCodecParams(Params):
    """The weights to use.

    Attributes:
        weights: folder of the autoencoder, from the folder of params.yaml.
    """

    name: Literal["cosmos"]
    weights: str = Field(min_length=1)


class CosmosCodec:
    """Loaded at its first video. Computes in float32 on every device, so that latents differ
    between devices by rounding alone; encoding in bfloat16 does not run on a CPU at all."""

    Params = CosmosCodecParams
    name: ClassVar[str] = "cosmos"

    def __init__(self, params: CosmosCodecParams) -> None:
        self.params = params
        self._placement = Placement("cpu")
        self._vae: Any = None
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """`cosmos-1` and the hash of the weights.

        Raises:
            ParamsError: there are no weights.
        """
        if self._fingerprint is None:
            from lyra_data.models.weights.tokenizer_fingerprint import tokenizer_fingerprint

            self._require_weights()
            self._fingerprint = tokenizer_fingerprint(self._folder)
        return self._fingerprint

    @property
    def statistics(self) -> LatentStatistics:
        """Return the latents' mean and deviation, which stand in the weights' config.json.

        Raises:
            ParamsError: there are no weights, or none with statistics of this tokenizer.
            CorruptDataError: config.json cannot be read.
        """
        self._require_weights()
        config = read_json_object(
            self._folder / "config.json",
            kind="configuration",
            fix="run `lyra-data weights verify` on the weights, then convert them again",
        )
        return LatentStatistics.of_config(config)

    def run_on(self, placement: Placement) -> None:
        """Take where to run. It is small, and stays there whatever is offloaded."""
        self._placement = placement

    def encode(
        self, video: Float[Tensor, "3 frame height width"]
    ) -> Float[Tensor, "16 latent_frame latent_height latent_width"]:
        """Return latents of a video in [-1, 1]: the posterior's mean, which is all this network
        gives.

        Raises:
            ParamsError: the frames are not 8k+1, a side is not a multiple of 8 pixels, or there
                are no weights.
        """
        _check_shape(*video.shape[1:])
        with torch.no_grad():
            vae = self._loaded()
            return vae.encode(video[None].to(vae.device, torch.float32)).latent_dist.mode()[0].cpu()

    def decode(
        self, latents: Float[Tensor, "16 latent_frame latent_height latent_width"]
    ) -> Float[Tensor, "3 frame height width"]:
        """Return the video the latents stand for, clamped to [-1, 1]."""
        with torch.no_grad():
            vae = self._loaded()
            video = vae.decode(latents[None].to(vae.device, torch.float32)).sample[0]
        return video.clamp(-1.0, 1.0).cpu()

    @property
    def _folder(self) -> Path:
        return find_weights(self.params.weights, self._placement.root)

    def _require_weights(self) -> None:
        """Raise ParamsError, naming the command that gets the weights, unless they are there."""
        folder = self._folder
        if (folder / "config.json").is_file():
            return
        command = "lyra-data weights pull cosmos-tokenizer && lyra-data weights convert "
        command += "cosmos-tokenizer"
        fix = f"run `{command} --output {shlex.quote(str(folder.parent))}`"
        if folder.name != "vae":
            fix = f"run `{command}`, and name weights/cosmos-tokenizer/vae"
        raise ParamsError(
            f"codec cosmos has no weights at {folder}",
            where=str(folder / "config.json"),
            fix=f"{fix}; who generates with gen3c converts that, which holds them too "
            f"(docs/weights.md). Looked for there and in {weights_folder()}",
        )

    def _loaded(self) -> Any:
        if self._vae is None:
            from lyra_data.models.gen3c.loading import load_vae

            self._require_weights()
            vae: Any = load_vae(self._folder)
            self._vae = vae.to(self._placement.device)
        return self._vae


def _check_shape(num_frames: int, height: int, width: int) -> None:
    problems, fixes = [], []
    for noun, count, factor, rest in (
        ("frames", num_frames, TEMPORAL_FACTOR, 1),
        ("rows", height, SPATIAL_FACTOR, 0),
        ("columns", width, SPATIAL_FACTOR, 0),
    ):
        if count % factor != rest or count == 0:
            below = (count - rest) // factor * factor + rest
            near = [str(size) for size in (below, below + factor) if size > 0]
            plus = f" plus {rest}" if rest else ""
            problems.append(f"{count} {noun} is not a multiple of {factor}{plus}")
            fixes.append(f"use {' or '.join(near)} {noun}")
    if problems:
        raise ParamsError("; ".join(problems), where="codec cosmos", fix="; ".join(fixes))
