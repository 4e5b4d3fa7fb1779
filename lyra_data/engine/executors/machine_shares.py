"""The share of this machine that each worker process may use: one GPU, and some of the cores.

Torch, numba and others read both from the environment, once, when they are first imported. So they
are set before the worker's process starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lyra_data.engine.placement import THREAD_VARIABLES


def visible_gpus() -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES has to be for each GPU that this process may use."""
    import torch

    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


def variables_of_workers(
    num_workers: int, gpus: list[str], own: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return one set of variables a worker: its share of the cores, and the GPUs in turn.

    Args:
        own: this process's variables; a lower number of threads there stays as it is.
    """
    share = max(len(os.sched_getaffinity(0)) // num_workers, 1)
    threads = {
        name: str(min(share, int(own[name])) if own.get(name, "").isdecimal() else share)
        for name in THREAD_VARIABLES
    }
    return [
        {**threads, **({"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else {})}
        for index in range(num_workers)
    ]


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let a process that is started inside the block inherit the variables."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
