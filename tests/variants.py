"""`python -m tests.variants [FOLDER] [--only NAME]`: let one machine play several.

Every variant runs the numeric tests, and compares with the golden files where FOLDER holds them
(or LYRA_GOLDENS). Prints a line per variant and what failed,
and exits with 1 where something did.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lyra_data.engine.reproducibility import ARITHMETIC, VARIABLE
from tests.goldens import REPOSITORY, goldens_folder

VARIANTS: dict[str, dict[str, str]] = {
    "own": {},
    "mkl compatible": {"MKL_CBWR": "COMPATIBLE"},
    "mkl avx2": {"MKL_CBWR": "AVX2"},
    "torch without vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "both": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    "numba generic": {"NUMBA_CPU_NAME": "generic"},
    "portable": {VARIABLE: "1"},
}
"""Name -> variables that make this processor compute as another one does."""

UNIT_TESTS = (
    "cache3d",
    "dct_codec",
    "decoder",
    "gen3c_text",
    "losses",
    "mamba2",
    "metrics",
    "ply",
    "rendering",
    "splat",
)
"""Files of tests/unit whose numbers come from matrix products, vector functions and kernels."""

AT_A_TIME = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.variants", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="golden files (default: see above)")
    parser.add_argument("--only", choices=VARIANTS, action="append", help="may be repeated")
    arguments = parser.parse_args()
    folder = arguments.folder or goldens_folder()
    if not folder.is_dir():
        if arguments.folder:
            parser.error(f"there is no folder {folder}")
        _say(f"no golden files at {folder}: the unit tests alone are run")
        folder = None
    chosen = arguments.only or list(VARIANTS)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        results = list(pool.map(lambda name: run_variant(VARIANTS[name], folder, name), chosen))
    return 0 if all(results) else 1


def run_variant(variables: Mapping[str, str], folder: Path | None, name: str) -> bool:
    """Return whether all tests pass with these variables; print how it went."""
    start = time.monotonic()
    files = [f"tests/unit/test_{test}.py" for test in UNIT_TESTS]
    environment = environment_with(variables, os.environ)
    if folder is not None:
        files.append("tests/conformance/test_goldens.py")
        environment["LYRA_GOLDENS"] = str(folder.resolve())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *files],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    text = " ".join(f"{key}={value}" for key, value in variables.items())
    outcome, seconds = "FAIL" if done.returncode else "ok", time.monotonic() - start
    _say(f"{outcome:4} {name:22} {seconds:4.0f} s  {text}")
    if done.returncode:
        _say(done.stdout + done.stderr)
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def environment_with(
    variables: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a variant: of the variables that matter, its own alone."""
    matter = {VARIABLE, "NUMBA_CPU_NAME", *ARITHMETIC}
    rest = {name: value for name, value in environment.items() if name not in matter}
    return {**rest, "OMP_NUM_THREADS": "1", **variables}


if __name__ == "__main__":
    sys.exit(main())
