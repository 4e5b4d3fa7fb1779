"""The Cosmos video autoencoder: the names of its weights, and the configuration they tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lyra_data.models.weights.renaming import NameTable, Renaming
from lyra_data.models.weights.shape_votes import count_of, vote

Shapes = Mapping[str, tuple[int, ...]]

IMAGE_CHANNELS = 3

RELEASED_LEVELS = 3

RELEASED: dict[str, Any] = {
    "latent_channels": 16,
    "encoder_block_out_channels": (128, 256, 512, 512),
    "decode_block_out_channels": (256, 512, 512, 512),
    "num_layers": 2,
    "patch_size": 4,
}
"""Cosmos-Tokenize1-CV8x8x8-720p. Stands in for what the weights that would tell it are missing."""

RESOLUTION = 1024
NO_ATTENTION = (32,)
"""diffusers places attention by nominal resolution: of a level at RESOLUTION / patch / 2^level.
No level of the released model is at 32, so none has any."""

DROPPED = {
    r"(?:encoder|decoder)\.(?:un)?patcher3d\..*": "constants of the wavelet",
    r"distribution\..*": "has no parameters",
}


def names(source_names: Iterable[str]) -> NameTable:
    """Return the table for a checkpoint with these names.

    It depends on how many levels there are: the decoder counts them from the picture inwards,
    diffusers from the latents outwards.
    """
    shapes = dict.fromkeys(source_names, ())
    num_levels = count_of(shapes, r"(?:encoder\.down|decoder\.up)\.(\d+)\.") or RELEASED_LEVELS
    return NameTable(renamings=list(_renamings(num_levels)), dropped=DROPPED)


def _renamings(num_levels: int) -> Iterator[Renaming]:
    for name in ("quant_conv", "post_quant_conv"):
        yield Renaming(f"{name}.conv3d.{{what}}", f"{name}.{{what}}")
    for number, axis in enumerate("st"):
        yield Renaming(
            f"{{side}}.{{end}}.{number}.conv3d.{{what}}", f"{{side}}.{{end}}.conv_{axis}.{{what}}"
        )
    yield Renaming("{side}.norm_out.norm.{what}", "{side}.norm_out.norm.{what}")
    for number in (0, 1):
        yield from _residual_block(
            f"{{side}}.mid.block_{number + 1}", f"{{side}}.mid_block.resnets.{number}"
        )
    yield from _attention("{side}.mid.attn_1", "{side}.mid_block", "0")
    yield from _level("encoder.down.{i}", "encoder.down_blocks.{i}", "downsample")
    for level in range(num_levels):
        yield from _level(
            f"decoder.up.{level}", f"decoder.up_blocks.{num_levels - 1 - level}", "upsample"
        )


def _level(source: str, target: str, sampling: str) -> Iterator[Renaming]:
    yield from _residual_block(f"{source}.block.{{j}}", f"{target}.resnets.{{j}}")
    yield Renaming(
        f"{source}.block.{{j}}.nin_shortcut.conv3d.{{what}}",
        f"{target}.resnets.{{j}}.conv_shortcut.{{what}}",
    )
    yield from _attention(f"{source}.attn.{{j}}", target, "{j}")
    for number in (1, 2, 3):
        yield Renaming(
            f"{source}.{sampling}.conv{number}.conv3d.{{what}}",
            f"{target}.{sampling}rs.0.conv{number}.{{what}}",
        )


def _residual_block(source: str, target: str) -> Iterator[Renaming]:
    yield Renaming(f"{source}.norm{{one}}.norm.{{what}}", f"{target}.norm{{one}}.norm.{{what}}")
    for number, axis in enumerate("st"):
        yield Renaming(
            f"{source}.conv{{one}}.{number}.conv3d.{{what}}",
            f"{target}.conv{{one}}.conv_{axis}.{{what}}",
        )


def _attention(source: str, target: str, number: str) -> Iterator[Renaming]:
    """Return the names of attention within frames, then across them."""
    for axis, kind in enumerate(("attentions", "temp_attentions")):
        here = f"{target}.{kind}.{number}"
        yield Renaming(f"{source}.{axis}.norm.norm.{{what}}", f"{here}.norm.norm.{{what}}")
        yield Renaming(f"{source}.{axis}.{{qkv}}.conv3d.{{what}}", f"{here}.to_{{qkv}}.{{what}}")
        yield Renaming(f"{source}.{axis}.proj_out.conv3d.{{what}}", f"{here}.to_out.0.{{what}}")


def infer_config(shapes: Shapes) -> dict[str, Any]:
    """Infer the configuration of the AutoencoderKLCosmos that has weights of these shapes.

    Without the latents' statistics, which are in another file. What nothing shows is RELEASED's.

    Args:
        shapes: by the model's own names.
    """
    values = vote(shapes, r"encoder\.conv_in\.conv_s\.weight", axis=1)
    patch_size = RELEASED["patch_size"]
    if values is not None:
        patch_size = max(round((values / IMAGE_CHANNELS) ** (1 / 3)), 1)
    attention = _levels_with(shapes, "attentions.0.norm.norm.weight")
    resolutions = tuple(RESOLUTION // patch_size // 2**level for level in attention)
    # The encoder's conv1 halves the picture, its conv2 the time; the patches do the rest.
    spatial = len(_levels_with(shapes, "downsamplers.0.conv1.weight"))
    temporal = len(_levels_with(shapes, "downsamplers.0.conv2.weight"))
    return {
        "in_channels": IMAGE_CHANNELS,
        "out_channels": IMAGE_CHANNELS,
        "latent_channels": vote(shapes, r"(post_)?quant_conv\.weight", axis=0)
        or RELEASED["latent_channels"],
        "encoder_block_out_channels": _encoder_channels(shapes),
        "decode_block_out_channels": _decoder_channels(shapes),
        "attention_resolutions": resolutions or NO_ATTENTION,
        "resolution": RESOLUTION,
        "num_layers": count_of(shapes, r"encoder\.down_blocks\.\d+\.resnets\.(\d+)\.")
        or RELEASED["num_layers"],
        "patch_size": patch_size,
        "patch_type": "haar",
        "scaling_factor": 1.0,
        "spatial_compression_ratio": patch_size * 2 ** (spatial or _released_halvings(patch_size)),
        "temporal_compression_ratio": patch_size
        * 2 ** (temporal or _released_halvings(patch_size)),
    }


def _released_halvings(patch_size: int) -> int:
    return max(round(math.log2(8 / patch_size)), 0)


def _levels_with(shapes: Shapes, part: str) -> list[int]:
    levels = count_of(shapes, r"encoder\.down_blocks\.(\d+)\.")
    return [level for level in range(levels) if f"encoder.down_blocks.{level}.{part}" in shapes]


def _encoder_channels(shapes: Shapes) -> tuple[int, ...]:
    first = vote(shapes, r"encoder\.conv_in\.conv_[st]\.weight", axis=0)
    levels = count_of(shapes, r"encoder\.down_blocks\.(\d+)\.")
    later = [_level_channels(shapes, rf"encoder\.down_blocks\.{level}") for level in range(levels)]
    return _all_or(RELEASED["encoder_block_out_channels"], [first, *later])


def _decoder_channels(shapes: Shapes) -> tuple[int, ...]:
    innermost = vote(shapes, r"decoder\.conv_in\.conv_[st]\.weight", axis=0)
    levels = count_of(shapes, r"decoder\.up_blocks\.(\d+)\.")
    outwards = [_level_channels(shapes, rf"decoder\.up_blocks\.{level}") for level in range(levels)]
    return _all_or(RELEASED["decode_block_out_channels"], [*reversed(outwards), innermost])


def _level_channels(shapes: Shapes, level: str) -> int | None:
    return vote(shapes, rf"{level}\.resnets\.\d+\.conv[12]\.conv_[st]\.weight", axis=0)


def _all_or(released: tuple[int, ...], inferred: list[int | None]) -> tuple[int, ...]:
    """Return `inferred`; a gap takes the released model's value, and so does everything where all
    is gap."""
    if len(inferred) == 1:
        return released
    padded = [*released, *[released[-1]] * len(inferred)]
    return tuple(value or padded[level] for level, value in enumerate(inferred))
