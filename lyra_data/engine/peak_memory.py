"""Peak memory: the highest resident size of this process, and of the largest worker it had."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the peak of this process begin anew at what it has now, where the system can do that."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return  # not Linux, or a sandbox: the peak is then that of the whole process


def peak_process_bytes() -> int:
    """Return the highest resident size of this process in bytes, since `forget_peak`.

    Linux tells that of the memory that the process has. `getrusage` does not: it counts what the
    process that started this one had, too, which may have been more.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    kilobytes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(kilobytes[0]) if kilobytes else _max_resident(resource.RUSAGE_SELF)


def peak_worker_bytes() -> int:
    """Return the highest resident size in bytes of any process that this one started and that has
    ended."""
    return _max_resident(resource.RUSAGE_CHILDREN)


def _max_resident(whose: int) -> int:
    peak = resource.getrusage(whose).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
