"""Load the CUDA kernels of mamba_ssm and causal_conv1d, where both are installed.

One direction of a Mamba-2 block is a causal depthwise convolution and a scan. Both packages are
looked for once; without them, or where they cannot take a block's sizes, the block runs in plain
torch. Signatures: causal_conv1d 1.4's `causal_conv1d_fn` and mamba_ssm 2.2's
`mamba_chunk_scan_combined`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

CONVOLUTION_TAPS = (2, 3, 4)
"""Taps that causal_conv1d has kernels for."""

CHANNEL_MULTIPLE = 8
"""causal_conv1d takes tokens whose channels lie side by side in multiples of this."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mamba2Kernels:
    """The functions that a Mamba-2 block calls in place of plain torch.

    Attributes:
        convolve: causal_conv1d_fn.
        scan: mamba_chunk_scan_combined.
    """

    convolve: Callable[..., Tensor]
    scan: Callable[..., Tensor]

    def run(
        self,
        xbc: Float[Tensor, "batch token channel"],
        dt: Float[Tensor, "batch token head"],
        *,
        conv_weight: Float[Tensor, "channel 1 tap"],
        conv_bias: Float[Tensor, " channel"] | None,
        dt_bias: Float[Tensor, " head"],
        decay_rate: Float[Tensor, " head"],
        skip: Float[Tensor, " head"],
        d_state: int,
        chunk_size: int,
    ) -> Float[Tensor, "batch token inner"]:
        """Run one direction: convolution, SiLU, scan and skip, before the gate.

        Args:
            xbc: x, B and C as they come from the input projection, in any floating type.
            dt: step sizes before bias and softplus.
            decay_rate: A, negative.
            skip: D.
        """
        (num_heads,) = decay_rate.shape
        mixed = self.convolve(
            # Contiguous, and still one token after the other: the layout the kernel is made for.
            rearrange(xbc.contiguous(), "batch token channel -> batch channel token"),
            rearrange(conv_weight, "channel 1 tap -> channel tap"),
            conv_bias,
            activation="silu",
        )
        mixed = rearrange(mixed, "batch channel token -> batch token channel")
        inner = mixed.shape[-1] - 2 * d_state
        x, b, c = mixed.split((inner, d_state, d_state), dim=-1)
        y = self.scan(
            rearrange(x, "batch token (head p) -> batch token head p", head=num_heads),
            dt,
            decay_rate,
            rearrange(b, "batch token state -> batch token 1 state"),
            rearrange(c, "batch token state -> batch token 1 state"),
            chunk_size=chunk_size,
            D=skip,
            dt_bias=dt_bias,
            dt_softplus=True,
        )
        return rearrange(y, "batch token head p -> batch token (head p)")


def kernels_for(device: torch.device, *, channels: int, taps: int) -> Mamba2Kernels | None:
    """Return the kernels, or None where a block must run in plain torch.

    On CUDA the log says why, once.

    Args:
        channels: of the convolution: x, B and C together.
        taps: of the convolution.
    """
    if device.type != "cuda":
        return None
    if taps not in CONVOLUTION_TAPS or channels % CHANNEL_MULTIPLE:
        _say_once(f"causal_conv1d has no kernel for {taps} taps and {channels} channels")
        return None
    return load_kernels()


@cache
def load_kernels() -> Mamba2Kernels | None:
    """Import both packages; None where one is missing."""
    try:
        from causal_conv1d import causal_conv1d_fn  # pyright: ignore[reportMissingImports]
        from mamba_ssm.ops.triton.ssd_combined import (  # pyright: ignore[reportMissingImports]
            mamba_chunk_scan_combined,
        )
    except ImportError as error:
        _say_once(str(error))
        return None
    log.info("Mamba-2 runs on the kernels of mamba_ssm and causal_conv1d")
    return Mamba2Kernels(causal_conv1d_fn, mamba_chunk_scan_combined)


@cache
def _say_once(reason: str) -> None:
    log.warning("Mamba-2 runs in plain torch, slower and with more memory: %s", reason)
