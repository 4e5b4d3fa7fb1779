"""Chooses one arithmetic for every x86-64 processor, before the libraries load that it concerns.

torch, MKL, oneDNN, OpenBLAS, NumPy and OpenCV each look at the processor when they are loaded and
take the widest instructions it has; sums that are cut elsewhere round otherwise. Their variables
hold them to AVX2 and FMA, which x86-64 processors have had since 2013. So nothing here may import
any of them, and the package's `__init__` comes here first; child processes inherit the variables.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, MutableMapping
from pathlib import Path
from typing import Literal

VARIABLE = "LYRA_REPRODUCIBLE"
"""1 asks for the one arithmetic; unset, empty or 0 leaves each library its own."""

ARITHMETIC = {
    # Intel's documentation promises equal results on processors of other makers in this mode alone.
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",
    "OPENCV_CPU_DISABLE": "AVX512-SKX",
    "OPENCV_IPP": "avx2",
}
"""Variable -> value. NumPy ignores features that it does not know."""

READERS = ("torch", "numpy", "cv2")
"""Modules that read the variables when they are first imported, and never again."""

Arithmetic = Literal["portable", "native"]


def choose_arithmetic(
    environment: MutableMapping[str, str] = os.environ, loaded: Collection[str] = sys.modules
) -> Arithmetic:
    """Set the variables where `VARIABLE` asks for it, and return which arithmetic is in force.

    Variables that say otherwise are overruled: the mode is a promise about results.

    Args:
        loaded: names of the modules imported so far.

    Warns:
        RuntimeWarning: a library was imported before and keeps the arithmetic it has, or this is no
            processor that the promise holds for.
    """
    if environment.get(VARIABLE, "") in ("", "0"):
        return "native"
    inherited = ARITHMETIC.items() <= environment.items()
    early = [name for name in READERS if name in loaded and not inherited]
    environment.update(ARITHMETIC)
    if early:
        _warn(
            f"{' and '.join(early)} was imported before lyra_data and keeps this processor's "
            "arithmetic. Import lyra_data first, or set the variable in the shell and start with "
            "`lyra-data`"
        )
        return "native"
    if not _has_instructions():
        _warn("this is no x86-64 processor with AVX2 and FMA")
        return "native"
    return "portable"


def _warn(reason: str) -> None:
    text = f"{VARIABLE} is set, but results are those of this kind of machine alone: {reason}"
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def _has_instructions() -> bool:
    """Return whether the processor has the instructions that all are held to; Linux says so."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return {"lm", "avx2", "fma"} <= set(flags)


IN_FORCE: Arithmetic = choose_arithmetic()
"""Which arithmetic this process computes with."""
