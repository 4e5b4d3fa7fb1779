"""Failed jobs: what was tried and failed, by content key, so that it is not tried in vain again.

Changed inputs, params or code make another key, and that one is tried. So is, a few times, a job
whose worker died: that is seldom the job's fault.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.failures import FAILURES_FILE, Failure, record_failures
from lyra_data.engine.scratch import ScratchStore

STAGE = "generate_failures"
FAILURE_FILE = "failure.json"
TRACEBACK_FILE = "traceback.txt"

WORKER_DIED = "WorkerDied"
"""Kind of failure of a job whose worker died: killed, out of memory, its GPU or node gone."""
MOST_ATTEMPTS = 3
"""At a job whose workers die; after so many it is taken to be what kills them."""


def is_tried_again(failure: Failure) -> bool:
    """Whether a recorded failure is tried again without being asked to."""
    return failure.kind == WORKER_DIED and failure.attempts < MOST_ATTEMPTS


class FailedJobs:
    """The failures recorded in a scratch folder.

    Args:
        scratch: scratch folder of the whole pipeline (".work").
    """

    def __init__(self, scratch: Path) -> None:
        self._store = ScratchStore(scratch, STAGE)

    @property
    def list_file(self) -> Path:
        """All failures of the last run, those of runs before among them."""
        return self._store.folder / FAILURES_FILE

    def get(self, key: str) -> Failure | None:
        """How the job of this key failed, or None where it did not (yet)."""
        folder = self._store.get(key)
        if folder is None:
            return None
        return Failure(**json.loads((folder / FAILURE_FILE).read_text(encoding="utf-8")))

    def put(self, key: str, failure: Failure, traceback: str = "") -> Failure:
        """Record a failure, with the traceback where it is a fault of the program.

        Returns:
            The failure as recorded: its reason says where the traceback lies, relative to the
            folder of params.yaml.

        Raises:
            StorageError: the disk is full, read-only or not permitted.
        """
        if traceback:
            place = f"{self._store.folder.parent.name}/{STAGE}/{key}/{TRACEBACK_FILE}"
            reason = f"{failure.reason}\nTraceback: {place}"
            failure = replace(failure, reason=reason)
        self.forget(key)
        with self._store.put(key) as folder:
            text = json.dumps(failure.as_json(), ensure_ascii=False)
            (folder / FAILURE_FILE).write_text(text + "\n", encoding="utf-8")
            if traceback:
                (folder / TRACEBACK_FILE).write_text(traceback, encoding="utf-8")
        return failure

    def put_lost(self, key: str, failure: Failure) -> Failure:
        """Record that the job's worker died, and how often that happened by now."""
        known = self.get(key)
        before = known.attempts if known is not None and known.kind == WORKER_DIED else 0
        return self.put(key, replace(failure, attempts=before + 1))

    def forget(self, key: str) -> None:
        """The job is to be tried again, or did well this time."""
        folder = self._store.folder / key
        if folder.is_dir():
            with storage_errors(folder):
                shutil.rmtree(folder)

    def write_list(self, failures: list[Failure]) -> None:
        """Keep the failures of a run in `list_file`; without any, the file goes."""
        if not failures:
            self.list_file.unlink(missing_ok=True)
            return
        with storage_errors(self.list_file):
            self._store.folder.mkdir(parents=True, exist_ok=True)
            record_failures(failures, self._store.folder)
