"""Frames per second of the warp teacher's whole path, from clip to stored view; where time goes.

    python -m benchmarks.warp_generation [--rounds 3] [--threads 1 2]

Views of the built-in Motorcycle photo with the settings of params.yaml, at the demo's size (six
trajectories) and at two larger ones (left and clockwise). Parts exclude each other; "rest" is what
no other part holds. Frames per second are by the clock, of the fastest round; shares are of the
processor time of all threads and all rounds, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import torch
import yaml

from lyra_data.annotation.annotators.given import GivenAnnotator
from lyra_data.cache3d import Cache3D
from lyra_data.engine.placement import Placement
from lyra_data.generation import rollout, view_making
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.teachers import warp
from lyra_data.generation.view_making import ViewMaker
from lyra_data.scene.clip import Clip
from lyra_data.sources.motorcycle import MotorcycleSource
from lyra_data.views import store as view_store

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())
ALL = tuple(PARAMS["generate"]["trajectories"]["names"])
SIZES = (
    (128, 192, 25, ALL),
    (352, 640, 17, ("left", "clockwise")),
    (352, 640, 49, ("left", "clockwise")),
)

PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "cache: building": ((Cache3D, "build"),),
    "cache: rendering": ((Cache3D, "render"),),
    "cache: the rest of it": ((rollout.CacheRollout, "first"),),
    "teacher: background": ((warp, "_carry"),),
    "teacher: inpainting": ((warp.WarpTeacher, "_inpaint"),),
    "teacher: the rest of it": ((warp.WarpTeacher, "generate"),),
    "codec: encoding": ((ViewMaker, "_latents"),),
    "quality: measuring": ((view_making, "measure_view"),),
    "storing: images, depth": ((view_store, "row_from_view"),),
    "storing: parquet": ((view_store, "write_row"),),
    "rest": (),
}
"""The functions that make up a part; what they call of another part counts there."""


class Stopwatch:
    """Processor seconds of each part, without those of the parts that it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._started = time.process_time()
        self._running = ["rest"]

    def timed(self, part: str, function: Callable) -> Callable:
        @wraps(function)
        def measured(*arguments: Any, **keywords: Any) -> Any:
            with self._running_in(part):
                return function(*arguments, **keywords)

        return measured

    @contextmanager
    def _running_in(self, part: str) -> Iterator[None]:
        self.stop()
        self._running.append(part)
        try:
            yield
        finally:
            self.stop()
            self._running.pop()

    def stop(self) -> None:
        """Book the time since the last change of parts."""
        now = time.process_time()
        self.seconds[self._running[-1]] += now - self._started
        self._started = now


@contextmanager
def watched() -> Iterator[Stopwatch]:
    """While this lasts, the functions of PARTS are timed."""
    stopwatch = Stopwatch()
    with ExitStack() as stack:
        for part, functions in PARTS.items():
            for owner, name in functions:
                plain = vars(owner)[name]
                if isinstance(plain, classmethod):
                    timed = classmethod(stopwatch.timed(part, plain.__func__))
                else:
                    timed = stopwatch.timed(part, plain)
                stack.enter_context(patch.object(owner, name, timed))
        yield stopwatch
        stopwatch.stop()


def motorcycle(height: int, width: int) -> Clip:
    settings = {**PARAMS["annotate"]["annotator"], "height": height, "width": width}
    annotator = GivenAnnotator(GivenAnnotator.Params.model_validate(settings))
    return annotator.annotate(MotorcycleSource(MotorcycleSource.Params(name="motorcycle")).read())


def make_and_store(
    clip: Clip, params: GenerateParams, folder: Path, trajectories: tuple[str, ...]
) -> None:
    maker = ViewMaker(params, Placement("cpu"))
    for job in plan_jobs(clip, params.trajectories, seed=PARAMS["seed"]):
        if job.trajectory in trajectories:
            view = maker.make(clip, job)
            view_store.write_view(folder / f"{job.view_index}.parquet", view)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    for num_threads in arguments.threads:
        torch.set_num_threads(num_threads)
        cv2.setNumThreads(num_threads)
        print_speed(num_threads, arguments.rounds)


def print_speed(num_threads: int, rounds: int) -> None:
    columns: list[dict[str, str]] = []
    for height, width, num_frames, trajectories in SIZES:
        clip = motorcycle(height, width)
        params = GenerateParams.parse(
            {**PARAMS["generate"], "num_frames": num_frames}, where="generate"
        )
        with tempfile.TemporaryDirectory() as folder:
            make_and_store(clip, params, Path(folder), trajectories[:1])  # compile, warm up
            times, processor_times = [], []
            with watched() as stopwatch:
                for _ in range(rounds):
                    start, processor_start = time.perf_counter(), time.process_time()
                    make_and_store(clip, params, Path(folder), trajectories)
                    times.append(time.perf_counter() - start)
                    processor_times.append(time.process_time() - processor_start)
        per_view = min(times) / len(trajectories)
        whole = sum(stopwatch.seconds.values())
        columns.append(
            {
                "": f"{height}x{width}, {num_frames}",
                "frames per second": f"{num_frames / per_view:.1f}",
                "seconds per view": f"{per_view:.2f}",
                "processor seconds": f"{min(processor_times) / len(trajectories):.2f}",
                **{part: f"{stopwatch.seconds[part] / whole:.1%}" for part in PARTS},
            }
        )
    print(f"\n{num_threads} thread{'s' * (num_threads > 1)}")
    for name in columns[0]:
        print(f"{name:26s}" + "".join(f"{column[name]:>16s}" for column in columns))


if __name__ == "__main__":
    main()
