"""Reading speed and size of the dataset, against the layout of Lyra 1's own data, in one run.

    python -m benchmarks.dataset [FOLDER] [--pictures FOLDER] [--rounds 5]
    python -m benchmarks.dataset --quick        # small, in a minute: does it run, not how fast

FOLDER keeps what is written. One scene of six views (`dataset_content`), in the original's layout
(`dataset_original`) and in each of our encodings. K12 is a training sample: six latents, the
cameras, and two random frames with depth of each view. Readers take turns, with files in the page
cache; a ratio is taken within a round, and its median and range are told, of the time that passed
and of the processor's. Samples are held until they are whole, with one thread a process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import fsspec
import torch

from benchmarks.dataset_folder import ENCODINGS, ORIGINAL, Content, prepare
from benchmarks.dataset_original import has_decord, read_depths, read_latents
from benchmarks.dataset_processes import (
    EVERY_VIEW,
    Request,
    cold_sample,
    draw_frames,
    peak_memory,
    read_by_workers,
    reader_of,
)
from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.packing.half_depth import decode_half, encode_half


@dataclass(frozen=True)
class Cost:
    """Seconds that passed and of the processor."""

    wall: float
    processor: float


Rounds = Mapping[str, list[Cost]]


def take_turns(readers: Mapping[str, Callable[[int], object]], rounds: int) -> Rounds:
    """Return what each reader costs in every round; the first round does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in readers}
    for number in range(rounds + 1):
        for name, read in readers.items():
            wall, processor = time.perf_counter(), time.process_time()
            kept = read(number)
            cost = Cost(time.perf_counter() - wall, time.process_time() - processor)
            del kept
            if number:
                costs[name].append(cost)
    return costs


def report(what: str, costs: Rounds, aims: Mapping[str, float]) -> None:
    """One line of the table for each reader."""
    for name, found in costs.items():
        wall = [one.wall / two.wall for one, two in zip(costs[ORIGINAL], found, strict=True)]
        processor = [
            one.processor / max(two.processor, 1e-9)
            for one, two in zip(costs[ORIGINAL], found, strict=True)
        ]
        seconds = statistics.median(cost.wall for cost in found)
        aim = f"{aims[name]:g}x" if name in aims else ""
        cpu = _ratios(processor) if any(cost.processor for cost in found) else ""
        row(what, name, f"{seconds * 1e3:.1f} ms", _ratios(wall), cpu, aim)


def _ratios(values: list[float]) -> str:
    return f"{statistics.median(values):.1f}x ({min(values):.1f}-{max(values):.1f})"


def row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def compare_samples(folder: Path, num_frames: int, rounds: int) -> None:
    """A K12 sample, and nine frames of each view."""
    requests = (
        Request("K12", latents=True, depth=True, frames_per_view=2),
        Request("9 frames x 6 views", latents=False, depth=False, frames_per_view=9),
    )
    aims = (
        {"train lean": 20, "train f32": 12, "compat lean": 10},
        {"train lean": 15, "compat lean": 8},
    )
    kinds = [ORIGINAL, *(f"{name} {dtype}" for name in ENCODINGS for dtype in ("lean", "f32"))]
    for request, aim in zip(requests, aims, strict=True):
        readers = {kind: reader_of(folder, kind, request, num_frames) for kind in kinds}
        report(request.name, take_turns(readers, rounds), aim)


def compare_parts(folder: Path, num_frames: int, rounds: int) -> None:
    """Latents alone, and one depth map."""
    dataset, original = SceneDataset(folder / "train"), folder / ORIGINAL
    latents = {
        ORIGINAL: lambda _: [read_latents(original / f"latent/{view}.pkl") for view in EVERY_VIEW],
        "half": lambda _: dataset.read_fields("scene", ["latents"], as_stored=True),
    }
    report("six latents", take_turns(latents, rounds), {"half": 20})
    frame = num_frames // 2
    depth = read_depths(original / "depth/0.zip", [frame])[0].numpy()
    blob = encode_half(depth)
    assert (decode_half(blob, *depth.shape) == depth.astype("float16")).all()
    maps = {
        ORIGINAL: lambda _: read_depths(original / "depth/0.zip", [frame]),
        "half": lambda _: decode_half(blob, *depth.shape),
    }
    report("a depth map", take_turns(maps, 5 * rounds), {"half": 2.5})


def compare_workers(folder: Path, num_frames: int, num_samples: int, rounds: int) -> None:
    """K12 samples through a DataLoader of two workers, after the first two."""
    request = Request("K12", latents=True, depth=True, frames_per_view=2)
    kinds = [ORIGINAL, "train lean", "compat lean"]
    costs: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            read = reader_of(folder, kind, request, num_frames)
            costs[kind].append(Cost(read_by_workers(read, num_samples), 0.0))
    report("K12, 2 workers", costs, {"train lean": 15, "compat lean": 8})


def compare_cold(folder: Path, num_frames: int, rounds: int) -> None:
    """Measure from opening to the first K12 sample, in a new process, nothing in the page cache."""
    kinds = [ORIGINAL, "train lean", "compat lean"]
    costs: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            costs[kind].append(Cost(*cold_sample(folder, kind, num_frames, number)))
    report("first K12, cold", costs, {"train lean": 6, "compat lean": 6})


def compare_memory(folder: Path, num_frames: int) -> None:
    original = peak_memory(folder, ORIGINAL, num_frames)
    for kind in ("train lean", "train f32", "compat lean"):
        found = peak_memory(folder, kind, num_frames)
        share = f"{found.peak / original.peak:.2f}x"
        above = (found.peak - found.imports) / (original.peak - original.imports)
        told = f"{found.peak} MiB ({found.imports} imports) of {original.peak} ({original.imports})"
        row("peak memory", kind, told, share, f"{above:.2f}x less imports", "0.55x")


def compare_sizes(folder: Path) -> None:
    def size(path: Path) -> int:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    aims = {"": "0.60x", "depth": "0.62x", "latent": "0.34x", "rgb": ""}
    for name in ENCODINGS:
        for part, aim in aims.items():
            ours, original = size(folder / name / "data" / part), size(folder / ORIGINAL / part)
            told = f"{ours / 1e6:.1f} MB of {original / 1e6:.1f}"
            row(f"disk, {part or 'all'}", name, told, f"{ours / original:.2f}x", "", aim)


def compare_remote(folder: Path, num_frames: int) -> None:
    """Bytes and requests of a first K12 sample, against the original's whole files."""
    system = fsspec.filesystem("memory")
    whole = sum(path.stat().st_size for path in (folder / ORIGINAL).rglob("*.*"))
    for name in ENCODINGS:
        for path in (folder / name).rglob("*"):
            if path.is_file():
                place = path.relative_to(folder).as_posix()
                system.pipe_file(f"/benchmark/{place}", path.read_bytes())
        modalities = ("rgb", "latent", "depth", "camera")
        dataset = SceneDataset(f"memory://benchmark/{name}", modalities=modalities)
        assert isinstance(dataset.files.ranges, RemoteFiles)
        dataset[0].read(latents=EVERY_VIEW, frames=draw_frames(1, num_frames, 2))
        found, requests = dataset.files.ranges.num_bytes, dataset.files.ranges.num_requests
        told = f"{found / 1e6:.1f} MB, {requests} requests"
        row("K12 from afar", name, told, f"{found / whole:.3f}x", "", "0.16x, 40")


def run(folder: Path, options: argparse.Namespace) -> None:
    content = Content(
        options.frames, options.height, options.width, options.noise, options.pictures
    )
    prepare(folder, content)
    sizes = [path.stat().st_size / 1e6 for path in (folder / ORIGINAL / "rgb").iterdir()]
    print(f"{content}; MP4s of {min(sizes):.1f} to {max(sizes):.1f} MB")
    print(f"read through {'decord' if has_decord() else 'PyAV'}; load {os.getloadavg()}")
    row("what", "reader", "result", "against the original", "by processor time", "aim")
    row(*(["---"] * 6))
    compare_samples(folder, options.frames, options.rounds)
    compare_parts(folder, options.frames, options.rounds)
    compare_sizes(folder)
    compare_remote(folder, options.frames)
    compare_memory(folder, options.frames)
    compare_cold(folder, options.frames, options.rounds)
    compare_workers(folder, options.frames, options.samples, min(options.rounds, 3))
    print(f"load at the end: {os.getloadavg()}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Reading speed and size.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--pictures", help="a folder of pictures and videos")
    parser.add_argument("--noise", type=float, default=0.5)
    parser.add_argument("--height", type=int, default=704)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=8, help="of each reader with workers")
    parser.add_argument("--quick", action="store_true", help="176x320, 25 frames, 2 rounds")
    options = parser.parse_args()
    if options.quick:
        options.height, options.width, options.frames = 176, 320, 25
        options.rounds, options.samples = 2, 4
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.folder is not None:
        return run(options.folder, options)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), options)


if __name__ == "__main__":
    main()
