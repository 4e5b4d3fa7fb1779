"""Builds the small networks of gen3c/ through our converter and pipeline."""

# diffusers fills its namespaces lazily, which pyright takes for private names.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from diffusers import AutoencoderKLCosmos, CosmosTransformer3DModel
from safetensors.torch import load_file
from torch import Tensor

from lyra_data.models.gen3c.pipeline import Gen3CPipeline
from lyra_data.models.gen3c.scheduler import create_scheduler
from lyra_data.models.weights import cosmos_autoencoder, gen3c_network
from lyra_data.models.weights.renaming import NameTable
from tests.factories_gen3c import tiny_vae


def _renamed(state: dict[str, Tensor], table: NameTable) -> dict[str, Tensor]:
    """Weights by diffusers' names, through the converter's own table."""
    renamed = table.rename(state)
    assert not renamed.unknown and not renamed.doubled, renamed
    return {target: state[source] for target, source in renamed.sources.items()}


def load_data(path: Path) -> dict[str, Tensor]:
    """Arrays of a case; float32 whatever precision they were stored in."""
    return {
        name: values.float() if values.is_floating_point() else values
        for name, values in load_file(path).items()
    }


@lru_cache(maxsize=4)
def load_transformer(weights: Path, config: Path) -> CosmosTransformer3DModel:
    """The network; its padding channel is ours to add, as GEN3C's pipeline wants it."""
    values = json.loads(config.read_text())
    values["in_channels"] += int(values.pop("concat_padding_mask"))
    model = CosmosTransformer3DModel(**values, concat_padding_mask=False)
    model.load_state_dict(_renamed(load_file(weights), gen3c_network.NAMES))
    return model.eval()


@lru_cache(maxsize=4)
def load_vae(weights: Path, config: Path) -> AutoencoderKLCosmos:
    """The autoencoder, without latent statistics."""
    model = AutoencoderKLCosmos(**json.loads(config.read_text()))
    state = load_file(weights)
    model.load_state_dict(_renamed(state, cosmos_autoencoder.names(state)))
    return model.eval()


def create_pipeline(
    transformer: CosmosTransformer3DModel, vae: AutoencoderKLCosmos, data: Mapping[str, Tensor]
) -> Gen3CPipeline:
    """With the latent statistics of a case."""
    vae.register_to_config(
        latents_mean=data["latents_mean"].flatten().tolist(),
        latents_std=data["latents_std"].flatten().tolist(),
    )
    pipeline = Gen3CPipeline(transformer=transformer, vae=vae, scheduler=create_scheduler())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pipeline_of(
    transformer: CosmosTransformer3DModel, vae: AutoencoderKLCosmos | None = None
) -> Gen3CPipeline:
    """For what needs one of the networks alone; the other is the smallest there is."""
    return Gen3CPipeline(
        transformer=transformer, vae=vae or tiny_vae(), scheduler=create_scheduler()
    )
