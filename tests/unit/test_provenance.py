"""Provenance names the code that really ran."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyra_data.engine import provenance
from lyra_data.engine.imports import file_of, imports_of, modules_run_by
from lyra_data.engine.params import Params
from lyra_data.engine.provenance import code_fingerprint, commit_of, engine_version, params_hash
from lyra_data.generation.teachers import TEACHERS


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "lyra_data").mkdir()
    (tmp_path / "lyra_data" / "__init__.py").write_text("")
    (tmp_path / "dvc.lock").write_text("before")
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "start")
    return tmp_path


def test_the_commit_is_that_of_the_engine(repository: Path) -> None:
    assert commit_of(repository) == _git(repository, "rev-parse", "HEAD")


def test_changed_code_makes_the_commit_dirty_and_a_changed_lock_file_does_not(
    repository: Path,
) -> None:
    (repository / "dvc.lock").write_text("after")
    (repository / "lyra_data" / "untracked.txt").write_text("")
    assert commit_of(repository) == _git(repository, "rev-parse", "HEAD")
    (repository / "lyra_data" / "__init__.py").write_text("changed = True\n")
    assert commit_of(repository) == _git(repository, "rev-parse", "HEAD") + "-dirty"


def test_an_engine_installed_inside_a_foreign_repository_has_no_commit(repository: Path) -> None:
    installed = repository / ".venv"
    (installed / "lyra_data").mkdir(parents=True)
    (installed / "lyra_data" / "__init__.py").write_text("")
    assert commit_of(installed) == "unknown"


def test_outside_git_or_without_git_the_commit_is_unknown(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    outside = tmp_path.parent / "outside"
    outside.mkdir(exist_ok=True)
    assert commit_of(outside) == "unknown"
    monkeypatch.setenv("PATH", "")
    assert commit_of(repository) == "unknown"


def test_the_engine_states_its_version() -> None:
    assert engine_version() == provenance.lyra_data.__version__


class _Params(Params):
    steps: int
    rate: float


def test_params_hash_sees_every_value_and_no_order() -> None:
    assert params_hash(_Params(steps=3, rate=0.5)) == params_hash({"rate": 0.5, "steps": 3})
    assert params_hash(_Params(steps=3, rate=0.5)) != params_hash(_Params(steps=4, rate=0.5))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of three modules: `engine` imports `part`, nothing imports `other`."""
    package = tmp_path / "fingerprinted"
    (package / "deep").mkdir(parents=True)
    for name in ("__init__.py", "deep/__init__.py", "part.py", "other.py"):
        (package / name).write_text("value = 1\n")
    (package / "deep" / "engine.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    import fingerprinted.other\n"
        "def work():\n"
        "    from .. import part\n"
        "    return part\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    imports_of.cache_clear()
    file_of.cache_clear()


def fingerprint(name: str) -> str:
    for cached in (code_fingerprint, imports_of, file_of):
        cached.cache_clear()
    return code_fingerprint(name)


def test_the_code_fingerprint_sees_every_change_of_what_a_module_imports(package: Path) -> None:
    before = fingerprint("fingerprinted.deep.engine")
    for name in ("part.py", "deep/engine.py", "deep/__init__.py", "__init__.py"):
        with (package / name).open("a") as file:
            file.write("more = 2\n")
        after = fingerprint("fingerprinted.deep.engine")
        assert after != before, name
        before = after


def test_the_code_fingerprint_sees_no_change_of_what_a_module_does_not_run(package: Path) -> None:
    before = fingerprint("fingerprinted.deep.engine")
    (package / "other.py").write_text("value = 2\n")
    (package / "notes.txt").write_text("not code")
    assert fingerprint("fingerprinted.deep.engine") == before
    assert fingerprint("fingerprinted.other") != before


def test_data_beside_a_package_that_is_imported_counts_as_code(package: Path) -> None:
    before = fingerprint("fingerprinted.part")
    (package / "page.css").write_text("")
    assert fingerprint("fingerprinted.part") != before


def test_the_code_of_a_kind_counts_where_it_is_named() -> None:
    view_making = "lyra_data.generation.view_making"
    warp = TEACHERS.module("warp")
    assert not modules_run_by(view_making) & {TEACHERS.module(name) for name in TEACHERS.names()}
    assert {warp, TEACHERS.module("gen3c")} & modules_run_by(view_making, warp) == {warp}


def test_modules_that_a_table_names_count() -> None:
    assert "lyra_model.losses.lpips" in modules_run_by("lyra_model.losses")
