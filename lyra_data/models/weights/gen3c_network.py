"""GEN3C's network: the names of its weights, and its configuration as their shapes tell it.

diffusers' own single-file loader is of no use: it knows other names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyra_data.models.weights.renaming import NameTable, Renaming
from lyra_data.models.weights.shape_votes import count_of, vote

Shapes = Mapping[str, tuple[int, ...]]

PATCH_SIZE = (1, 2, 2)
"""Latent frames, rows and columns in a token. Shapes show only the product with the channels."""

ROPE_SCALE = (2.0, 1.0, 1.0)
"""RoPE's scales along time, height and width in the released network; no shape shows them."""

IN_CHANNELS = 82
"""16 latents, 1 conditioning mask, 2 buffers of 16 + 16 for frames and masks, 1 padding mask."""

RELEASED: dict[str, Any] = {
    "in_channels": IN_CHANNELS,
    "out_channels": 16,
    "num_attention_heads": 32,
    "attention_head_dim": 128,
    "num_layers": 28,
    "mlp_ratio": 4.0,
    "text_embed_dim": 1024,
    "adaln_lora_dim": 256,
    "max_size": (128, 240, 240),
}
"""GEN3C-Cosmos-7B. Stands in for what the weights that would tell it are missing for."""

_BLOCK = "blocks.block{i}.blocks"

NAMES = NameTable(
    prefix="net.",
    renamings=[
        Renaming("x_embedder.proj.1.weight", "patch_embed.proj.weight"),
        Renaming("extra_pos_embedder.pos_emb_{thw}", "learnable_pos_embed.pos_emb_{thw}"),
        Renaming("t_embedder.1.linear_{one}.weight", "time_embed.t_embedder.linear_{one}.weight"),
        Renaming("affline_norm.weight", "time_embed.norm.weight"),
        *(
            Renaming(f"{_BLOCK}.{part}.block.attn.{source}", f"transformer_blocks.{{i}}.{target}")
            for part in (0, 1)
            for source, target in (
                ("to_{qkv}.0.weight", f"attn{part + 1}.to_{{qkv}}.weight"),
                ("to_{qk}.1.weight", f"attn{part + 1}.norm_{{qk}}.weight"),
                ("to_out.0.weight", f"attn{part + 1}.to_out.0.weight"),
            )
        ),
        Renaming(f"{_BLOCK}.2.block.layer1.weight", "transformer_blocks.{i}.ff.net.0.proj.weight"),
        Renaming(f"{_BLOCK}.2.block.layer2.weight", "transformer_blocks.{i}.ff.net.2.weight"),
        *(
            Renaming(
                f"{_BLOCK}.{part}.adaLN_modulation.{{one}}.weight",
                f"transformer_blocks.{{i}}.norm{part + 1}.linear_{{one}}.weight",
            )
            for part in (0, 1, 2)
        ),
        Renaming("final_layer.adaLN_modulation.{one}.weight", "norm_out.linear_{one}.weight"),
        Renaming("final_layer.linear.weight", "proj_out.weight"),
    ],
    dropped={
        r"(?:.*\.)?_extra_state": "runtime state of an accelerated kernel",
        r"(?:net\.)?pos_embedder\..*": "constant positions, computed again",
        r"logvar\..*": "weights the loss in training",
        r"conditioner\..*": "has no parameters",
        r"(?:net\.)?accum_.*": "counters of the training",
    },
)


def infer_config(
    shapes: Shapes, *, rope_scale: tuple[float, float, float] = ROPE_SCALE
) -> dict[str, Any]:
    """Infer the configuration of the CosmosTransformer3DModel that has weights of these shapes.

    Every number is read from all weights that show it, and the most frequent one counts, so that a
    single misshapen weight is found out and does not mislead. What nothing shows is RELEASED's.

    Args:
        shapes: by the model's own names.
    """
    block = r"transformer_blocks\.\d+\."
    inferred = {
        "width": vote(shapes, rf"{block}(attn\d\.to_q|norm\d\.linear_1)\.weight", axis=1),
        "head": vote(shapes, rf"{block}attn\d\.norm_[qk]\.weight", axis=0),
        "inner": vote(shapes, rf"{block}attn\d\.to_[qkv]\.weight", axis=0),
        "mlp": vote(shapes, rf"{block}ff\.net\.0\.proj\.weight", axis=0),
        "text": vote(shapes, rf"{block}attn2\.to_[kv]\.weight", axis=1),
        "adaln": vote(shapes, rf"{block}norm\d\.linear_1\.weight", axis=0),
    }
    head = inferred["head"] or RELEASED["attention_head_dim"]
    inner = inferred["inner"] or RELEASED["num_attention_heads"] * head
    width = inferred["width"] or inner
    num_layers = count_of(shapes, r"transformer_blocks\.(\d+)\.") or RELEASED["num_layers"]
    if width == RELEASED["num_attention_heads"] * RELEASED["attention_head_dim"]:
        # A released network that lost its last blocks must not pass for a shorter one.
        num_layers = max(num_layers, RELEASED["num_layers"])
    values_per_token = PATCH_SIZE[0] * PATCH_SIZE[1] * PATCH_SIZE[2]
    inputs = vote(shapes, r"patch_embed\.proj\.weight", axis=1)
    outputs = vote(shapes, r"proj_out\.weight", axis=0)
    return {
        "in_channels": _divided(inputs, values_per_token, RELEASED["in_channels"]),
        "out_channels": _divided(outputs, values_per_token, RELEASED["out_channels"]),
        "num_attention_heads": max(inner // head, 1),
        "attention_head_dim": head,
        "num_layers": num_layers,
        "mlp_ratio": inferred["mlp"] / width if inferred["mlp"] else RELEASED["mlp_ratio"],
        "text_embed_dim": inferred["text"] or RELEASED["text_embed_dim"],
        "adaln_lora_dim": inferred["adaln"] or RELEASED["adaln_lora_dim"],
        "max_size": tuple(_longest(shapes, axis) for axis in range(3)),
        "patch_size": PATCH_SIZE,
        "rope_scale": rope_scale,
        "concat_padding_mask": False,  # the pipeline appends the padding channel itself
        "extra_pos_embed_type": "learnable",
    }


def _divided(count: int | None, by: int, otherwise: int) -> int:
    return otherwise if count is None else max(count // by, 1)


def _longest(shapes: Shapes, axis: int) -> int:
    """Return the largest latent size along an axis (frame, row, column) that has learned
    positions."""
    positions = vote(shapes, rf"learnable_pos_embed\.pos_emb_{'thw'[axis]}", axis=0)
    return RELEASED["max_size"][axis] if positions is None else positions * PATCH_SIZE[axis]
