"""A Ray cluster of two nodes on this machine, each with a CPU and an object store of its own.

It lives in a process of its own, as a user's cluster is there before the command, and answers on
standard output: the address first, then what became of a line that was sent to it.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

CLUSTER = """
import sys
from ray.cluster_utils import Cluster

node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
second = cluster.add_node(**node)
cluster.wait_for_nodes()
print("address", cluster.address, flush=True)
for line in sys.stdin:
    assert line == "kill\\n"
    cluster.remove_node(second, allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


@dataclass(frozen=True)
class TwoNodes:
    """The cluster as tests see it."""

    process: subprocess.Popen[str]
    address: str

    def kill_second(self) -> None:
        """Kill the second node, with all workers on it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert next(iter(self.process.stdout.readline, "")) == "killed\n"


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    """A cluster of two nodes that ends with the module's tests."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # a busy machine would starve them
        patch.setenv("RAY_AUTH_MODE", "token")  # a token of this cluster's own, known to both sides
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        pytest.importorskip("ray")  # reads the above when it is first imported
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", CLUSTER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        assert process.stdin is not None and process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(line.split()[1] for line in lines if line.startswith("address "))
        yield TwoNodes(process, address)
        process.stdin.close()
