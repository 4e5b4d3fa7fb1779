"""The chunked scan of Mamba-2 (state-space duality), in plain torch.

For every head, with scalar decay a_t = exp(dt_t A):

    state_t = a_t state_{t-1} + dt_t B_t x_t^T,        y_t = C_t^T state_t

Dao and Gu, "Transformers are SSMs" (2024), section 6: inside a chunk of Q tokens the recurrence is
a masked matrix product; between chunks only the state is carried. The work is O(length * Q), not
O(length^2), and all of it but the carry is dense matrix products.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def chunked_scan(
    x: Float[Tensor, "batch token head channel"],
    dt: Float[Tensor, "batch token head"],
    decay_rate: Float[Tensor, "batch head"],
    b: Float[Tensor, "batch token state"],
    c: Float[Tensor, "batch token state"],
    *,
    chunk_size: int,
) -> Float[Tensor, "batch token head channel"]:
    """Return the outputs y of the recurrence above, from a zero state; any length.

    Args:
        x: inputs.
        dt: positive step sizes.
        decay_rate: A, negative.
        b: input projections, shared by all heads.
        c: output projections, shared by all heads.
        chunk_size: Q; changes speed, memory and rounding only.
    """
    length = x.shape[1]
    chunk_size = min(chunk_size, length)
    padding = -length % chunk_size
    if padding:  # a step of size 0 neither decays the state nor adds to it
        x = F.pad(x, (0, 0, 0, 0, 0, padding))
        dt, b, c = (F.pad(part, (0, 0, 0, padding)) for part in (dt, b, c))
    split = "batch (chunk q) ... -> batch chunk q ..."
    x, dt, b, c = (rearrange(part, split, q=chunk_size) for part in (x, dt, b, c))
    num_heads, num_channels = x.shape[-2:]

    log_decay = torch.cumsum(dt * decay_rate[:, None, None], dim=2)  # from the chunk's start
    stepped = x * dt[..., None]

    per_head = rearrange(log_decay, "batch chunk q head -> batch chunk head q")
    later = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=x.device).triu(1)
    between = per_head[..., :, None] - per_head[..., None, :]
    # Masked before exp: a future decay would overflow, and 0 * inf is NaN in the gradient.
    decay = between.masked_fill(later, -torch.inf).exp()
    mixing = decay * (c @ b.transpose(-1, -2))[:, :, None]
    inside = mixing @ rearrange(stepped, "batch chunk q head channel -> batch chunk head q channel")

    total = log_decay[:, :, -1:]
    arriving = stepped * (total - log_decay).exp()[..., None]
    added = b.transpose(-1, -2) @ rearrange(arriving, "... head channel -> ... (head channel)")
    added = rearrange(added, "... (head channel) -> ... head channel", head=num_heads)
    entering = _CarryState.apply(added, total[:, :, 0].exp())
    carried = c @ rearrange(entering, "... head channel -> ... (head channel)")
    carried = rearrange(carried, "... (head channel) -> ... head channel", channel=num_channels)

    y = rearrange(inside, "batch chunk head q channel -> batch chunk q head channel")
    y = y + carried * log_decay.exp()[..., None]
    return rearrange(y, "batch chunk q head channel -> batch (chunk q) head channel")[:, :length]


class _CarryState(torch.autograd.Function):
    """Computes entering[k] = decay[k-1] entering[k-1] + added[k-1], from 0, as one autograd node.

    added: [batch chunk state head channel], decay: [batch chunk head]. Written by hand because
    the loop over chunks would otherwise leave two autograd nodes for each of them.
    """

    @staticmethod
    def forward(ctx: Any, added: Tensor, decay: Tensor) -> Tensor:
        entering = torch.zeros_like(added)
        factor = decay[:, :, None, :, None]
        for k in range(added.shape[1] - 1):
            torch.addcmul(added[:, k], entering[:, k], factor[:, k], out=entering[:, k + 1])
        ctx.save_for_backward(entering, decay)
        return entering

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        entering, decay = ctx.saved_tensors
        factor = decay[:, :, None, :, None]
        of_added = torch.zeros_like(gradient)
        for k in range(gradient.shape[1] - 1, 0, -1):
            torch.addcmul(gradient[:, k], of_added[:, k], factor[:, k], out=of_added[:, k - 1])
        return of_added, (of_added * entering).sum((2, 4))
