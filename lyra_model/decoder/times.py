"""Normalise times of frames of dynamic scenes and embed them as [t, cos t, sin t]."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def normalise_times(times: Float[Tensor, " frame"]) -> Float[Tensor, " frame"]:
    """Map times to [0, 1]: the earliest to 0, the latest to 1 (all 0 if they are equal).

    Give input and target times together: what counts is where the target lies among the inputs.
    """
    span = times.max() - times.min()
    return (times - times.min()) / torch.where(span > 0, span, torch.ones_like(span))


def embed_times(times: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3"]:
    """Return [t, cos t, sin t]: the sinusoidal embedding of dimension 3 that keeps t itself."""
    return torch.stack([times, torch.cos(times), torch.sin(times)], dim=-1)
