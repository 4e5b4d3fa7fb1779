"""Params of packaging: how views are encoded, dealt out to shards and split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lyra_data.engine.params import Params
from lyra_data.packing.encoding import Encoding


class PackageParams(Params):
    """Section `package` of params.yaml.

    Attributes:
        scenes_per_shard: scenes in one Parquet file of every modality.
        validation_fraction: share of sources kept from training, 0..1; a single source is trained
            on whatever the share.
        validation_scenes: scenes that are kept from training as well, whatever their share; names,
            or patterns such as "held_*".
        rgb: how frames are encoded: lossless; train (AV1) or compat (H.264, reads fastest, opens
            anywhere), both lossy.
        depth: lossless float32, or half floats.
        latents: lossless float32, or half floats.
    """

    scenes_per_shard: Annotated[int, Field(ge=1)]
    validation_fraction: Annotated[float, Field(ge=0, lt=1)]
    validation_scenes: tuple[str, ...]
    rgb: Literal["lossless", "train", "compat"]
    depth: Literal["lossless", "half"]
    latents: Literal["lossless", "half"]

    @property
    def encoding(self) -> Encoding:
        return Encoding(rgb=self.rgb, depth=self.depth, latents=self.latents)
