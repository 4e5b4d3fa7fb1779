"""Processes that begin at once: forks of a server that has imported what they need.

A new Python takes 3 to 5 s of processor time to import torch and the pipeline, a fork of such a
server none. It has no threads, so that forking it is safe, and a fork is as good a process as any
other to kill, to limit and to replace. Tests of what a start itself does start a real process.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

PRELOADED = [
    "pytest",  # the main module of a test process: a fork looks at it
    "lyra_data.annotation.annotate",
    "lyra_data.generation.runner",
    "lyra_data.generation.view_making",
    "stages.cli",
    "stages.annotate",
    "stages.generate",
    "stages.package",
    "stages.train",
    "stages.machine",
    "tests.generation_stubs",
]


def warm_context() -> BaseContext:
    """Return what starts processes, as `multiprocessing.get_context` does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class WarmWorkers:
    """Stands for the context of spawned processes; its workers are forks of the server.

    A worker looks for its parent and ends where that is gone. A fork's parent is the server, so
    this one is not told to look: tests of how workers end start real ones.
    """

    def __init__(self) -> None:
        self._context = warm_context()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def Process(self, *, target: Callable[..., object], args: tuple, daemon: bool) -> Any:
        return self._context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(target, *args), daemon=daemon
        )


def _serve(target: Callable[..., object], *arguments: object) -> None:
    from lyra_data.engine.executors import worker_process

    worker_process.end_with_parent = lambda parent: None
    target(*arguments)


@pytest.fixture
def warm_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let worker processes of this test be forks of the server instead of new Pythons.

    They do not get the variables that are set for them, which are read when torch is imported.
    """
    usual = multiprocessing.get_context

    def get_context(method: str | None = None) -> Any:
        return WarmWorkers() if method == "spawn" else usual(method)

    monkeypatch.setattr(multiprocessing, "get_context", get_context)
    yield


def run_warm(
    work: Callable[..., object],
    *arguments: object,
    folder: Path,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Call a module's function in a process with `folder` as its working folder.

    Args:
        variables: all of the process's environment; this process's own where not given.

    Returns:
        How it ended, as `subprocess.run` says it, with all that it wrote.
    """
    environment = dict(os.environ if variables is None else variables)
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / "stdout", Path(scratch) / "stderr"
        process = warm_context().Process(  # type: ignore[attr-defined]
            target=_in_folder, args=(work, arguments, folder, environment, files)
        )
        process.start()
        process.join(300)
        process.kill()
        process.join()
        stdout, stderr = (path.read_text() if path.exists() else "" for path in files)
    return subprocess.CompletedProcess(work.__name__, process.exitcode, stdout, stderr)


def lyra_data(*arguments: str) -> None:
    """Be the command `lyra-data`."""
    from stages.cli import main

    sys.argv = ["lyra-data", *arguments]
    main()


def run_code(code: str) -> None:
    """Be `python -c`."""
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


def _in_folder(
    work: Callable[..., object],
    arguments: tuple[object, ...],
    folder: Path,
    environment: dict[str, str],
    files: tuple[Path, Path],
) -> None:
    for descriptor, path in zip((1, 2), files, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    work(*arguments)
