"""Failed tasks, recorded by content key, so that nothing is tried in vain again.

Changed inputs, params or code make another key, and that one is tried. So is, a few times, a task
whose worker died: that is seldom the task's fault.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.documents import build_from_json
from lyra_data.engine.executors.base import WORKER_DIED
from lyra_data.engine.failures import FAILURES_FILE, Failure, record_failures
from lyra_data.engine.scratch import ScratchStore

if TYPE_CHECKING:
    from lyra_data.engine.remote_work import RemoteWork

FAILURE_FILE = "failure.json"
TRACEBACK_FILE = "traceback.txt"

MOST_ATTEMPTS = 3
"""Tries of a task whose workers die; after so many it is taken to be what kills them."""


def is_tried_again(failure: Failure) -> bool:
    """Return whether a recorded failure is tried again without being asked to."""
    return failure.kind == WORKER_DIED and failure.attempts < MOST_ATTEMPTS


class FailedTasks:
    """Records the failures of one stage in a scratch folder.

    Args:
        scratch: scratch folder of the whole pipeline (".work").
        stage: name of the records' folder in it.
        remote: where records are kept besides, the stage's listed; None: nowhere.
    """

    def __init__(self, scratch: Path, stage: str, remote: RemoteWork | None = None) -> None:
        self._store = ScratchStore(scratch, stage, remote)

    @property
    def list_file(self) -> Path:
        """Return the file of the last run's failures, those of earlier runs among them."""
        return self._store.folder / FAILURES_FILE

    def get(self, key: str) -> Failure | None:
        """Return how the task of this key failed, or None where it did not (yet)."""
        folder = self._store.get(key)
        if folder is None:
            return None
        return build_from_json(
            folder / FAILURE_FILE,
            lambda values: Failure(**values),
            kind="record of a failure",
            fix=f"delete {folder}, and run it again",
        )

    def put(self, key: str, failure: Failure, traceback: str = "") -> Failure:
        """Record a failure, with the traceback where it is a fault of the program.

        Returns:
            The failure as recorded: its reason says where the traceback lies, relative to the
            folder of params.yaml.

        Raises:
            StorageError: the disk is full, read-only or not permitted.
        """
        if traceback:
            store = self._store.folder
            file = f"{store.parent.name}/{store.name}/{key}/{TRACEBACK_FILE}"
            failure = replace(failure, reason=f"{failure.reason}\nTraceback: {file}")
        self.forget(key)
        with self._store.put(key) as folder:
            text = json.dumps(failure.as_json(), ensure_ascii=False)
            (folder / FAILURE_FILE).write_text(text + "\n", encoding="utf-8")
            if traceback:
                (folder / TRACEBACK_FILE).write_text(traceback, encoding="utf-8")
        return failure

    def put_lost(self, key: str, failure: Failure) -> Failure:
        """Record that the task's worker died, and how often that happened by now."""
        known = self.get(key)
        before = known.attempts if known is not None and known.kind == WORKER_DIED else 0
        return self.put(key, replace(failure, attempts=before + 1))

    def forget(self, key: str) -> None:
        """Remove the record of a task that is to be tried again, or did well this time."""
        self._store.remove(key)

    def write_list(self, failures: list[Failure]) -> None:
        """Keep the failures of a run in `list_file`; without any, remove that file."""
        if not failures:
            self.list_file.unlink(missing_ok=True)
            return
        with storage_errors(self.list_file):
            self._store.folder.mkdir(parents=True, exist_ok=True)
            record_failures(failures, self._store.folder)
