"""Convert a dataset to WebDataset shards: tar files that are read front to end, a view a sample.

    SPLIT-000000.tar: KEY.mp4, KEY.json, KEY.camera_to_world.npy, KEY.intrinsics.npy,
                      KEY.latents.npy and, where there is depth, KEY.depth.npz

KEY is SCENE-VIEW, "." and "/" becoming "_"; of scenes whose names would then be one, also where a
file system takes capitals for small letters, SCENE-HASH-VIEW. All that a frame has is in the order
that a player shows the video in.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.convert.from_lyra import forget_work
from lyra_data.dataset.convert.to_webdataset_worker import SAMPLE_FILE, SampleTask, write_sample
from lyra_data.dataset.convert.view_items import ViewWritingSetup, scratch_beside, written_views
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.progress import Progress

SHARD_BYTES = 1 << 30
"""A shard that is as large takes no further sample."""


@dataclass(frozen=True)
class WrittenShards:
    """Facts of an export: what was written."""

    num_shards: int
    num_samples: int


def convert_to_webdataset(
    dataset: SceneDataset,
    output: Path,
    progress: Progress,
    *,
    shard_bytes: int = SHARD_BYTES,
    crew: Crew | None = None,
) -> WrittenShards:
    """Write the folder `output`; it appears whole or not at all.

    Workers write samples, this process puts them into shards; a killed run goes on with the samples
    it was at.

    Args:
        crew: how many workers, where; None: this process.

    Raises:
        CorruptDataError: the dataset has changed.
        ScenesFailedError: workers died over a view twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
        StorageError: the disk is full or cannot be written.
    """
    names = sample_names(scene.scene_id for scene in dataset.scenes)
    views = ((scene, view) for scene in dataset.scenes for view in scene.view_indices)
    tasks = [
        SampleTask(number, scene.scene_id, view, f"{names[scene.scene_id]}-{view:03d}", scene.split)
        for number, (scene, view) in enumerate(views)
    ]
    scratch = scratch_beside(output)
    setup = ViewWritingSetup(dataset, write_sample, scratch)
    crew = crew or Crew(device="cpu")
    items = written_views(setup, tasks, len(tasks), crew=crew, progress=progress)
    with folder_atomically(output) as temporary:
        shards = _Shards(temporary, shard_bytes)
        try:
            for task, item in zip(tasks, items, strict=True):
                shards.add(item / SAMPLE_FILE, task.split)
        finally:
            shards.close()
    forget_work(scratch)
    return WrittenShards(shards.num_shards, len(tasks))


def sample_names(scene_ids: Iterable[str]) -> dict[str, str]:
    """Return what stands for every scene in keys: no "." and no "/", and no two alike.

    Names are alike where they differ in capitals or in how accents are composed, too: unpacked on
    a file system that does not tell these apart, one sample would overwrite the other.
    """
    plain = {name: name.replace(".", "_").replace("/", "_") for name in scene_ids}
    counts = Counter(map(_folded, plain.values()))
    names: dict[str, str] = {}
    taken = {folded for folded, count in counts.items() if count == 1}
    for scene_id, name in plain.items():
        digest = hashlib.sha256(scene_id.encode()).hexdigest()
        length = 0 if counts[_folded(name)] == 1 else 8
        while length and _folded(f"{name}-{digest[:length]}") in taken:
            length += 8
        names[scene_id] = f"{name}-{digest[:length]}" if length else name
        taken.add(_folded(names[scene_id]))
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class _Shards:
    """One open shard a split."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder, self._limit = folder, shard_bytes
        self._open: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}

    @property
    def num_shards(self) -> int:
        return sum(self._numbers.values())

    def add(self, sample: Path, split: str) -> None:
        """Copy a sample, a piece of a tar, behind what stands in the split's shard."""
        shard: Any = self._of(split)
        with sample.open("rb") as file:
            shutil.copyfileobj(file, shard.fileobj)
        shard.offset += sample.stat().st_size

    def _of(self, split: str) -> tarfile.TarFile:
        shard: Any = self._open.get(split)
        if shard is not None and shard.offset >= self._limit:
            shard.close()
            shard = None
        if shard is None:
            number = self._numbers.get(split, 0)
            path = self._folder / f"{split}-{number:06d}.tar"
            shard = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            self._open[split] = shard
            self._numbers[split] = number + 1
        return shard

    def close(self) -> None:
        for shard in self._open.values():
            shard.close()
