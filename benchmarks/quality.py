"""Claim: the quality numbers tell broken views from good ones, and cost little.

    python -m benchmarks.quality [--height 128 --width 192 --frames 25] [--only-cost]

The six trajectories of the Motorcycle photo by the warp teacher, as they are and broken on purpose.
A cell is the median over the six views, and the worst of them where that differs. "dropped" counts
the views that the limits of params.yaml drop; numbers against siblings are of one broken view among
five good ones. The `video model` stands for a teacher that repaints every pixel: softened, flatter
and noisy, but where it belongs; it must be told from what is broken. Nothing random is unseeded.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from torch import Tensor

from lyra_data.annotation.annotators.given import GivenAnnotator
from lyra_data.cache3d import Cache3D
from lyra_data.engine.placement import Placement
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.quality.measuring import measure_view
from lyra_data.generation.quality.siblings import compared_frames, sibling_agreements
from lyra_data.generation.quality_limits import shortfalls
from lyra_data.generation.view_making import ViewMaker
from lyra_data.scene.clip import Clip
from lyra_data.scene.quality import NUMBERS
from lyra_data.scene.view import View
from lyra_data.sources.motorcycle import MotorcycleSource
from lyra_data.views.fields import row_from_view

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())

Frames = np.ndarray
"""uint8 [frame, height, width, 3]"""

OTHERS = {
    "left": "right",
    "right": "left",
    "up": "left",
    "zoom_in": "zoom_out",
    "zoom_out": "zoom_in",
    "clockwise": "up",
}
"""Whose frames a view gets that has the wrong ones."""


@dataclass(frozen=True)
class Good:
    """A view as it was made, and what the cache showed in its cameras."""

    view: View
    pictures: Tensor
    known: Tensor


def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Frames], Frames]:
    """A change of single frames as one of whole videos."""
    return lambda frames: np.stack([change(frame) for frame in frames])


def shifted(frames: Frames, by: int) -> Frames:
    return frames[np.clip(np.arange(len(frames)) + by, 0, len(frames) - 1)]


def blurred(frame: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(frame, (0, 0), sigma)


def rolled(frame: np.ndarray, degrees: float) -> np.ndarray:
    height, width = frame.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(frame, turn, (width, height), borderMode=cv2.BORDER_REFLECT)


def repainted(frames: Frames) -> Frames:
    draws = np.random.default_rng(0)
    soft = each(lambda frame: blurred(frame, 0.7))(frames).astype(np.float64)
    grain = each(lambda noise: 2.0 * blurred(noise, 1.0))(draws.normal(0.0, 8.0, soft.shape))
    return np.clip(0.9 * soft + 10.0 + grain, 0, 255).astype(np.uint8)


def tinted(frames: Frames) -> Frames:
    return np.clip(frames * np.array([1.25, 1.0, 0.8]), 0, 255).astype(np.uint8)


BROKEN: dict[str, Callable[[Frames], Frames]] = {
    "as made": lambda frames: frames,
    "video model": repainted,
    "blurred, sigma 2": each(lambda frame: blurred(frame, 2.0)),
    "darkened to 0.6": lambda frames: (0.6 * frames).astype(np.uint8),
    "brightened by 1.6": lambda frames: np.clip(1.6 * frames, 0, 255).astype(np.uint8),
    "tinted": tinted,
    "1 frame late": lambda frames: shifted(frames, -1),
    "2 frames early": lambda frames: shifted(frames, 2),
    "2 early, video model": lambda frames: repainted(shifted(frames, 2)),
    "half speed": lambda frames: frames[np.arange(len(frames)) // 2],
    "standing still": lambda frames: frames[:1].repeat(len(frames), 0),
    "reversed": lambda frames: frames[::-1],
    "reversed, video model": lambda frames: repainted(frames[::-1]),
    "rolled by 3 degrees": each(lambda frame: rolled(frame, 3.0)),
    "mirrored": lambda frames: frames[:, :, ::-1],
    "upside down": lambda frames: frames[:, ::-1, ::-1],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--height", type=int, default=128)
    options.add_argument("--width", type=int, default=192)
    options.add_argument("--frames", type=int, default=25)
    options.add_argument("--only-cost", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    params = GenerateParams.parse(
        {**PARAMS["generate"], "num_frames": chosen.frames}, where="generate"
    )
    clip = motorcycle(chosen.height, chosen.width)
    views = make_views(clip, params)
    print_cost(clip, params, views)
    if not chosen.only_cost:
        print_separation(views, params)


def motorcycle(height: int, width: int) -> Clip:
    settings = {**PARAMS["annotate"]["annotator"], "height": height, "width": width}
    annotator = GivenAnnotator(GivenAnnotator.Params.model_validate(settings))
    source = MotorcycleSource(MotorcycleSource.Params(name="motorcycle"))
    return annotator.annotate(source.read(Path()))


def make_views(clip: Clip, params: GenerateParams) -> dict[str, Good]:
    maker = ViewMaker(params, Placement("cpu"))
    goods = {}
    for job in plan_jobs(clip, params.trajectories, seed=PARAMS["seed"]):
        view = maker.make(clip, job)
        shown = Cache3D.from_clip(clip, params.cache).render(view.cameras).merged()
        pictures = ((shown.frames[:, 0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        goods[job.trajectory] = Good(view, pictures, shown.known[:, 0])
    return goods


def print_cost(clip: Clip, params: GenerateParams, views: dict[str, Good]) -> None:
    maker = ViewMaker(params, Placement("cpu"))
    jobs = plan_jobs(clip, params.trajectories, seed=PARAMS["seed"])
    whole, own = 0.0, 0.0
    for job in jobs:
        good = views[job.trajectory]
        whole += seconds(lambda job=job: maker.make(clip, job))
        own += seconds(lambda good=good: measured(good, good.view))
    compared = [compared_frames(row_from_view(good.view)) for good in views.values()]
    across = seconds(lambda: sibling_agreements(compared))
    size = f"{clip.cameras.height}x{clip.cameras.width}, {params.num_frames} frames"
    print(f"\nCost of six views at {size}, one thread\n")
    print(f"generation with its measurements  {whole:8.2f} s")
    print(f"  of it the view's own numbers     {own:8.2f} s  {own / whole:6.1%}")
    print(f"numbers across the views          {across:8.2f} s  {across / whole:6.1%}")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measured(good: Good, view: View) -> View:
    quality = measure_view(view.frames, view.filled, pictures=good.pictures, known=good.known)
    return replace(view, quality=quality)


def print_separation(goods: dict[str, Good], params: GenerateParams) -> None:
    limits = params.quality.model_dump()
    compared = [compared_frames(row_from_view(good.view)) for good in goods.values()]
    print("\nMedian of the six views (worst)\n")
    print(f"{'':22s}" + "".join(f"{short(name):>17s}" for name in NUMBERS) + "  dropped")
    cases = {**BROKEN, "another path's frames": None}
    for name, change in cases.items():
        rows = []
        for place, (trajectory, good) in enumerate(goods.items()):
            source = goods[OTHERS[trajectory]] if change is None else good
            frames = source.view.frames.permute(0, 2, 3, 1).numpy()
            frames = np.ascontiguousarray((change or BROKEN["as made"])(frames))
            tensor = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
            row = row_from_view(measured(good, replace(good.view, frames=tensor)))
            among = [*compared[:place], compared_frames(row), *compared[place + 1 :]]
            agreement = sibling_agreements(among)[place]
            row["sibling_psnr_db"] = agreement.psnr_db
            row["sibling_displacement_pixels"] = agreement.displacement_pixels
            rows.append(row)
        dropped = sum(bool(shortfalls(row, limits)) for row in rows)
        cells = "".join(f"{cell([row[number] for row in rows], number):>17s}" for number in NUMBERS)
        print(f"{name:22s}{cells}  {dropped} of {len(rows)}")


def cell(values: list[float | None], number: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    higher_is_better = number.endswith(("psnr_db", "ratio"))
    worst = min(known) if higher_is_better else max(known, key=abs)
    digits = 1 if number.endswith("db") else 2
    return f"{statistics.median(known):.{digits}f} ({worst:.{digits}f})"


def short(number: str) -> str:
    words = {"displacement_pixels": "displ px", "psnr_db": "dB", "_ratio": "", "_frames": ""}
    for long, brief in words.items():
        number = number.replace(long, brief)
    return number.replace("_", " ")


if __name__ == "__main__":
    main()
