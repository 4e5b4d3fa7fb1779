"""Draw the initial weights of a new decoder from one generator.

Every parameter is set here, in state-dict order, so that the weights follow from the seed alone
and not from torch's global state or from how a layer happens to initialise itself.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from lyra_model.decoder.attention import TransformerBlock
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.decoder.heads import CHANNELS
from lyra_model.decoder.mamba2 import Direction, RMSNorm

DT_RANGE = (1e-3, 1e-1)
"""Initial Mamba-2 step sizes: log-uniform in this range (Mamba-2's published choice)."""

_LAYERS = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose3d

DECAY_RANGE = (1.0, 16.0)
"""Initial Mamba-2 decay rates -A: uniform in this range."""


def initialise(decoder: GaussianDecoder, generator: torch.Generator) -> None:
    """Fill all parameters in place.

    * Linear and convolution layers: uniform in +-1/sqrt(fan in), torch's own default.
    * Transformer linear layers: Xavier uniform, zero bias.
    * Mamba-2: step sizes, decays and skips as published with Mamba-2.
    * Pluecker and time embeddings: zero, as in the reference, so that a static model starts from
      the images alone and a dynamic one from the static one.
    * Head: the rotation's bias is the identity, so that first rotations are near it and their
      gradients, which grow as 1/|q|, stay tame.
    """
    with torch.no_grad():
        for module in decoder.modules():
            _initialise_module(module, generator)
        for block in decoder.enc_blocks:
            if isinstance(block, TransformerBlock):
                _initialise_transformer(block, generator)
        for embedding in (
            decoder.patch_plucker_embed,
            decoder.patch_time_embed,
            decoder.patch_time_embed_tgt,
        ):
            embedding.proj.weight.zero_()  # type: ignore[union-attr, operator]
            embedding.proj.bias.zero_()  # type: ignore[union-attr, operator]
        if decoder.pictures is not None:
            decoder.pictures.start()
        names = list(CHANNELS)
        rotation_starts = sum(CHANNELS[name] for name in names[: names.index("rotation")])
        decoder.deconv.bias[rotation_starts] += 1.0  # type: ignore[index, operator]


def _initialise_module(module: nn.Module, generator: torch.Generator) -> None:
    if isinstance(module, nn.LayerNorm | nn.GroupNorm | RMSNorm):
        module.weight.fill_(1.0)
        if not isinstance(module, RMSNorm):
            module.bias.zero_()
    elif isinstance(module, Direction):
        low, high = (math.log(value) for value in DT_RANGE)
        step = torch.exp(_uniform(module.dt_bias, low, high, generator))
        module.dt_bias.copy_(step + torch.log(-torch.expm1(-step)))  # inverse of softplus
        module.A_log.copy_(torch.log(_uniform(module.A_log, *DECAY_RANGE, generator)))
        module.D.fill_(1.0)
    elif isinstance(module, _LAYERS):
        bound = 1 / math.sqrt(module.weight[0].numel())
        module.weight.copy_(_uniform(module.weight, -bound, bound, generator))
        if module.bias is not None:
            module.bias.copy_(_uniform(module.bias, -bound, bound, generator))


def _initialise_transformer(block: TransformerBlock, generator: torch.Generator) -> None:
    for layer in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2):
        bound = math.sqrt(6 / (layer.in_features + layer.out_features))
        layer.weight.copy_(_uniform(layer.weight, -bound, bound, generator))
        layer.bias.zero_()


def _uniform(
    like: torch.Tensor, low: float, high: float, generator: torch.Generator
) -> torch.Tensor:
    return torch.empty(like.shape).uniform_(low, high, generator=generator)
