"""Measure what training reads of a dataset: blobs a step, and whether a step ever waits.

    python -m benchmarks.training_loader [FOLDER] [--scenes 8] [--steps 60]
    python -m benchmarks.training_loader --quick     # small, in seconds: does it run, not how fast

FOLDER keeps the dataset. Every step reads the latents of some views of one scene and compares with
some frames. Needed are a blob of latents for each view that is read, and one of frames and one of
depth for each view that is compared with. Three loaders take the same steps: whole scenes, as
training once read them; single frames without memory; and with a memory of `--cache-mib`. Then a
step that keeps an accelerator busy for `--slower` times the loader's time is stood in for by sleep,
which leaves the processor free as a GPU does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.dataset_content import NUM_VIEWS, make_view
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.models.codecs.dct import DctCodec, DctCodecParams
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.view import View
from lyra_model.batches.distance_check import DistanceCheck
from lyra_model.batches.input_shape import InputShape
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.read_ahead import ReadAhead
from lyra_model.batches.step_draws import StepDraws
from lyra_model.batches.step_reader import StepReader
from lyra_model.batches.step_source import StepSource
from lyra_model.phases.view_sampling import StepDraw, TargetSampling
from lyra_model.training.released_decoder import RELEASED

HELD_OUT_FRAMES = 8


@dataclass(frozen=True)
class Cost:
    """Costs of a loader's steps.

    Attributes:
        seconds: of every step, from asking for it to having it.
        blobs, parts: decoded in all; a part is a frame, a map, or the latents of a view.
        num_bytes: read from files in all.
    """

    seconds: Sequence[float]
    blobs: int
    parts: int
    num_bytes: int


def num_needed(draw: StepDraw) -> int:
    """Count the blobs that a step needs where nothing is in memory."""
    return len(draw.read) + 2 * len({view for view, _ in draw.frames})


def make_source(dataset: SceneDataset, options: argparse.Namespace, limit_bytes: int) -> StepSource:
    """Build what training reads its steps with."""
    num_frames = (options.frames - HELD_OUT_FRAMES - 1) // 8 * 8 + 1
    frames = tuple(range(num_frames))
    shape = InputShape(options.height, options.width, frames, scene_scale=1.0, dynamic=False)
    sampling = TargetSampling(
        num_frames=num_frames,
        held_out_frames=HELD_OUT_FRAMES,
        num_targets=options.targets,
        bias="uniform",
        dynamic=False,
        num_views=(options.views, options.views),
    )
    cache: PartCache[Any] = PartCache(limit_bytes)
    codec = DctCodec(DctCodecParams(name="dct"))
    reader = StepReader(dataset, codec, shape, device=torch.device("cpu"), cache=cache)
    draws = StepDraws(
        "benchmark",
        0,
        sampling,
        dataset.scene_ids,
        lambda scene_id: reader.views(scene_id).listed,
        order=None,
        rank=0,
    )
    return StepSource(draws, reader, DistanceCheck(dataset, RELEASED), num_steps=options.steps)


def measure(dataset: SceneDataset, num_steps: int, read: Callable[[int], object]) -> Cost:
    """Read all steps, one after another, with nothing in between."""
    dataset.counts.reset()
    seconds = []
    for step in range(num_steps):
        began = time.perf_counter()
        read(step)
        seconds.append(time.perf_counter() - began)
    counts = dataset.counts
    return Cost(seconds, counts.num_blobs, counts.num_parts, counts.num_bytes)


def report(name: str, cost: Cost, needed: int) -> None:
    """Print one line of the table."""
    steps = len(cost.seconds)
    cells = (
        name,
        f"{cost.blobs / steps:.1f}",
        f"{cost.blobs / needed:.2f}",
        f"{cost.parts / steps:.1f}",
        f"{cost.num_bytes / steps / 1e6:.2f} MB",
        f"{statistics.median(cost.seconds) * 1e3:.1f} ms",
        f"{max(cost.seconds) * 1e3:.1f} ms",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def measure_waiting(source: StepSource, options: argparse.Namespace, seconds: float) -> None:
    """Take all steps while a sleep of some seconds stands for the accelerator's work."""
    ahead = ReadAhead(source.read, num_steps=options.steps)
    waits = []
    for step in range(options.steps):
        before = ahead.seconds_waited
        ahead.take(step)
        waits.append(ahead.seconds_waited - before)
        time.sleep(seconds)
    ahead.close()
    later = waits[1:]
    late = sum(wait > 1e-3 for wait in later)
    print(
        f"steps of {seconds * 1e3:.1f} ms beside the loader: the first waits "
        f"{waits[0] * 1e3:.1f} ms, of the {len(later)} others {late} wait more than 1 ms; "
        f"{sum(later) * 1e3:.1f} ms in all, {sum(later) / (len(later) * seconds):.2%} of their time"
    )


def run(folder: Path, options: argparse.Namespace) -> None:
    """Write the dataset where it is not there, and measure."""
    if not folder.joinpath("meta").is_dir():
        encoding = Encoding(rgb="train", depth="half", latents="half")
        write_dataset(
            make_scenes(options),
            folder,
            splits=None,
            scenes_per_shard=4,
            provenance={},
            encoding=encoding,
        )
    print(f"{vars(options)}; load {os.getloadavg()}")
    dataset = SceneDataset(folder)
    source = make_source(dataset, options, 0)
    draws = [source.draws.draw(step) for step in range(options.steps)]
    needed = sum(map(num_needed, draws))
    print(f"needed: {needed / options.steps:.1f} blobs a step")
    print("| loader | blobs a step | of those needed | parts | read | median | longest |")
    print("|---|---|---|---|---|---|---|")

    def read_whole(step: int) -> object:
        return dataset[draws[step].scene_id].read_views()

    whole_steps = min(options.steps, 10)
    needed_of_whole = sum(map(num_needed, draws[:whole_steps]))
    report("whole scenes", measure(dataset, whole_steps, read_whole), needed_of_whole)
    alone = measure(dataset, options.steps, source.read)
    report("single frames, no memory", alone, needed)
    kept = make_source(dataset, options, options.cache_mib << 20)
    report(
        f"single frames, {options.cache_mib} MiB",
        measure(dataset, options.steps, kept.read),
        needed,
    )
    measure_waiting(source, options, options.slower * statistics.mean(alone.seconds))


def make_scenes(options: argparse.Namespace) -> Iterator[View]:
    """Make all views of all scenes: the benchmark's pictures are the same in each."""
    views = [
        make_view(number, options.frames, options.height, options.width, 0.5, None)
        for number in range(NUM_VIEWS)
    ]
    for scene in range(options.scenes):
        for view in views:
            yield replace(view, scene_id=f"scene-{scene}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What training reads of a dataset.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--views", type=int, default=4, help="of six, read in every step")
    parser.add_argument("--targets", type=int, default=8, help="frames compared with in a step")
    parser.add_argument("--height", type=int, default=352)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--frames", type=int, default=57)
    parser.add_argument("--cache-mib", type=int, default=256)
    parser.add_argument("--slower", type=float, default=1.5, help="a step, of the loader's mean")
    parser.add_argument("--quick", action="store_true", help="96x160, 25 frames, 3 scenes")
    options = parser.parse_args()
    if options.quick:
        options.height, options.width, options.frames = 96, 160, 25
        options.scenes, options.steps = 3, 30
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.folder is not None:
        return run(options.folder, options)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder) / "dataset", options)


if __name__ == "__main__":
    main()
