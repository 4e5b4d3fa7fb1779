"""Child processes that end with the process that started them, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of <linux/prctl.h>."""
SECONDS_BETWEEN_LOOKS = 0.5


def end_with_parent(parent: int) -> None:
    """Let this process be killed when its parent is gone, so that it never works on for nobody.

    The kernel sends the signal, so that code which holds Python's lock for minutes cannot delay
    it. It does so when the thread ends that started this process: that thread has to outlive it.

    Args:
        parent: process id of the parent, as the parent itself gave it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_exit_when_alone, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before this process could ask for the signal
        os._exit(1)


def _exit_when_alone(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
