"""Claim: with deferred back-propagation peak memory grows with one view and not with all.

    python -m benchmarks.deferred [--views 1 4 16 32] [--gaussians 100000] [--size 352 640]

A loss (colours, SSIM and depth) over views of one scene and its gradients to the Gaussians, three
ways: all views rendered and judged together ("plain"), one after the other ("deferred"), and so in
patches ("patches"). Each in a process of its own; what counts is the peak of its memory (VmHWM)
above what it held before: scene, targets and compiled kernels. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.rendering import PARAMS, uniform_scene
from lyra_model.gaussians import Gaussians
from lyra_model.losses import LossParams, total_loss
from lyra_model.losses.base import LossInput
from lyra_model.rendering import render
from lyra_model.rendering.base import Render
from lyra_model.rendering.deferred import loss_over_views

WAYS = ("plain", "deferred", "patches")
LOSSES = LossParams(
    image=1.0, ssim=0.1, depth=0.05, metric_depth=0.0, opacity=0.1, lpips=0.0, reference=False
)
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--gaussians", type=int, default=100_000)
    parser.add_argument("--size", type=int, nargs=2, default=[352, 640])
    parser.add_argument("--patch", type=int, default=128, help="side of the patches in pixels")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.child, arguments.views[0], arguments)
        return
    height, width = arguments.size
    print(f"{arguments.gaussians} Gaussians, {height}x{width}, patches of {arguments.patch}")
    print(f"{'views':>5s}" + "".join(f"{way + ', MiB':>15s}{'s':>7s}" for way in WAYS))
    peaks: dict[str, list[float]] = {way: [] for way in WAYS}
    losses: dict[str, float] = {}
    for num_views in arguments.views:
        line = f"{num_views:5d}"
        for way in WAYS:
            found = in_a_child(way, num_views, arguments)
            peaks[way].append(found["peak_bytes"] / MIB)
            losses[way] = found["loss"]
            line += f"{peaks[way][-1]:15.1f}{found['seconds']:7.2f}"
        print(line)
        assert max(losses.values()) - min(losses.values()) < 1e-4 * abs(losses["plain"]), losses
    few, many = arguments.views[0], arguments.views[-1]
    for way in WAYS:
        print(f"{way}: {many} views take {peaks[way][-1] / peaks[way][0]:.2f}x of {few}")
    for way in WAYS[1:]:
        print(f"plain takes {peaks['plain'][-1] / peaks[way][-1]:.1f}x of {way} at {many} views")


def in_a_child(way: str, num_views: int, arguments: argparse.Namespace) -> dict[str, float]:
    command = [
        *(sys.executable, "-m", "benchmarks.deferred", "--child", way),
        *("--views", str(num_views), "--gaussians", str(arguments.gaussians)),
        *("--size", *map(str, arguments.size), "--patch", str(arguments.patch)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def measure(way: str, num_views: int, arguments: argparse.Namespace) -> None:
    """Print peak memory in bytes, the loss and the seconds, as JSON."""
    torch.set_num_threads(1)
    height, width = arguments.size
    loss_of(way, 1, *uniform_scene(200, 32, 32), patch=16).backward()  # compiles, or loads
    scene, cameras = uniform_scene(arguments.gaussians, height, width, num_frames=num_views)
    draws = torch.Generator().manual_seed(0)
    targets = torch.rand(num_views, 3, height, width, generator=draws)
    before = reset_peak()
    started = time.perf_counter()
    loss = loss_of(way, num_views, scene, cameras, patch=arguments.patch, targets=targets)
    loss.backward()
    seconds = time.perf_counter() - started
    found = {"peak_bytes": peak() - before, "loss": float(loss), "seconds": seconds}
    print(json.dumps(found))


def loss_of(
    way: str,
    num_views: int,
    scene: Gaussians,
    cameras,
    *,
    patch: int,
    targets: Tensor | None = None,
) -> Tensor:
    gaussians = scene.map(lambda field: field.detach().requires_grad_())
    size = (cameras.height, cameras.width)
    rgb = torch.zeros(num_views, 3, *size) if targets is None else targets
    depth = torch.full((1, *size), 4.0)
    valid = torch.ones(1, *size, dtype=torch.bool)

    def loss_of_view(view: Render, shown: Gaussians, frame: int) -> Tensor:
        return total_loss(LOSSES, LossInput(view, rgb[[frame]], depth, valid, shown)).total

    if way == "plain":
        together = render(gaussians, cameras, PARAMS)
        views = [
            Render(together.rgb[[k]], together.depth[[k]], together.alpha[[k]])
            for k in range(num_views)
        ]
        return torch.stack(
            [loss_of_view(view, gaussians, frame) for frame, view in enumerate(views)]
        ).sum()
    patches = {"patch_pixels": patch if way == "patches" else None}
    params = PARAMS.model_copy(update=patches)
    return loss_over_views(gaussians, cameras, params, loss_of_view)


def reset_peak() -> int:
    """Forget the peak so far; the bytes held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


if __name__ == "__main__":
    main()
