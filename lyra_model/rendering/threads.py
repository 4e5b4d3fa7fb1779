"""Threads of renderers on a CPU, apart from those that torch computes in.

Renderers give the same bits for any number of threads. Torch does not: it splits an array between
them, and the elements at the ends of a part are computed without vectors (ADR 0026). What takes
many steps from such bits, as a fit does, ends at other digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_CHOSEN: ContextVar[int | None] = ContextVar("threads of renderers", default=None)


def renderer_threads() -> int:
    """Return how many threads a renderer takes: those of torch, or of torch before the block."""
    return _CHOSEN.get() or torch.get_num_threads()


@contextmanager
def torch_in_one_thread() -> Iterator[None]:
    """Let torch compute in one thread inside the block, and renderers in as many as before."""
    before = torch.get_num_threads()
    token = _CHOSEN.set(renderer_threads())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _CHOSEN.reset(token)
