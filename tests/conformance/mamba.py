"""The decoder's blocks against the reference's: weights in, outputs and gradients out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lyra_model.decoder.attention import TransformerBlock
from lyra_model.decoder.embeddings import PATCH, LatentEmbedding
from lyra_model.decoder.mamba2 import Mamba2Block
from tests.conformance.base import Comparison, Result, load_arrays, skip

RELEASED = {
    "scan_type": "bi",
    "ngroups": 1,
    "conv_bias": True,
    "bias": False,
    "patch": [1, PATCH, PATCH],
    "padding": 0,
}
"""Settings that the blocks here have no choice of: those of every released model."""


def settings_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry's settings, with the reference's defaults where it states them."""
    return {**entry["params"].get("defaults", {}), **entry["params"]}


def released(name: str, value: Any) -> bool:
    """Return whether a setting is one that the released models have, or one we can choose."""
    return name not in RELEASED or value == RELEASED[name]


def check(entry: dict[str, Any], folder: Path) -> Result:
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    params = entry["params"]
    other = {name: value for name, value in settings_of(entry).items() if not released(name, value)}
    if other:
        return skip(entry, f"no released model has {other}")
    if "patch" in params:
        embedding = LatentEmbedding(params["in_channels"], params["dim"])
        return _check_forward(entry, arrays, embedding, "out_tokens")
    if "heads" in params:
        block = TransformerBlock(
            params["dim"],
            params["heads"],
            params["mlp_ratio"],
            normalise_queries=params["qk_norm"],
        )
        return _check_forward(entry, arrays, block, "out_y")
    return _check_mamba(entry, arrays)


def _check_forward(
    entry: dict[str, Any], arrays: dict[str, Tensor], module: nn.Module, output: str
) -> Result:
    _load(module, arrays)
    comparison = Comparison(entry)
    comparison.add(output, module(arrays["in_x"]), arrays[output])
    return comparison.result()


def _check_mamba(entry: dict[str, Any], arrays: dict[str, Tensor]) -> Result:
    settings = settings_of(entry)
    block = Mamba2Block(
        settings["d_model"],
        d_state=settings["d_state"],
        d_conv=settings["d_conv"],
        expand=settings["expand"],
        headdim=settings["headdim"],
        chunk_size=settings["chunk_size"],
        average_directions=settings["if_divide_out"],
    )
    _load(block, arrays)
    x = arrays["in_x"].requires_grad_()
    y = block(x)
    (y * arrays["in_grad_out"]).sum().backward()

    comparison = Comparison(entry)
    forward, gradient = entry["tolerance"]["forward"], entry["tolerance"]["grad"]
    normalised = block.norm(x)
    first, second = block.mamba.scans(normalised)
    comparison.add("rmsnorm", normalised, arrays["out_rmsnorm"], forward)
    comparison.add("forward scan", first, arrays["out_scan_forward"], forward)
    comparison.add("backward scan", second, arrays["out_scan_backward_unflipped"], forward)
    comparison.add("y", y, arrays["out_y"], forward)
    comparison.add("gradient of x", x.grad, arrays["out_grad_x"], gradient)
    for name, parameter in block.named_parameters():
        if f"out_grad__{name}" in arrays:
            comparison.add(
                f"gradient of {name}", parameter.grad, arrays[f"out_grad__{name}"], gradient
            )
    return comparison.result()


def _load(module: nn.Module, arrays: dict[str, Tensor]) -> None:
    prefix = "param__"
    module.load_state_dict(
        {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        }
    )
