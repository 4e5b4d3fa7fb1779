"""Latent codecs: video <-> 16-channel latents, 8x8x8 and causal."""

from lyra_data.engine.registry import Registry
from lyra_data.models.codecs.base import LatentCodec

CODECS: Registry[LatentCodec] = Registry(
    "codec",
    {
        "dct": "lyra_data.models.codecs.dct:DctCodec",
        "cosmos": "lyra_data.models.codecs.cosmos:CosmosCodec",
    },
)
