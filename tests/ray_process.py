"""A Ray cluster in a process of its own, which ends with the block."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest


@contextmanager
def running_cluster(script: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the process that runs `script`, and the address of the cluster that it prints.

    Args:
        script: Python that starts a cluster, prints "address HOST:PORT", and ends with its input.
        variables: of the environment, besides those that every cluster of tests has.
    """
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name, text in {"RAY_USAGE_STATS_ENABLED": "0", **variables}.items():
            patch.setenv(name, text)
        patch.setenv("RAY_AUTH_MODE", "token")  # a token of this cluster's own, known to both sides
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        pytest.importorskip("ray")  # reads the above when it is first imported
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        assert process.stdin is not None and process.stdout is not None
        lines = iter(process.stdout.readline, "")
        yield process, next(line.split()[1] for line in lines if line.startswith("address "))
        process.stdin.close()
