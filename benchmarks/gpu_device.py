"""What the GPU benchmarks share: which device they run on, time and peak memory there."""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

GIB = 2**30


@dataclass(frozen=True)
class Measured:
    """Attributes:
    seconds: median of the repeats.
    peak_gib: most memory held at a time, weights and inputs included; on a CPU the process's.
    """

    seconds: float
    peak_gib: float


def device_arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu with --small")
    parser.add_argument("--small", action="store_true", help="a miniature, to try the script")
    parser.add_argument("--repeats", type=int, default=5)
    return parser


def chosen_device(arguments: argparse.Namespace) -> torch.device | None:
    """The device, named on the first line; None, with the reason, where nothing can be measured."""
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("needs CUDA; nothing was measured. `--device cpu --small` tries the script itself")
        return None
    if device.type == "cpu" and not arguments.small:
        print("on a CPU only with --small; nothing was measured")
        return None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU: no GPU's figures"
    print(f"{name}, torch {torch.__version__}")
    return device


def measure(action: Callable[[], object], device: torch.device, repeats: int) -> Measured:
    """Time and memory of an action, after one run to warm up."""
    action()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times = []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        action()
        _wait(device)
        times.append(time.perf_counter() - start)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    else:
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measured(statistics.median(times), peak / GIB)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
