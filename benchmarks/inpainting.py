"""Claim: no inpainting routine at hand fills the warp teacher's holes much better than Telea's.

    python -m benchmarks.inpainting [--video PROJECT] [--pictures FOLDER]

True pictures with the holes that the teacher has at their cameras, filled by each routine from the
picture's other pixels: PSNR and SSIM over the holes, PSNR deep in them (8 pixels and more from what
is known), processor time.

* Motorcycle: the right photo, with what the left one does not show of it, at 192x128 and 384x256.
* Paths: the left photo under the holes that the last frames of the demo's six paths have. The holes
  are real; they lie where another picture has them.
* Ball: the exactly known scene of the tests, seen from beside.
* With PROJECT, one of `lyra-data reconstruct VIDEO`: every 12th frame, with what the frame 12
  before it does not show. There other moments can fill: known points of every 4th frame of those
  that are 12 or more away, the nearest in time first. Making them is not in the time.

FOLDER gets a picture a case: the truth, its holes, and what each routine makes of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from skimage.restoration import inpaint_biharmonic

from benchmarks.inpainting_cases import Case, cases
from lyra_data.generation.teachers.background import background_depth
from lyra_data.media.images import tensor_of
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.fitting.depth_completion import nearest_known
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.ssim import ssim

DEEP = 8  # pixels from what is known
RING = 12  # pixels around a hole, in which what stands before the background is passed over
NEARER = 0.85  # of the background's depth: such a pixel stands before it


def telea(case: Case) -> np.ndarray:
    return _opencv(case.picture, case.holes, cv2.INPAINT_TELEA, 3)


def telea_wide(case: Case) -> np.ndarray:
    return _opencv(case.picture, case.holes, cv2.INPAINT_TELEA, 12)


def navier_stokes(case: Case) -> np.ndarray:
    return _opencv(case.picture, case.holes, cv2.INPAINT_NS, 3)


def biharmonic(case: Case) -> np.ndarray:
    seen = np.where(case.holes[..., None], 0, case.picture)
    filled = inpaint_biharmonic(seen, case.holes, split_into_regions=True, channel_axis=-1)
    return np.rint(255 * filled.clip(0, 1)).astype(np.uint8)


def nearest_pixel(case: Case) -> np.ndarray:
    channels = [
        nearest_known(case.picture[..., channel].astype(np.float32), ~case.holes)
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1).astype(np.uint8)


def pyramid(case: Case) -> np.ndarray:
    """Fill from means of ever larger squares (push and pull)."""
    weight = (~case.holes).astype(np.float32)[..., None]
    filled = _pulled(case.picture.astype(np.float32) * weight, weight)
    return np.rint(filled).clip(0, 255).astype(np.uint8)


def telea_background(case: Case) -> np.ndarray:
    """Fill by Telea's from the background alone: what stands before it is passed over."""
    known = case.depth > 0
    if not known.any():
        return telea(case)
    behind = background_depth(case.depth, known)
    near_hole = cv2.dilate(case.holes.astype(np.uint8), np.ones((2 * RING + 1, 2 * RING + 1))) > 0
    local = cv2.dilate(np.where(case.holes, behind, 0), np.ones((2 * RING + 1, 2 * RING + 1)))
    before = near_hole & known & (case.depth < NEARER * local)
    made = _opencv(case.picture, case.holes | before, cv2.INPAINT_TELEA, 3)
    return np.where(case.holes[..., None], made, case.picture)


def other_moments(case: Case) -> np.ndarray:
    """Fill with what other moments show, and what is left by Telea's."""
    assert case.elsewhere is not None
    shown, there = case.elsewhere
    use = case.holes & there
    picture = np.where(use[..., None], shown, case.picture)
    return _opencv(picture, case.holes & ~there, cv2.INPAINT_TELEA, 3)


ROUTINES: dict[str, Callable[[Case], np.ndarray]] = {
    "OpenCV, Telea, radius 3 (default)": telea,
    "OpenCV, Telea, radius 12": telea_wide,
    "OpenCV, Navier-Stokes, radius 3": navier_stokes,
    "scikit-image, biharmonic": biharmonic,
    "nearest known pixel": nearest_pixel,
    "push and pull": pyramid,
    "Telea, from the background": telea_background,
    "other moments, then Telea": other_moments,
}


def _opencv(picture: np.ndarray, holes: np.ndarray, method: int, radius: float) -> np.ndarray:
    return cv2.inpaint(np.ascontiguousarray(picture), holes.astype(np.uint8), radius, method)


def _pulled(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return colours everywhere, of those that are weighted by how much of a pixel is known."""
    height, width = weight.shape[:2]
    if min(height, width) <= 1 or weight.min() > 0:
        return weighted / np.maximum(weight, 1e-6)
    half = (max(1, width // 2), max(1, height // 2))
    coarse = cv2.resize(weighted, half, interpolation=cv2.INTER_AREA)
    coarse_weight = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)[..., None]
    below = cv2.resize(_pulled(coarse, coarse_weight), (width, height))
    return weighted + (1 - weight) * below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, metavar="PROJECT")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for title, group in cases(chosen.video):
        print_scores(title, group)
        if chosen.pictures is not None:
            for case in group:
                write_picture(case, chosen.pictures / f"{case.name.replace(' ', '_')}.png")


def print_scores(title: str, group: list[Case]) -> None:
    share = np.mean([case.holes.mean() for case in group])
    deep = np.mean([_deep(case.holes).mean() for case in group])
    print(f"\n{title}: {len(group)} pictures, holes {share:.1%}, deep {deep:.1%}\n")
    print("| | PSNR | deep | SSIM | ms |\n| --- | --- | --- | --- | --- |")
    for name, routine in ROUTINES.items():
        if routine is other_moments and group[0].elsewhere is None:
            continue
        began = time.process_time()
        made = [routine(case) for case in group]
        passed = 1000 * (time.process_time() - began) / len(group)
        scores = np.nanmean(
            [_scores(case, one) for case, one in zip(group, made, strict=True)], axis=0
        )
        cells = (f"{scores[0]:.2f} dB", f"{scores[1]:.2f} dB", f"{scores[2]:.3f}", f"{passed:.0f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _scores(case: Case, made: np.ndarray) -> tuple[float, float, float]:
    """Return PSNR over the holes, deep in them, and SSIM over them; NaN where there are none."""
    pair = [unit_from_bytes(tensor_of(Image.fromarray(one))[None]) for one in (made, case.picture)]
    holes = torch.from_numpy(case.holes)[None]
    deep = torch.from_numpy(_deep(case.holes))[None]
    return psnr(*pair, holes).mean, psnr(*pair, deep).mean, ssim(*pair, holes).mean


def _deep(holes: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(holes.astype(np.uint8), cv2.DIST_L2, 5) >= DEEP


def write_picture(case: Case, path: Path) -> None:
    """Write truth, holes and results side by side, two rows of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.where(case.holes[..., None], np.uint8(128), case.picture)
    shown = [case.picture, grey]
    shown += [
        routine(case)
        for routine in ROUTINES.values()
        if routine is not other_moments or case.elsewhere is not None
    ]
    shown += [np.zeros_like(grey)] * (len(shown) % 2)
    half = len(shown) // 2
    rows = [np.concatenate(shown[:half], axis=1), np.concatenate(shown[half:], axis=1)]
    Image.fromarray(np.concatenate(rows)).save(path)


if __name__ == "__main__":
    main()
