"""Compile the CPU renderer's kernels, and spread them over threads.

A kernel is a serial function over items [first, last) that holds no GIL. Python threads, not
numba's own layers, divide the items: numba's layers die after a fork or under several threads.
What a kernel writes for an item depends on that item alone, so the number of threads changes no
bit of the result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

from lyra_model.rendering.threads import renderer_threads

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int32] | NDArray[np.int64]
Bounds = NDArray[np.int16]
Keys = NDArray[np.uint32]

CHUNKS_PER_THREAD = 4
"""Items cost unequal time (a tile may be empty), so each thread takes several small chunks."""


def kernel(function: Callable) -> Callable[..., Any]:
    """Compile to machine code at the first call, kept on disk where a folder can be written.

    numba looks at NUMBA_CACHE_DIR, then the source's folder, then the user's cache folder, and
    raises if it can write in none of them; then every process compiles anew (some seconds). Only
    functions at module level are kept.
    """
    try:
        compiled = _compiled(function, cache=True)
    except RuntimeError:
        return _compiled(function)
    # numba looks for changes in the kernel's own file only, but its parts lie in others.
    compiled._cache._cache_file._source_stamp = source_stamp()
    return compiled


def part_of_kernel(function: Callable) -> Callable[..., Any]:
    """Compile as part of the kernels that call it; Python cannot call it."""
    return _compiled(function, no_cpython_wrapper=True)


def _compiled(function: Callable, **more_options: bool) -> Any:
    """Without fast-math, so that the bits do not depend on the machine's vectors."""
    njit = cast(Any, numba.njit)
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    return njit(**options, **more_options)(function)


@cache
def source_stamp() -> str:
    """A hash that changes when any kernel or part of one does."""
    sources = sorted(Path(__file__).parent.glob("cpu_*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def over_range(kernel: Callable, num_items: int, *arguments: Any) -> None:
    """Call kernel(first, last, *arguments) over [0, num_items), on `renderer_threads`."""
    num_threads = renderer_threads()
    if num_threads == 1 or num_items <= 1:
        kernel(0, num_items, *arguments)
        return
    num_chunks = min(num_items, CHUNKS_PER_THREAD * num_threads)
    bounds = [num_items * chunk // num_chunks for chunk in range(num_chunks + 1)]
    pool = _pool(os.getpid(), num_threads)
    chunks = [pool.submit(kernel, first, last, *arguments) for first, last in pairwise(bounds)]
    for chunk in chunks:
        chunk.result()


@cache
def _pool(process: int, num_threads: int) -> ThreadPoolExecutor:
    """One pool for a process and a width: the threads of a parent do not live on in its fork."""
    del process
    return ThreadPoolExecutor(num_threads, thread_name_prefix="lyra-render")
