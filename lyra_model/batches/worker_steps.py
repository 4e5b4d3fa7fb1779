"""Read steps in processes beside the one that trains, each ahead of it, in the order of the steps.

torch's DataLoader keeps the order, bounds what is ahead and sees that a worker died. It is asked
from the thread that reads ahead: in a main thread it would raise the death of a worker wherever the
training is at that moment.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator
from functools import partial
from multiprocessing.context import BaseContext
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from lyra_data.engine.child_processes import end_with_parent
from lyra_data.engine.errors import ExecutorError, LyraError
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.scene_inputs import SceneInputs
from lyra_model.batches.shared_values import SharedValue
from lyra_model.batches.step_reader import DrawReader, StepData
from lyra_model.batches.step_source import StepSetup, StepSource

OPTION = "--loader-workers"

STEPS_OF_WORKER = 1
"""Steps that each worker reads, or has read, before they are asked for."""


class WorkerSteps:
    """Reads steps by worker processes: the same data as a `StepSource` of the setup gives.

    It belongs to one thread, which has to live until `close`: workers end with it. In memory are at
    most STEPS_OF_WORKER steps for each worker, and what was read ahead of them.

    Args:
        cache_bytes: what may be kept of scenes, shared by the workers and this process.
    """

    def __init__(self, setup: StepSetup, *, num_workers: int, cache_bytes: int) -> None:
        self.setup, self.num_workers = setup, num_workers
        self._share = cache_bytes // (num_workers + 1)
        self._inputs: PartCache[SceneInputs] = PartCache(self._share)
        self._distances = setup.distances()
        self._steps: Iterator[SharedValue | Exception] | None = None
        self._next = 0

    def read(self, step: int) -> StepData:
        """Return a step, counted from 0; the workers go on with those after it.

        Raises:
            ExecutorError: a worker died, or there is not enough shared memory.
            LyraError: as `StepSource.read`, whichever worker met it.
        """
        if self._steps is None or step != self._next:
            self.close()
            self._steps = iter(self._loader(step))
        self._next = step + 1
        try:
            received = next(self._steps)
        except RuntimeError as error:
            raise _end_of_worker(error) from error
        if isinstance(received, Exception):
            raise received
        data: StepData = received.value()
        self._distances.judge(data.draw.scene_id, data.distant)
        return self._with_kept_inputs(data)

    def close(self) -> None:
        """End the workers."""
        self._steps = None

    def _loader(self, first: int) -> DataLoader[Any]:
        steps = _StepsOfWorker(self.setup, self.num_workers, self._share)
        return DataLoader(
            steps,
            batch_size=None,
            sampler=range(first, self.setup.num_steps),
            num_workers=self.num_workers,
            prefetch_factor=STEPS_OF_WORKER,
            multiprocessing_context=worker_context(),
            worker_init_fn=partial(begin_worker, os.getpid()),
            generator=torch.Generator(device="cpu"),  # else it would draw from torch's own
        )

    def _with_kept_inputs(self, data: StepData) -> StepData:
        """Take inputs that the codec has worked on before, where the same ones come again."""
        if not data.reads_all:
            return data
        inputs = self._inputs.get(data.draw.scene_id)
        if inputs is None:
            self._inputs.put(data.draw.scene_id, data.inputs, data.inputs.num_bytes)
            return data
        return StepData(data.draw, inputs, data.targets, data.reads_all, data.distant)


class _StepsOfWorker(Dataset[Any]):
    """The steps as one worker reads them; it builds its reader when it is asked first."""

    def __init__(self, setup: StepSetup, num_workers: int, cache_bytes: int) -> None:
        self._setup, self._num_workers, self._cache_bytes = setup, num_workers, cache_bytes
        self._source: StepSource | None = None

    def __getitem__(self, step: int) -> SharedValue | Exception:
        try:
            if self._source is None:
                cache: PartCache[Any] = PartCache(self._cache_bytes)
                reader = DrawReader(self._setup.dataset, self._setup.shape, cache=cache)
                self._source = self._setup.source(reader, stride=self._num_workers)
            data = self._source.look(step)
        except Exception as error:
            return _sendable(error, step)
        try:
            return SharedValue.of(data)
        except RuntimeError as error:
            return _no_shared_memory(str(error))


def worker_context() -> BaseContext:
    """Return what starts workers. A fork would copy the locks of torch's threads as they are."""
    return multiprocessing.get_context("spawn")


def begin_worker(parent: int, _number: int) -> None:
    """Begin the life of a worker process.

    Args:
        parent: process id of the one that trains.
    """
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the run ends its workers
    cv2.setNumThreads(1)  # each worker is one core's, as torch is told too


def _sendable(error: Exception, step: int) -> Exception:
    """Return an error as one that is known wherever it is sent, with its traceback where it is a
    fault of the program."""
    if isinstance(error, LyraError | OSError | MemoryError):
        return error
    lines = "".join(traceback.format_exception(error))
    return RuntimeError(f"step {step + 1} could not be read by a worker\n{lines}")


def _end_of_worker(error: RuntimeError) -> ExecutorError:
    """Return the error of a worker that died, as the DataLoader has it."""
    return ExecutorError(
        f"a process that reads steps ended before its time, perhaps for lack of memory: {error}",
        where=OPTION,
        fix="take fewer workers where memory is short, or 0; the same command goes on from the "
        "last state",
    )


def _no_shared_memory(reason: str) -> ExecutorError:
    return ExecutorError(
        f"there is not enough shared memory for a step: {reason.splitlines()[0]}",
        where=OPTION,
        fix="give more (`docker run --shm-size`, the size of /dev/shm), or take fewer workers, or "
        "0, which needs none",
    )
