"""One arithmetic for every processor: chosen before the libraries load, or said not to be."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from lyra_data.engine.reproducibility import ARITHMETIC, VARIABLE, choose_arithmetic
from tests.goldens import REPOSITORY

NATIVE = {name: value for name, value in os.environ.items() if name not in {VARIABLE, *ARITHMETIC}}


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**NATIVE, "PYTHONPATH": str(REPOSITORY), **variables},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize("value", ["", "0", None])
def test_without_the_variable_nothing_is_set(value):
    environment = {} if value is None else {VARIABLE: value}
    before = dict(environment)
    assert choose_arithmetic(environment, ["torch"]) == "native" and environment == before


def test_what_says_otherwise_is_overruled():
    environment = {VARIABLE: "1", "MKL_CBWR": "AVX512", "OTHER": "kept"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a processor without the instructions
        choose_arithmetic(environment, [])
    assert environment == {VARIABLE: "1", "OTHER": "kept", **ARITHMETIC}


def test_a_library_that_was_loaded_before_is_named():
    with pytest.warns(RuntimeWarning, match="torch and cv2 .*Import lyra_data first"):
        assert choose_arithmetic({VARIABLE: "1"}, ["torch", "cv2", "yaml"]) == "native"


def test_variables_that_a_parent_has_set_hold_for_what_its_child_loaded():
    with warnings.catch_warnings():
        warnings.simplefilter("error" if "avx2" in cpu_flags() else "ignore")
        choose_arithmetic({VARIABLE: "1", **ARITHMETIC}, ["torch"])


def cpu_flags() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


@pytest.mark.parametrize("package", ["lyra_data", "lyra_model", "stages.cli"])
@pytest.mark.skipif("avx2" not in cpu_flags(), reason="this processor has no AVX2")
def test_torch_and_children_compute_alike_whichever_package_is_imported_first(package):
    code = (
        f"import {package}, torch, subprocess, sys\n"
        "from lyra_data.engine.reproducibility import IN_FORCE\n"
        "ask = 'import torch; print(torch.backends.cpu.get_cpu_capability())'\n"
        "child = subprocess.run([sys.executable, '-c', ask], capture_output=True, text=True)\n"
        "print(IN_FORCE, torch.backends.cpu.get_cpu_capability(), child.stdout.strip())"
    )
    done = run(code, **{VARIABLE: "1"})
    assert done.stdout == "portable AVX2 AVX2\n" and "Warning" not in done.stderr


def test_no_library_complains_about_the_variables():
    done = run("import lyra_data, torch, numpy, cv2, numba", **{VARIABLE: "1"})
    assert "AVX512" not in done.stdout + done.stderr


def test_a_program_that_imports_torch_first_hears_so_once():
    done = run("import torch, lyra_data, lyra_model", **{VARIABLE: "1"})
    assert done.stderr.count("RuntimeWarning") == 1 and "lyra_data first" in done.stderr


def test_no_library_is_loaded_by_the_choice():
    code = "import lyra_data, sys; print({'torch', 'numpy', 'cv2'} & set(sys.modules))"
    assert run(code).stdout == "set()\n"
