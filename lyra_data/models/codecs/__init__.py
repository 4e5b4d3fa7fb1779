"""Latent codecs: video <-> 16-channel latents, 8x8x8 and causal."""

from typing import Any

from lyra_data.engine.placement import Placement
from lyra_data.engine.registry import Registry
from lyra_data.models.codecs.base import LatentCodec

CODECS: Registry[LatentCodec] = Registry(
    "codec",
    {
        "dct": "lyra_data.models.codecs.dct:DctCodec",
        "cosmos": "lyra_data.models.codecs.cosmos:CosmosCodec",
    },
)


def create_codec(name: str, *, device: str = "cpu", **settings: Any) -> LatentCodec:
    """Return the codec of a name, e.g. of a dataset's `codec.name`, to run on `device`.

    Weights are loaded at the first video.

    Args:
        settings: its keys of params.yaml; "dct" has none, "cosmos" has `weights`, a folder that
            `lyra-data weights convert` wrote, e.g. "weights/gen3c/vae".

    Raises:
        ParamsError: there is no such codec, or a setting is missing, unknown or impossible.
    """
    codec = CODECS.create({"name": name, **settings}, where=f"codec {name}")
    codec.run_on(Placement(device))
    return codec
