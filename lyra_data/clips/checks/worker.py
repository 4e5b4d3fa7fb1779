"""The work of checking clips, one after another; nothing is written."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lyra_data.clips.checks.clip_check import CheckedClip, check_clip_folder
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.all_or_nothing import AllOrNothing, results_of_all
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress


@dataclass(frozen=True)
class ClipTask:
    """Check one clip.

    Attributes:
        number: place among the clips that are checked.
    """

    number: int
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name


@dataclass(frozen=True)
class ClipCheckSetup:
    """Holds what a worker needs to check any clip: nothing but the rules."""

    def build(self, placement: Placement) -> AllOrNothing:
        del placement  # rules are computed on the CPU
        return AllOrNothing(lambda task: check_clip_folder(task.folder))


def check_clip_folders(
    folders: Sequence[Path], *, crew: Crew, progress: Progress
) -> list[CheckedClip]:
    """Check stored clips, each as `check_clip_folder` does; return them in their order.

    Raises:
        InputError: there is no clip in one of the folders.
        ScenesFailedError: workers died over a clip twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
    """
    if not folders:
        return []
    queue = TaskQueue(
        itertools.starmap(ClipTask, enumerate(folders)), len(folders), "Checking", "clip"
    )
    with open_executor(ClipCheckSetup(), crew.for_tasks(len(folders))) as executor:
        return results_of_all(queue, executor, progress)
