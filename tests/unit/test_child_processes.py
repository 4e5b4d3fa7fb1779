"""A child process ends with its parent, whatever the child is doing and however the parent ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.children import is_alive, wait_until

CHILD = """
import sys
if sys.argv[2]:
    sys.platform = sys.argv[2]
from lyra_data.engine.child_processes import end_with_parent
end_with_parent(int(sys.argv[1]))
print("ready", flush=True)
while True:
    pass
"""
PARENT = """
import os, subprocess, sys
command = [sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]]
child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("platform", ["", "one without prctl"])
def test_a_child_that_is_busy_ends_when_its_parent_is_killed(platform: str) -> None:
    command = [sys.executable, "-c", PARENT, CHILD, platform]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as parent:  # type: ignore[call-overload]
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    wait_until(lambda: not is_alive(child), 60)


def test_a_child_whose_parent_was_killed_before_it_asked_ends_at_once() -> None:
    somebody_else = str(os.getppid())
    done = subprocess.run([sys.executable, "-c", CHILD, somebody_else, ""], check=False, timeout=60)
    assert done.returncode == 1
