"""The work of finding duplicates: the perceptual hash of each scene's first picture."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt64

from lyra_data.dataset.editing.likeness import perceptual_hash
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.all_or_nothing import AllOrNothing, results_of_all
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.media.png_data import decode_png

SCENES_OF_A_TASK = 16
"""A scene takes milliseconds: less than to hand it over."""


@dataclass(frozen=True)
class ScenesTask:
    """Hash the first pictures of some scenes that follow each other.

    Attributes:
        number: place among the tasks of the dataset.
        begin, end: positions of the scenes in the manifest.
    """

    number: int
    begin: int
    end: int

    @property
    def name(self) -> str:
        return f"scenes {self.begin} to {self.end - 1}"


@dataclass(frozen=True)
class HashingSetup:
    """Holds what a worker needs to hash any scene: the open dataset."""

    dataset: OpenedDataset

    def build(self, placement: Placement) -> AllOrNothing:
        del placement  # pictures are hashed on the CPU
        return AllOrNothing(self._hashes)

    def _hashes(self, task: ScenesTask) -> list[int]:
        scenes = self.dataset.scenes[task.begin : task.end]
        return [perceptual_hash(first_picture(self.dataset, entry)) for entry in scenes]


def picture_hashes(
    dataset: OpenedDataset, *, crew: Crew, progress: Progress
) -> UInt64[np.ndarray, " scene"]:
    """Return the hash of every scene's first picture, in the dataset's order.

    Raises:
        CorruptDataError: bytes of the dataset have changed.
        ScenesFailedError: workers died over a scene twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
    """
    begins = range(0, len(dataset.scenes), SCENES_OF_A_TASK)
    tasks = [
        ScenesTask(number, begin, min(begin + SCENES_OF_A_TASK, len(dataset.scenes)))
        for number, begin in enumerate(begins)
    ]
    queue = TaskQueue(tasks, len(tasks), "Hashing", "group")
    with open_executor(HashingSetup(dataset), crew.for_tasks(len(tasks))) as executor:
        hashes = results_of_all(queue, executor, progress)
    return np.array([*itertools.chain(*hashes)], np.uint64)


def first_picture(dataset: OpenedDataset, entry: SceneEntry) -> np.ndarray:
    """Return the source's first picture, small, RGB: the thumbnail of the first forward view."""
    rows = dataset.preview(entry, ["motion_reversed"])
    first = next((n for n, row in enumerate(rows) if not row["motion_reversed"]), 0)
    thumbnails = dataset.stored(entry).table("preview", ["thumbnail"])["thumbnail"]
    with file_at_fault(
        f"scene {entry.scene_id}",
        kind="thumbnail",
        fix="package the dataset again",
        error=CorruptDataError,
    ):
        picture = decode_png(thumbnails[first].as_py()["bytes"], cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
