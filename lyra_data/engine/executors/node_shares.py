"""The share of a cluster that each worker may use: a worker lives on one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ROUNDING = 1e-9
"""Thirds of a GPU add up to a little less than one."""


def most_cpus_a_worker(
    nodes: Sequence[Mapping[str, float]], num_workers: int, gpus_each: float
) -> int:
    """Return the most CPUs that each of so many workers can have at once; 0: they have no room.

    Args:
        nodes: resources of every node, as Ray names them: "CPU", "GPU".
        gpus_each: GPUs that a worker has, or the part of one.
    """
    for share in range(int(max((node.get("CPU", 0) for node in nodes), default=0)), 0, -1):
        if sum(_room(node, share, gpus_each) for node in nodes) >= num_workers:
            return share
    return 0


def _room(node: Mapping[str, float], cpus_each: int, gpus_each: float) -> int:
    """Return how many workers a node has room for."""
    room = int(node.get("CPU", 0) // cpus_each)
    if gpus_each > 0:
        room = min(room, int(node.get("GPU", 0) / gpus_each + ROUNDING))
    return room
