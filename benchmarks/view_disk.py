"""Disk that full-size views take, every copy of them, by the form in which `generate` keeps them.

    python -m benchmarks.view_disk --pictures FOLDER

Views of FOLDER's pictures and videos (else of scikit-image's photos) go through `generate` and
`package` as they are, only that nothing has to be made. Bytes are those of the disk's blocks, a
file with several names counted once; the peak is the most that was seen, ten times a second.
Claim: once packaged, views that are kept as the dataset keeps them take at most 1.15 times what the
dataset holds, and the dataset is the same to the byte.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.dataset_content import make_view
from lyra_data.clips.store import write_clip
from lyra_data.dataset.generated_views import DatasetViews
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_views
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.jobs import Job
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())
FOLDERS = (
    ".work/generate",
    ".work/generate_scenes",
    "outputs/views",
    "outputs/encoded",
    ".work/package",
    "outputs/dataset",
)
TARGET_RATIO = 1.15


@dataclass(frozen=True)
class ContentMaker:
    """Gives views of the benchmark's content in place of a teacher's."""

    size: tuple[int, int, int]
    pictures: Path | None

    def __call__(self, params: GenerateParams, placement: Placement) -> ContentMaker:
        del params, placement
        return self

    @property
    def fingerprints(self) -> Mapping[str, str]:
        return {"teacher": "content", "teacher_fingerprint": "benchmark"}

    def make(self, clip: Clip, job: Job) -> View:
        del clip
        view = make_view(job.view_index, *self.size, 0.0, self.pictures)
        named = {"scene_id": job.scene_id, "trajectory": job.trajectory}
        return dataclasses.replace(view, view_index=job.view_index, **named)


@dataclass(frozen=True)
class Disk:
    """Bytes of the disk after both stages.

    Attributes:
        folders: by folder; a file that has several names counts in the first one's.
        peak: the most that all took at once.
        content: hash of the dataset.
        seconds: of the processor, of `package`.
    """

    folders: Mapping[str, int]
    peak: int
    content: str
    seconds: float

    @property
    def total(self) -> int:
        return sum(self.folders.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--height", type=int, default=704)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; else a temporary one")
    options = parser.parse_args()
    maker = ContentMaker((options.frames, options.height, options.width), options.pictures)
    disks = {}
    for store in ("lossless", "compat"):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            disks[store] = measure(Path(folder), store, options.views, maker)
    report(disks, options.views)


def measure(root: Path, store: str, num_views: int, maker: ContentMaker) -> Disk:
    """Generate and package views of one scene below `root`."""
    values = {**PARAMS["generate"], "num_frames": maker.size[0], "store": store}
    names = PARAMS["generate"]["trajectories"]["names"][:num_views]
    values["trajectories"] = {**values["trajectories"], "names": names}
    values["quality"] = dict.fromkeys(values["quality"])
    write_clip(_clip(), root / "clips" / "scene")
    with _watched(root) as peak:
        generate_views(
            GenerateParams.parse(values, where="generate"),
            seed=1,
            clips=root / "clips",
            views=root / "outputs" / "views",
            scratch=root / ".work",
            progress=silent,
            maker=maker,  # type: ignore[arg-type]
            held=DatasetViews(root / "outputs" / "dataset"),
        )
        began = time.process_time()
        manifest = package_views(
            PackageParams(
                scenes_per_shard=64,
                validation_fraction=0.0,
                validation_scenes=(),
                rgb="compat",
                depth="half",
                latents="half",
            ),
            views=root / "outputs" / "views",
            dataset=root / "outputs" / "dataset",
            scratch=root / ".work",
            progress=silent,
        )
        seconds = time.process_time() - began
    folders = disk_of([root / folder for folder in FOLDERS])
    return Disk(dict(zip(FOLDERS, folders, strict=True)), peak[0], manifest.dataset_hash, seconds)


def disk_of(folders: Sequence[Path]) -> list[int]:
    """Return the bytes of the blocks below each folder, every file counted once."""
    counted: set[tuple[int, int]] = set()
    sizes = []
    for folder in folders:
        size = 0
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # it was renamed meanwhile
                    status = os.lstat(Path(parent) / name)
                    if (status.st_dev, status.st_ino) not in counted:
                        counted.add((status.st_dev, status.st_ino))
                        size += 512 * status.st_blocks
        sizes.append(size)
    return sizes


def report(disks: Mapping[str, Disk], num_views: int) -> None:
    held = disks["compat"].folders["outputs/dataset"]
    print("| | " + " | ".join(f"generate.store: {store}" for store in disks) + " |")
    print("| --- |" + " --- |" * len(disks))
    for folder in FOLDERS:
        cells = (f"{disk.folders[folder] / num_views / 1e6:.1f} MB" for disk in disks.values())
        print(f"| {folder} | {' | '.join(cells)} |")
    for name, sizes in (
        ("all copies", {store: disk.total for store, disk in disks.items()}),
        ("at the peak", {store: disk.peak for store, disk in disks.items()}),
    ):
        cells = (
            f"{size / num_views / 1e6:.1f} MB, {size / held:.2f} x the dataset"
            for size in sizes.values()
        )
        print(f"| {name} | {' | '.join(cells)} |")
    cells = (f"{disk.seconds / num_views:.2f} s" for disk in disks.values())
    print(f"| package, processor | {' | '.join(cells)} |")
    assert len({disk.content for disk in disks.values()}) == 1, "the datasets differ"
    ratio = disks["compat"].total / held
    print(f"compat: {ratio:.3f} times what the dataset holds (aim: at most {TARGET_RATIO})")


def _clip() -> Clip:
    """Return a clip that no view is made of; it has to be there."""
    cameras = Cameras(torch.eye(4)[None], torch.tensor([[16.0, 16.0, 8.0, 8.0]]), 16, 16)
    facts: dict[str, Any] = {"depth_scale": "metric", "fps": 24.0}
    return Clip(
        scene_id="scene",
        frames=torch.zeros(1, 3, 16, 16, dtype=torch.uint8),
        cameras=cameras,
        depth=torch.ones(1, 16, 16),
        depth_valid=torch.ones(1, 16, 16, dtype=torch.bool),
        **facts,
    )


@contextlib.contextmanager
def _watched(root: Path) -> Iterator[list[int]]:
    """Note the most bytes that lie below `root` while the block runs."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], *disk_of([root]))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
