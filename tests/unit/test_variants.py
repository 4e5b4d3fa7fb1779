from __future__ import annotations

import pytest

from lyra_data.engine.reproducibility import ARITHMETIC, VARIABLE
from tests.goldens import REPOSITORY
from tests.variants import UNIT_TESTS, VARIANTS, environment_with, run_variant


def test_a_variant_sees_its_own_variables_and_no_other_that_matters():
    outside = {"MKL_CBWR": "AVX512", VARIABLE: "1", "HOME": "/root", "OMP_NUM_THREADS": "8"}
    ours = environment_with({"ATEN_CPU_CAPABILITY": "default"}, outside)
    assert ours == {"ATEN_CPU_CAPABILITY": "default", "HOME": "/root", "OMP_NUM_THREADS": "1"}


def test_every_variable_of_the_variants_matters():
    known = {VARIABLE, "NUMBA_CPU_NAME", *ARITHMETIC}
    assert {name for variables in VARIANTS.values() for name in variables} <= known


def test_the_numeric_tests_are_there():
    files = [REPOSITORY / "tests" / "unit" / f"test_{name}.py" for name in UNIT_TESTS]
    assert [file for file in files if not file.is_file()] == []


@pytest.mark.parametrize(("tests", "ok"), [(("variants",), True), (("no_such_file",), False)])
def test_a_variant_that_fails_is_named_with_its_variables(monkeypatch, capsys, tests, ok):
    """Run the two tests above, in a process of the variant's."""
    monkeypatch.setattr("tests.variants.UNIT_TESTS", tests)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k matters")
    assert run_variant({"MKL_CBWR": "COMPATIBLE"}, None, "mkl compatible") is ok
    printed = capsys.readouterr().out
    assert printed.startswith("ok " if ok else "FAIL ") and "MKL_CBWR=COMPATIBLE" in printed
