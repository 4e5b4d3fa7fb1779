"""Disks that cannot be written, made by limits and by calls that refuse within this process."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def no_file_beyond(num_bytes: int) -> Iterator[None]:
    """Every write beyond is refused by the system itself, as on a disk that is full.

    But for Python's own: of a module that is imported meanwhile it would keep the first bytes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def refusing(call: str, number: int) -> Iterator[None]:
    """One call of the operating system always refuses."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, refuse)
        yield


DISKS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "no byte fits": (lambda: no_file_beyond(0), "File too large", "ulimit -f"),
    "little fits": (lambda: no_file_beyond(600), "File too large", "ulimit -f"),
    "full": (lambda: refusing("fsync", errno.ENOSPC), "No space left", "free space"),
    "read-only": (lambda: refusing("mkdir", errno.EROFS), "Read-only", "can be written to"),
    "failing": (lambda: refusing("fsync", errno.EIO), "Input/output error", "disk works"),
}
"""Name -> what makes this process meet such a disk, and parts of the error and of its fix."""
