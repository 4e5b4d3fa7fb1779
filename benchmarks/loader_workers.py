"""Measure the loader alone at full size, read here and by worker processes: samples a core.

    python -m benchmarks.loader_workers [FOLDER] [--phases p6 p5 p3 p1] [--samples 12]
    python -m benchmarks.loader_workers --quick     # small, in seconds: does it run, not how fast

FOLDER keeps the dataset: eight scenes of six views of 121 frames of 704x1280, encoded as the large
presets encode (compat, half); one view stands for all of them, and was encoded once. The steps are
those of the preset's phases; p6's is K12: the latents of six views, the cameras, and 12 frames with
depth. Nothing is kept from step to step, as with a dataset that is much larger than memory. Each
round reads the same steps in this process and by 1 and by 2 workers, in turns; the processor's
seconds are those of all processes, without their start.
"""

from __future__ import annotations

import argparse
import multiprocessing
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
import yaml

from benchmarks.dataset_content import NUM_VIEWS, make_view
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.packed_scene import PackedScene, pack_encoded
from lyra_data.dataset.writing.writer import assemble_dataset
from lyra_data.packing.encoding import Encoding, encode_view
from lyra_data.views.fields import row_from_view
from lyra_model.batches.input_shape import input_shape
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.read_ahead import ReadAhead
from lyra_model.batches.step_reader import DrawReader, StepData
from lyra_model.batches.step_source import StepSetup
from lyra_model.batches.worker_steps import WorkerSteps
from lyra_model.phases.train_params import TrainParams
from stages.presets import preset_file

PRESET = "h100-static"
NUM_SCENES = 8
ENCODING = Encoding(rgb="compat", depth="half", latents="half")
KEPT_BYTES = 256 * 1024
"""Memory of a reader: the cameras of a few scenes, and no picture and no latents."""

NUM_FIRST = 5
"""Samples that are taken before those that count: workers have started by then."""


@dataclass(frozen=True)
class Cost:
    """Seconds of a sample, by the clock and of all processors together."""

    wall: float
    processor: float


def setup_of(dataset: SceneDataset, name: str, *, quick: bool) -> StepSetup:
    """Return the steps of a phase of the preset, as long as is measured."""
    values = yaml.safe_load(preset_file(PRESET).read_text())["train"]
    if quick:
        for phase in values["phases"].values():
            phase |= {"height": 48, "width": 80, "num_frames": 9}
    params = TrainParams.parse(values, where="train")
    phase = params.phases[name]
    held_out = params.held_out_frames
    shape = input_shape(name, phase, params.decoder, dataset, held_out_frames=held_out)
    return StepSetup(params, name, 42, dataset, shape, 0, 1)


def processor_seconds() -> float:
    """Return the processor's seconds of this process and of its workers so far."""
    workers = multiprocessing.active_children()
    return time.process_time() + sum(_seconds_of(worker.pid or 0) for worker in workers)


def _seconds_of(process: int) -> float:
    text = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib() -> tuple[int, int]:
    """Return the most memory of this process and of a worker, MiB; shared memory counts in both."""
    workers = [worker.pid for worker in multiprocessing.active_children()]
    peaks = [_peak(process) for process in ("self", *workers)]
    return peaks[0], max(peaks[1:], default=0)


def _peak(process: object) -> int:
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) // 1024


def measure(read: Callable[[int], StepData], num_samples: int) -> Cost:
    """Read steps one after another; those first ones during which workers start do not count."""
    for step in range(NUM_FIRST):
        read(step)
    wall, processor = time.perf_counter(), processor_seconds()
    for step in range(NUM_FIRST, NUM_FIRST + num_samples):
        read(step)
    spent = time.perf_counter() - wall, processor_seconds() - processor
    return Cost(spent[0] / num_samples, spent[1] / num_samples)


def measure_workers(setup: StepSetup, num_workers: int, num_samples: int) -> Cost:
    """Read steps by workers, or in this process where there are none, as training takes them."""
    cache: PartCache[Any] = PartCache(KEPT_BYTES)
    if num_workers == 0:
        source = setup.source(DrawReader(setup.dataset, setup.shape, cache=cache))
        return measure(source.read, num_samples)
    kept_bytes = KEPT_BYTES * (num_workers + 1)
    workers = WorkerSteps(setup, num_workers=num_workers, cache_bytes=kept_bytes)
    ahead = ReadAhead(workers.read, num_steps=setup.num_steps, end=workers.close)
    cost = measure(ahead.take, num_samples)
    print(f"  most memory, MiB: this process {resident_mib()[0]}, a worker {resident_mib()[1]}")
    ahead.close()
    return cost


def report(name: str, costs: dict[int, list[Cost]]) -> None:
    """Print the table's lines of one phase: medians over rounds, ratios within rounds."""
    for num_workers, rounds in costs.items():
        wall = statistics.median(cost.wall for cost in rounds)
        processor = statistics.median(cost.processor for cost in rounds)
        ratios = [alone.wall / cost.wall for alone, cost in zip(costs[0], rounds, strict=True)]
        cells = (
            name,
            ("this process", "1 worker", "2 workers")[num_workers],
            f"{processor * 1e3:.0f} ms",
            f"{1 / processor:.2f}",
            f"{1 / wall:.2f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def make_scenes(options: argparse.Namespace) -> Iterator[PackedScene]:
    view = make_view(0, options.frames, options.height, options.width, 0.5, None)
    encoded = encode_view(row_from_view(view), ENCODING)
    for scene in range(NUM_SCENES):
        names = [{"scene_id": f"scene-{scene}", "view_index": index} for index in range(NUM_VIEWS)]
        yield pack_encoded(replace(encoded, row={**encoded.row, **name}) for name in names)


def run(folder: Path, options: argparse.Namespace) -> None:
    """Write the dataset where it is not there, and measure."""
    if not folder.joinpath("meta").is_dir():
        assemble_dataset(
            make_scenes(options),
            folder,
            splits=None,
            scenes_per_shard=4,
            provenance={},
            encoding=ENCODING,
        )
    dataset = SceneDataset(folder)
    print(f"{vars(options)}; load {os.getloadavg()}")
    print("| phase | read by | processor's time a sample | samples/s a core | samples/s | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.phases:
        setup = setup_of(dataset, name, quick=options.quick)
        costs: dict[int, list[Cost]] = {number: [] for number in options.workers}
        for _ in range(options.rounds):
            for number, rounds in costs.items():
                rounds.append(measure_workers(setup, number, options.samples))
        report(name, costs)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the loader alone gives.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--phases", nargs="+", default=["p6"])
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="96x160, 25 frames")
    options = parser.parse_args(words)
    options.workers = [0, 1, 2]
    options.height, options.width, options.frames = (
        (96, 160, 25) if options.quick else (704, 1280, 121)
    )
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.folder is not None:
        return run(options.folder, options)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder) / "dataset", options)


if __name__ == "__main__":
    main()
