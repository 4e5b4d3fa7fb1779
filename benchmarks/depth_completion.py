"""Claim: depth spread along colours is nearer the truth than other guesses at unknown depth.

    python -m benchmarks.depth_completion [--project PROJECT] [--steps 150]

The Motorcycle's measured depth at 192x128, with holes cut out of it: of the shapes that its own
unknown pixels have, moved elsewhere, and disks of three sizes. A cell is the mean over the holes of
depth AbsRel inside them. With PROJECT, a folder after `make demo`, Gaussians are also unprojected
with each way and fitted: PSNR on frames read, on the tails kept back, and on the real photo.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import torch

from benchmarks.fitting import RENDERING, scene_targets
from lyra_data.annotation.annotators.given import GivenAnnotator
from lyra_data.generation.teachers.background import background_depth
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_data.sources.motorcycle import MotorcycleSource
from lyra_model.fitting import depth_completion
from lyra_model.fitting.depth_completion import nearest_known
from lyra_model.fitting.fit import fit
from lyra_model.fitting.measuring import mean_psnr_db
from lyra_model.fitting.params import FitParams
from lyra_model.fitting.unproject import UnprojectParams, unproject_frames

Way = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(rgb [3 height width], depth, known) -> depth with every unknown pixel guessed."""

DIFFUSED = depth_completion._diffused
LEAST_DEPTH = 0.1
DIAGONAL = 2**0.5
EDGE_COST = 30.0
"""Pixels of way that a difference of 1 in the sum of three channels is as long as."""


def along_colours(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    return DIFFUSED(rgb, depth, known)


def in_all_directions(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    return DIFFUSED(np.zeros_like(rgb), depth, known)


def nearest_pixel(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    del rgb
    return nearest_known(depth, known)


def farther_end(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    del rgb
    return background_depth(depth, known)


def telea(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    del rgb
    return _inpainted(depth, known, cv2.INPAINT_TELEA)


def navier_stokes(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    del rgb
    return _inpainted(depth, known, cv2.INPAINT_NS)


def _inpainted(depth: np.ndarray, known: np.ndarray, method: int) -> np.ndarray:
    return np.asarray(cv2.inpaint(depth, (~known).astype(np.uint8), 3, method))


def nearest_by_colour(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the depth of the known pixel with the shortest way to it, edges of colour being long.

    Ways are relaxed over the whole picture, a neighbour at a time, as often as its longer side has
    pixels; slow, but short to write.
    """
    ways = np.where(known, 0.0, np.inf)
    values = depth.copy()
    for _ in range(max(depth.shape)):
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0), (-1, -1), (-1, 1)):
            shift = (down, right)
            step = (DIAGONAL if down and right else 1.0) + EDGE_COST * np.abs(
                rgb - np.roll(rgb, shift, (1, 2))
            ).sum(0)
            _forbid_wrapping(step, down, right)
            other = np.roll(ways, shift, (0, 1)) + step
            shorter = other < ways
            ways = np.where(shorter, other, ways)
            values = np.where(shorter, np.roll(values, shift, (0, 1)), values)
    return values


def _forbid_wrapping(step: np.ndarray, down: int, right: int) -> None:
    if down:
        step[0 if down > 0 else -1] = np.inf
    if right:
        step[:, 0 if right > 0 else -1] = np.inf


WAYS: dict[str, Way] = {
    "diffusion along colours": along_colours,
    "diffusion, colours ignored": in_all_directions,
    "nearest known pixel": nearest_pixel,
    "nearest by way along colours": nearest_by_colour,
    "farther end of the gap": farther_end,
    "OpenCV, Telea": telea,
    "OpenCV, Navier-Stokes": navier_stokes,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--project", type=Path)
    options.add_argument("--steps", type=int, default=150)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    rgb, depth, known = _motorcycle()
    holes = _holes(known)
    print(f"| | {' | '.join(holes)} | ms a frame | read | kept back | real photo |")
    print("| --- |" + " --- |" * (len(holes) + 4))
    for name, way in WAYS.items():
        errors, seconds = _errors(way, rgb, depth, known, holes)
        cells = [f"{error:.4f}" for error in errors] + [f"{1000 * seconds:.0f}"]
        if chosen.project is not None:
            cells += _fitted(way, chosen.project, chosen.steps)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _motorcycle() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    params = {"name": "given", "height": 128, "width": 192, "framing": "centred", "fps": 24}
    annotator = GivenAnnotator(GivenAnnotator.Params.parse(params, where="benchmark"))
    source = MotorcycleSource(MotorcycleSource.Params(name="motorcycle"))
    clip = annotator.annotate(source.read())
    rgb = unit_from_bytes(clip.frames)[0].numpy()
    return rgb, clip.depth[0].numpy(), clip.depth_valid[0].numpy()


def _holes(known: np.ndarray) -> dict[str, list[np.ndarray]]:
    draws = np.random.default_rng(0)
    moves = ((5, 9), (-11, 14), (17, -23), (-6, -31))
    return {
        "its own holes, moved": [np.roll(~known, move, (0, 1)) for move in moves],
        "30 disks of 4 px": [_disks(known.shape, 30, 4, draws) for _ in range(4)],
        "6 of 12 px": [_disks(known.shape, 6, 12, draws) for _ in range(4)],
        "1 of 30 px": [_disks(known.shape, 1, 30, draws) for _ in range(6)],
    }


def _disks(
    shape: tuple[int, ...], count: int, radius: int, draws: np.random.Generator
) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for _ in range(count):
        row, column = draws.integers(shape[0]), draws.integers(shape[1])
        inside |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    return inside


def _errors(
    way: Way,
    rgb: np.ndarray,
    depth: np.ndarray,
    known: np.ndarray,
    holes: dict[str, list[np.ndarray]],
) -> tuple[list[float], float]:
    """Return AbsRel inside the holes of every kind, and seconds of a core a frame."""
    means, began, count = [], time.process_time(), 0
    for masks in holes.values():
        errors = []
        for hole in masks:
            left, asked = known & ~hole, known & hole
            guess = way(rgb, (depth * left).astype(np.float32), left)
            errors.append(np.mean(np.abs(guess[asked] - depth[asked]) / depth[asked]))
            count += 1
        means.append(float(np.mean(errors)))
    return means, (time.process_time() - began) / count


def _fitted(way: Way, project: Path, steps: int) -> list[str]:
    """Return PSNR of a fit that began with this way's depths, none nearer than 10 cm."""

    def safe(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
        return np.maximum(way(rgb, depth, known), LEAST_DEPTH).astype(np.float32)

    shown = scene_targets(project / "outputs")
    with mock.patch.object(depth_completion, "_diffused", safe):
        start = unproject_frames(shown[0], UnprojectParams(), seed=0)
    params, device = FitParams(steps=steps), torch.device("cpu")
    fitted = fit(start, shown[0], None, params, RENDERING, seed=0, device=device)
    return [f"{mean_psnr_db(fitted.gaussians, each, RENDERING):.2f} dB" for each in shown]


if __name__ == "__main__":
    main()
