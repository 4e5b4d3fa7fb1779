"""Latent codecs: video <-> 16-channel latents, 8x8x8 and causal."""

from lyra_data.codecs.base import LatentCodec
from lyra_data.registry import Registry

CODECS: Registry[LatentCodec] = Registry(
    "codec",
    {"dct": "lyra_data.codecs.dct:DctCodec", "cosmos": "lyra_data.codecs.cosmos:CosmosCodec"},
)
