"""The bidirectional Mamba-2 block: two scans, forward and backward in time, that share projections.

Reference: Lyra-1 src/models/utils/mamba2.py and state-spaces/mamba v2.2.4 (Mamba2, one group). On
CUDA its kernels are used where they are installed (kernels.py), elsewhere plain torch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from lyra_model.decoder.kernels import Mamba2Kernels, kernels_for
from lyra_model.decoder.state_space import chunked_scan

NORM_EPSILON = 1e-5


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last axis, in float32 or better."""

    def __init__(self, dim: int, *, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch channel"]:
        return F.rms_norm(_precise(x), self.weight.shape, self.weight, self.epsilon)


class Mamba2Block(nn.Module):
    """x + Mamba2(RMSNorm(x)).

    Args:
        dim: width of a token.
        d_state: size of the state of every channel.
        d_conv: taps of the causal depthwise convolution.
        expand: inner width in units of `dim`.
        headdim: channels that share one decay.
        chunk_size: see `chunked_scan`.
        average_directions: halve the sum of the two scans (`if_divide_out` in the reference;
            False in every released checkpoint).
    """

    def __init__(
        self,
        dim: int,
        *,
        d_state: int,
        d_conv: int,
        expand: int,
        headdim: int,
        chunk_size: int,
        average_directions: bool = False,
    ) -> None:
        super().__init__()
        self.norm = RMSNorm(dim, epsilon=NORM_EPSILON)
        self.mamba = BidirectionalMamba2(
            dim,
            d_state=d_state,
            d_conv=d_conv,
            inner_dim=expand * dim,
            headdim=headdim,
            chunk_size=chunk_size,
            average_directions=average_directions,
        )

    def forward(
        self, x: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token channel"]:
        return x + self.mamba(self.norm(x))


class BidirectionalMamba2(nn.Module):
    """Applies one input projection, a scan in each direction, their sum, one output projection."""

    def __init__(
        self,
        dim: int,
        *,
        d_state: int,
        d_conv: int,
        inner_dim: int,
        headdim: int,
        chunk_size: int,
        average_directions: bool,
    ) -> None:
        super().__init__()
        num_heads = inner_dim // headdim
        self.widths = (inner_dim, inner_dim + 2 * d_state, num_heads)  # z; x, B and C; dt
        self.d_state = d_state
        self.headdim = headdim
        self.chunk_size = chunk_size
        self.average_directions = average_directions
        self.in_proj = nn.Linear(dim, sum(self.widths), bias=False)
        self.mamba_scans = nn.ModuleList(
            [Direction(num_heads, inner_dim, d_state, d_conv) for _ in ("forward", "backward")]
        )
        self.out_proj = nn.Linear(inner_dim, dim, bias=False)

    def forward(
        self, x: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token channel"]:
        forward, backward = self.scans(x)
        mixed = forward + backward.flip(1)
        return self.out_proj(mixed / 2 if self.average_directions else mixed)

    def scans(
        self, x: Float[Tensor, "batch token channel"]
    ) -> tuple[Float[Tensor, "batch token inner"], Float[Tensor, "batch token inner"]]:
        """Return gated, normalised scans; the second is of the reversed sequence and stays so."""
        z, xbc, dt = self.in_proj(x).split(self.widths, dim=-1)
        sequences = [(z, xbc, dt), (z.flip(1), xbc.flip(1), dt.flip(1))]
        directions: list[Direction] = list(self.mamba_scans)  # type: ignore[arg-type]
        weight = directions[0].conv1d.weight
        kernels = kernels_for(x.device, channels=weight.shape[0], taps=weight.shape[2])
        if kernels is None:
            scanned = self._scanned_in_torch(directions, [part[1:] for part in sequences])
        else:
            scanned = self._scanned_by_kernels(kernels, directions, [p[1:] for p in sequences])
        first, second = (
            direction.gate(y, z)
            for direction, y, (z, _, _) in zip(directions, scanned, sequences, strict=True)
        )
        return first, second

    def _scanned_by_kernels(
        self,
        kernels: Mamba2Kernels,
        directions: list[Direction],
        sequences: list[tuple[Tensor, Tensor]],
    ) -> list[Tensor]:
        """Scan in the number format of the input projection, as the released models were run."""
        return [
            kernels.run(
                xbc,
                dt,
                conv_weight=direction.conv1d.weight,
                conv_bias=direction.conv1d.bias,
                dt_bias=direction.dt_bias,
                decay_rate=direction.decay_rate,
                skip=direction.D,
                d_state=self.d_state,
                chunk_size=self.chunk_size,
            )
            for direction, (xbc, dt) in zip(directions, sequences, strict=True)
        ]

    def _scanned_in_torch(
        self, directions: list[Direction], sequences: list[tuple[Tensor, Tensor]]
    ) -> list[Tensor]:
        """Scan both directions as one batch, in float32 or better."""
        ready = [
            direction.prepare(xbc, dt)
            for direction, (xbc, dt) in zip(directions, sequences, strict=True)
        ]
        xbc_both = torch.cat([xbc for xbc, _ in ready])
        dt_both = torch.cat([dt for _, dt in ready])
        inner_dim = self.widths[0]
        inputs, b, c = xbc_both.split((inner_dim, self.d_state, self.d_state), dim=-1)
        inputs = rearrange(inputs, "batch token (head p) -> batch token head p", p=self.headdim)
        num_batch = len(sequences[0][0])
        decay_rate = torch.cat(
            [repeat(d.decay_rate, "head -> batch head", batch=num_batch) for d in directions]
        )
        with torch.autocast(inputs.device.type, enabled=False):  # sums over thousands of tokens
            inputs, dt_both, b, c = map(_precise, (inputs, dt_both, b, c))
            y = chunked_scan(inputs, dt_both, decay_rate, b, c, chunk_size=self.chunk_size)
        skip = torch.stack([d.D for d in directions])
        skip = repeat(skip, "direction head -> (direction batch) 1 head 1", batch=num_batch)
        y = rearrange(y + inputs * skip, "batch token head p -> batch token (head p)")
        return list(y.chunk(2))


def _precise(values: Float[Tensor, "*axis"]) -> Float[Tensor, "*axis"]:
    """Return the values in float32 or better."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class Direction(nn.Module):
    """The weights of one scan direction alone: step bias, decay, skip, convolution, norm."""

    def __init__(self, num_heads: int, inner_dim: int, d_state: int, d_conv: int) -> None:
        super().__init__()
        channels = inner_dim + 2 * d_state
        self.dt_bias = nn.Parameter(torch.zeros(num_heads))
        self.A_log = nn.Parameter(torch.zeros(num_heads))
        self.D = nn.Parameter(torch.ones(num_heads))
        self.conv1d = nn.Conv1d(channels, channels, d_conv, groups=channels)
        self.norm = RMSNorm(inner_dim, epsilon=NORM_EPSILON)

    @property
    def decay_rate(self) -> Float[Tensor, " head"]:
        return -torch.exp(self.A_log)

    def prepare(
        self, xbc: Float[Tensor, "batch token channel"], dt: Float[Tensor, "batch token head"]
    ) -> tuple[Float[Tensor, "batch token channel"], Float[Tensor, "batch token head"]]:
        """Return x, B and C after causal convolution and SiLU, and positive step sizes."""
        causal = F.pad(xbc.transpose(1, 2), (self.conv1d.kernel_size[0] - 1, 0))
        return F.silu(self.conv1d(causal)).transpose(1, 2), F.softplus(dt + self.dt_bias)

    def gate(
        self, y: Float[Tensor, "batch token inner"], z: Float[Tensor, "batch token inner"]
    ) -> Float[Tensor, "batch token inner"]:
        return self.norm(y * F.silu(z))
