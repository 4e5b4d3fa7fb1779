"""Views of a dataset that workers write, each into an item of the scratch store.

An item holds what a view becomes in another layout. It waits there under a key of all that shapes
it, so that a killed conversion writes only the views again that it was at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lyra_data.dataset.convert.from_lyra_worker import STAGE
from lyra_data.dataset.convert.stored_views import StoredView
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import remove_leftovers
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.all_or_nothing import AllOrNothing, results_of_all
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.hashing import content_key
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.scratch import ScratchStore


class ViewTask(Protocol):
    """Write one view, unless it is found written; a frozen dataclass of plain values."""

    @property
    def number(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def scene_id(self) -> str: ...

    @property
    def view_index(self) -> int: ...


@dataclass(frozen=True)
class ViewWritingSetup:
    """Holds everything that a worker needs to write any view of a dataset.

    Attributes:
        write: writes a view of a task into an empty folder; a function of a module.
        scratch: folder where written views wait; one that all workers share.
    """

    dataset: SceneDataset
    write: Callable[[StoredView, Any, Path], None]
    scratch: Path

    def build(self, placement: Placement) -> AllOrNothing:
        del placement  # encoders run on the CPU
        store = ScratchStore(self.scratch, STAGE)
        return AllOrNothing(lambda task: self._finish(task, store))

    def _finish(self, task: ViewTask, store: ScratchStore) -> str:
        """Return the view's key in the scratch store."""
        key = content_key(
            [
                self.dataset.manifest.manifest_hash,
                {name: value for name, value in vars(task).items() if name != "number"},
                code_fingerprint(self.write.__module__),
            ]
        )
        if store.get(key) is None:
            with store.put(key) as item:
                self.write(StoredView(self.dataset[task.scene_id], task.view_index), task, item)
        return key


def written_views(
    setup: ViewWritingSetup,
    tasks: Iterable[ViewTask],
    num_tasks: int,
    *,
    crew: Crew,
    progress: Progress,
) -> list[Path]:
    """Write every view that is not written yet; return their items in the order of the tasks.

    Raises:
        InputError: a value that the layout cannot hold.
        CorruptDataError: the dataset has changed.
        ScenesFailedError: workers died over a view twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
        StorageError: the disk is full or cannot be written.
    """
    queue = TaskQueue(tasks, num_tasks, "Writing", "view")
    folder = setup.scratch / STAGE
    try:
        with open_executor(setup, crew.for_tasks(num_tasks)) as executor:
            return [folder / key for key in results_of_all(queue, executor, progress)]
    finally:
        if folder.is_dir():  # what workers left that were stopped at their work
            remove_leftovers(folder)


def scratch_beside(output: Path) -> Path:
    """Return the scratch folder of a conversion to `output`."""
    return output.resolve().parent / ".work"
