"""Processes that train together, as `torchrun` starts them; without it, one alone."""

from __future__ import annotations

from functools import cache

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs


@cache
def accelerator() -> Accelerator:
    """Of this process. CPU processes talk by gloo. A still decoder has weights that it never uses
    (its time embeddings), which DDP has to be told of."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(cpu=True, kwargs_handlers=[unused])


def mean_over_processes(terms: dict[str, float]) -> dict[str, float]:
    """Each figure's mean; all processes have the same names. The very numbers if there is one."""
    if accelerator().num_processes == 1:
        return terms
    values = torch.tensor(list(terms.values()), dtype=torch.float64)
    means = accelerator().reduce(values, reduction="mean")
    return dict(zip(terms, means.tolist(), strict=True))  # type: ignore[union-attr]
