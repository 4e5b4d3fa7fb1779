"""Claim: a fit makes of a demo's own views a scene that its real photo confirms, in half a minute.

    python -m benchmarks.fitting [PROJECT] [--steps 50 200 600] [--threads 2]

PROJECT is a folder after `make demo`. The frames that the decoder reads of every view are
unprojected and fitted, the last ones are kept back, and the real photo is seen by nobody. Each row
is a fit of its own, from the same start: a fit's learning rates fall to its last step. PSNR is the
mean over frames, of all pixels. Time is that of the fit alone, in seconds on the wall and of all
cores, beside the load that the machine had before.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch

from lyra_data.clips.store import read_held_out
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_data.scene.view import View
from lyra_model.batches.targets import Targets
from lyra_model.fitting.fit import fit
from lyra_model.fitting.measuring import mean_psnr_db
from lyra_model.fitting.params import FitParams
from lyra_model.fitting.unproject import UnprojectParams, unproject_frames
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import RenderingParams

READ_FRAMES = 17
"""Frames of every view that are read; the demo keeps its last eight back."""

RENDERING = RenderingParams(
    near=0.1,
    far=500.0,
    background=(1.0, 1.0, 1.0),
    patch_pixels=None,
    with_ut=False,
    with_eval3d=False,
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("project", type=Path, nargs="?", default=Path())
    options.add_argument("--steps", type=int, nargs="+", default=[50, 200, 600])
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    if not (chosen.project / "outputs" / "dataset").exists():
        print(f"{chosen.project.resolve()} has no outputs/dataset: run `make demo` first")
        return
    torch.set_num_threads(chosen.threads)
    read, kept_back, real = scene_targets(chosen.project / "outputs")
    _warm_up(read)

    print("| | Gaussians | read | kept back | real photo | wall s | CPU s | load |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    clock = _Clock()
    start = unproject_frames(read, UnprojectParams(), seed=0)
    _print_row("unprojected", start, (read, kept_back, real), clock)
    for steps in chosen.steps:
        clock = _Clock()
        params = FitParams(steps=steps)
        device = torch.device("cpu")
        fitted = fit(start, read, kept_back, params, RENDERING, seed=0, device=device)
        name = f"{steps} steps" + (
            "" if fitted.best_step == steps else f", {fitted.best_step} kept"
        )
        _print_row(name, fitted.gaussians, (read, kept_back, real), clock)


def scene_targets(outputs: Path) -> tuple[Targets, Targets, Targets]:
    """Return the frames read of a dataset's first scene, those kept back, and the real photos."""
    dataset = SceneDataset(outputs / "dataset")
    scene_id = dataset.scene_ids[0]
    views = dataset[scene_id].read_views()
    world = views[0].cameras.camera_to_world[0]
    targets = [_targets(view, world) for view in views]
    photos = read_held_out(outputs / "held_out" / scene_id)
    rgb = unit_from_bytes(torch.stack([photo.frame for photo in photos]))
    unknown = torch.zeros_like(rgb[:, 0])
    real = Targets(
        rgb=rgb,
        depth=unknown,
        depth_valid=unknown > 0,
        filled=unknown > 0,
        cameras=Cameras.concatenate([photo.camera for photo in photos]).relative_to(world),
        times=torch.zeros(len(rgb)),
    )
    return (
        Targets.concatenate([view[:READ_FRAMES] for view in targets]),
        Targets.concatenate([view[READ_FRAMES:] for view in targets]),
        real,
    )


def _targets(view: View, world: torch.Tensor) -> Targets:
    return Targets(
        rgb=unit_from_bytes(view.frames),
        depth=view.depth,
        depth_valid=view.depth_valid,
        filled=view.filled,
        cameras=view.cameras.relative_to(world),
        times=torch.arange(len(view.frames), dtype=torch.float32),
    )


class _Clock:
    """Seconds since it was made, on the wall and of all cores, and the load at that time."""

    def __init__(self) -> None:
        self.load = os.getloadavg()[0]
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def seconds(self) -> tuple[float, float]:
        return time.monotonic() - self._wall, time.process_time() - self._cpu


def _print_row(name: str, gaussians: Gaussians, shown: tuple[Targets, ...], clock: _Clock) -> None:
    wall, cpu = clock.seconds()
    quality = " | ".join(f"{mean_psnr_db(gaussians, each, RENDERING):.2f} dB" for each in shown)
    print(
        f"| {name} | {len(gaussians):,} | {quality} | {wall:.1f} | {cpu:.1f} | {clock.load:.1f} |",
        flush=True,
    )


def _warm_up(read: Targets) -> None:
    """Compile the kernels, which is not what is timed."""
    start = unproject_frames(read[:1], UnprojectParams(pixel_stride=4), seed=0)
    device = torch.device("cpu")
    fit(start, read[:1], None, FitParams(steps=1), RENDERING, seed=0, device=device)


if __name__ == "__main__":
    main()
