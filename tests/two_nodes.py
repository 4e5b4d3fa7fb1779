"""A Ray cluster of two nodes on this machine, each with a CPU and an object store of its own.

It lives in a process of its own, as a user's cluster is there before the command, and answers on
standard output: the address first, then what became of a line that was sent to it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.ray_process import running_cluster

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
    # Workers as nice as Ray makes them would starve on a busy machine.
    with running_cluster(CLUSTER, RAY_worker_niceness="0") as (process, address):
        yield TwoNodes(process, address)
