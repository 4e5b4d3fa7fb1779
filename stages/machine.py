"""Refusals of the machine anywhere in a stage, files and memory, as errors with a fix."""

from __future__ import annotations

import errno
import logging
import os

from lyra_data.engine.errors import LyraError, MemoryShortageError, StorageError

log = logging.getLogger(__name__)

OUT_OF_MEMORY = "can't allocate memory"
"""Part of what torch says in a RuntimeError of its own where Python would raise MemoryError."""

GPU_OUT_OF_MEMORY = "out of memory"
"""Part of what torch says where a GPU refuses."""


def machine_error(error: OSError | MemoryError | RuntimeError) -> LyraError | None:
    """Return the error as one with a fix, or None where it is a fault of the program."""
    if isinstance(error, RuntimeError) and GPU_OUT_OF_MEMORY in str(error):
        return MemoryShortageError(
            f"not enough memory: {str(error).splitlines()[0]}",
            where="the GPU",
            fix="take --offload model, group or sequential (annotate and generate have it), fewer "
            "workers a GPU, or lower sizes or frame numbers in params.yaml",
        )
    if _is_memory(error):
        return MemoryShortageError(
            f"not enough memory: {str(error) or 'refused'}",
            where=f"this machine ({_memory()})",
            fix="lower sizes or frame numbers in params.yaml, or use a machine with more memory",
        )
    if not isinstance(error, OSError):
        return None
    log.debug("the file system refused", exc_info=error)
    return StorageError(
        f"the file system refused: {error.strerror or error}",
        where=str(error.filename or "this machine"),
        fix="see that this path can be read and written, and that its disk works",
    )


def _is_memory(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or OUT_OF_MEMORY in str(error)


def _memory() -> str:
    num_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{num_bytes / 2**30:.0f} GiB of memory"
