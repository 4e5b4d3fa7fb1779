"""Claim: the CPU renderer is some twenty times faster than plain torch, forward and backward.

    python -m benchmarks.rendering [--rounds 3] [--without-torch] [--cases 2]

Beside our own torch version the path for CPUs of metal-gauss 0.2 (MIT; `pip install --no-deps
metal-gauss`) takes its turn where it is installed: the one package of PyPI that was found to draw
and differentiate Gaussians on a Linux CPU. It gives no depth, so it has less to do.

Median milliseconds of one view (colour, depth and alpha; gradients to the Gaussians and the
camera), float32, renderers taking turns in one process. Gaussians are uniform in a view's frustum,
z in 2..6, with standard deviations of 1.5 pixels x e^(0.5 normal) at mid depth, opacities uniform
in 0.05..0.95. With LYRA_SAMPLES naming a folder with garden_points.npz (138,766 coloured points
and a camera of Mip-NeRF 360's garden) that scene is measured too. The case "training step" is six
views of 192x288 of 100,000 Gaussians of 0.5 pixels, one after the other, as a training step does.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lyra_data.engine.seeds import torch_generator
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

PARAMS = RenderingParams(
    near=0.1,
    far=500.0,
    background=(1.0, 1.0, 1.0),
    patch_pixels=None,
    with_ut=False,
    with_eval3d=False,
)

METAL_GAUSS = "metal-gauss"

Scene = tuple[Gaussians, Cameras]


def uniform_scene(
    num_gaussians: int, height: int, width: int, *, num_frames: int = 1, size_pixels: float = 1.5
) -> Scene:
    draws = torch_generator(0, "uniform", "benchmark")
    focal = 0.9 * width
    z = 2.0 + 4.0 * torch.rand(num_gaussians, 1, generator=draws)
    spread = 1.1 * torch.tensor([width, height]) / focal
    xy = (torch.rand(num_gaussians, 2, generator=draws) - 0.5) * spread * z
    stretch = torch.exp(0.5 * torch.randn(num_gaussians, 3, generator=draws))
    gaussians = Gaussians(
        means=torch.cat([xy, z], dim=1),
        scales=stretch * size_pixels * 4.0 / focal,
        quats=torch.randn(num_gaussians, 4, generator=draws),
        opacities=0.05 + 0.9 * torch.rand(num_gaussians, generator=draws),
        colors=torch.rand(num_gaussians, 3, generator=draws),
    )
    poses = torch.eye(4).repeat(num_frames, 1, 1)
    poses[:, 0, 3] = torch.linspace(0.0, 0.2, num_frames)
    intrinsics = torch.tensor([focal, focal, width / 2, height / 2]).repeat(num_frames, 1)
    return gaussians, Cameras(poses, intrinsics, height, width)


def garden_scene(folder: Path) -> Scene:
    """The garden's points as balls as large as the spacing of points, at a quarter of its size."""
    with np.load(folder / "garden_points.npz") as stored:
        means = torch.from_numpy(stored["means3d"])
        colors = torch.from_numpy(stored["colors"]).float() / 255.0
        world_to_camera = torch.from_numpy(stored["viewmats"][:1])
        matrix = stored["Ks"][0]
        height, width = int(stored["height"]), int(stored["width"])
    gaussians = Gaussians(
        means=means,
        scales=torch.full_like(means, 0.01),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(len(means), 1),
        opacities=torch.full((len(means),), 0.7),
        colors=colors,
    )
    intrinsics = torch.tensor([[matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]])
    cameras = Cameras(invert_rigid(world_to_camera), intrinsics.float(), height, width)
    return gaussians, cameras.resized(height // 4, width // 4)


def scenes() -> Iterator[tuple[str, Scene]]:
    yield "5k, 176x320", uniform_scene(5_000, 176, 320)
    yield "20k, 176x320", uniform_scene(20_000, 176, 320)
    yield "100k, 176x320", uniform_scene(100_000, 176, 320)
    yield "20k, 352x640", uniform_scene(20_000, 352, 640)
    yield "training step", uniform_scene(100_000, 192, 288, num_frames=6, size_pixels=0.5)
    samples = os.environ.get("LYRA_SAMPLES")
    if samples:
        gaussians, cameras = garden_scene(Path(samples))
        yield f"garden, {cameras.height}x{cameras.width}", (gaussians, cameras)


def milliseconds(scene: Scene, backend: str, num_threads: int) -> float:
    """Forward and backward over all frames of a scene, one frame at a time."""
    if backend == METAL_GAUSS:
        return milliseconds_of_metal_gauss(scene, num_threads)
    torch.set_num_threads(num_threads)
    gaussians = scene[0].map(lambda field: field.detach().requires_grad_())
    pose = scene[1].camera_to_world.detach().requires_grad_()
    cameras = replace(scene[1], camera_to_world=pose)
    size = (cameras.height, cameras.width)
    ones = [torch.ones(1, 3, *size), torch.ones(1, *size), torch.ones(1, *size)]
    start = time.perf_counter()
    for frame in range(len(cameras)):
        view = render(gaussians, cameras[[frame]], PARAMS, backend=backend)
        torch.autograd.backward([view.rgb, view.depth, view.alpha], ones)
    return 1e3 * (time.perf_counter() - start)


def milliseconds_of_metal_gauss(scene: Scene, num_threads: int) -> float:
    """The same without depth, in tiles of 16 pixels, the faster of its sizes on a CPU."""
    torch_ref = importlib.import_module("metal_gauss.torch_ref")  # no dependency of ours

    torch.set_num_threads(num_threads)
    gaussians = scene[0].map(lambda field: field.detach().requires_grad_())
    pose = scene[1].camera_to_world.detach().requires_grad_()
    cameras = replace(scene[1], camera_to_world=pose)
    size = (cameras.height, cameras.width)
    ones = [torch.ones(*size, 3), torch.ones(*size)]
    start = time.perf_counter()
    for frame in range(len(cameras)):
        rgb, alpha, _ = torch_ref.render(
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            None,
            cameras.intrinsic_matrices[frame],
            cameras.world_to_camera[frame],
            cameras.width,
            cameras.height,
            tile=16,
            near=PARAMS.near,
            far=PARAMS.far,
            background=PARAMS.background,
            colors=gaussians.colors,
        )
        torch.autograd.backward([rgb, alpha], ones, retain_graph=True)
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-torch", action="store_true")
    parser.add_argument("--cases", type=int, help="the first so many cases alone")
    arguments = parser.parse_args()
    runs = [("cpu", 1), ("cpu", 2)]
    if not arguments.without_torch:
        runs += [("torch", 1), ("torch", 2)]
    if importlib.util.find_spec("metal_gauss") is not None:
        runs += [(METAL_GAUSS, 1), (METAL_GAUSS, 2)]
    else:
        print("metal-gauss is not installed (pip install --no-deps metal-gauss): no column of it")
    start = time.perf_counter()
    milliseconds(uniform_scene(100, 32, 32), "cpu", 1)
    print(
        f"first call (compiling, or loading what was compiled): {time.perf_counter() - start:.1f} s"
    )
    print(
        f"{'':20s}" + "".join(f"{f'{backend}, {threads} core':>20s}" for backend, threads in runs)
    )
    for name, scene in itertools.islice(scenes(), arguments.cases):
        for backend, num_threads in runs[::2]:
            milliseconds(scene, backend, num_threads)
        times: dict[tuple[str, int], list[float]] = {run: [] for run in runs}
        for _ in range(arguments.rounds):
            for run in runs:
                times[run].append(milliseconds(scene, *run))
        medians = {run: statistics.median(times[run]) for run in runs}
        line = "".join(f"{medians[run]:20.1f}" for run in runs)
        for other in dict.fromkeys(backend for backend, _ in runs[2:]):
            ratios = [medians[other, cores] / medians["cpu", cores] for cores in (1, 2)]
            line += f"   {other}/cpu: x{ratios[0]:.0f} on one core, x{ratios[1]:.0f} on two"
        print(f"{name:20s}{line}")


if __name__ == "__main__":
    main()
