"""The face that users import: small, explained, typed, and light to import."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys

import pytest

from tests.goldens import REPOSITORY

PACKAGES = ("lyra_data", "lyra_model")
HEAVY = {"torch", "numpy", "pyarrow", "pydantic", "numba", "datasets", "diffusers"}


def test_importing_a_package_imports_nothing_heavy():
    code = "import sys, lyra_data, lyra_model; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(ast.literal_eval(done.stdout))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_resolves_and_has_a_docstring(package):
    module = importlib.import_module(package)
    assert module.__all__
    for name in module.__all__:
        value = getattr(module, name)
        assert value.__name__ == name
        assert inspect.getdoc(value), name
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = module.nothing_of_this_name


@pytest.mark.parametrize("package", PACKAGES)
def test_api_md_lists_every_public_name_and_no_other(package):
    text = (REPOSITORY / "docs" / "api.md").read_text()
    section = re.search(rf"^## {package}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section
    rows = re.findall(r"^\| (`.*?) \|", section[1], re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert listed == set(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_stub_says_public_names_and_nothing_besides(package):
    """A name without `as` is private to type checkers, and public all the same at run time."""
    tree = ast.parse((REPOSITORY / package / "__init__.pyi").read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1
            assert all(alias.asname == alias.name for alias in node.names), ast.unparse(node)
        else:
            assert ast.unparse(node) == "__version__: str"


def test_our_own_modules_import_from_modules_and_not_from_the_face():
    for package in (*PACKAGES, "stages"):
        for path in (REPOSITORY / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module in PACKAGES:
                    names = {alias.name for alias in node.names}
                    public = set(importlib.import_module(node.module).__all__)
                    assert not names & public, f"{path}: {ast.unparse(node)}"
