"""A stand-in for ViewMaker that costs nothing, fails on demand and logs what it is asked.

Picklable, so that it reaches worker processes; what they do is read from its log.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from lyra_data.clips.store import write_clip
from lyra_data.engine.errors import InputError, ParamsError, StorageError
from lyra_data.engine.placement import Placement
from lyra_data.generation.jobs import Job
from lyra_data.generation.params import GenerateParams
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from tests.children import wait_until
from tests.factories import make_clip, make_view
from tests.goldens import REPOSITORY

TEACHER = "stub-1"


def fail_as_input(job: Job) -> None:
    raise InputError("nothing to see from there", where=f"scene {job.scene_id}", fix="turn round")


def fail_as_params(job: Job) -> None:
    raise ParamsError("the weights are missing", where="params.yaml", fix="pull them")


def fail_as_bug(job: Job) -> None:
    raise ZeroDivisionError(f"a bug of many lines\nin {job.trajectory}")


def fail_for_want_of_space(job: Job) -> None:
    raise StorageError("cannot write: No space left on device", where="disk", fix="free space")


def fail_for_want_of_memory(job: Job) -> None:
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def fail_as_gpu(job: Job) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors")


def die(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS = {
    "input": fail_as_input,
    "params": fail_as_params,
    "bug": fail_as_bug,
    "space": fail_for_want_of_space,
    "memory": fail_for_want_of_memory,
    "gpu": fail_as_gpu,
    "die": die,
}


@dataclass(frozen=True)
class StubMaker:
    """Makes StubMakers' makers: call it as `ViewMaker` is called.

    Attributes:
        log: a line a maker that loads its models, and a line a job.
        faults: what goes wrong, by name of the job ("scene/left"); "die:2": twice.
        slow: jobs that end only when so many have begun, by name.
    """

    log: Path
    faults: Mapping[str, str] = field(default_factory=dict)
    slow: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, params: GenerateParams, placement: Placement) -> _Stub:
        return _Stub(self, placement)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def jobs(self) -> list[str]:
        """What was begun, sorted."""
        return sorted(line.removeprefix("job ") for line in self.lines() if line[:4] == "job ")

    def loads(self) -> list[str]:
        """The process that loaded models, once for each time it did."""
        return [line for line in self.lines() if line.startswith("load ")]


class _Stub:
    def __init__(self, told: StubMaker, placement: Placement) -> None:
        self._told = told
        self._placement = placement
        self._is_loaded = False

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"teacher": "stub", "teacher_fingerprint": TEACHER}

    def make(self, clip: Clip, job: Job) -> View:
        if not self._is_loaded:
            self._say(f"load {os.getpid()} {self._placement.device}")
            self._is_loaded = True
        self._say(f"job {job.name}")
        num_others = self._told.slow.get(job.name, 0)
        wait_until(lambda: len(self._told.jobs()) >= num_others)
        fault = self._told.faults.get(job.name)
        if fault is not None:
            kind, _, times = fault.partition(":")
            if not times or self._told.jobs().count(job.name) <= int(times):
                FAULTS[kind](job)
        name = f"{job.trajectory}{job.motion_reversed}"
        view = make_view(job.scene_id, trajectory=job.trajectory, seed=len(name))
        return replace(
            view,
            view_index=job.view_index,
            motion_reversed=job.motion_reversed,
            seed=job.teacher_seed,
        )

    def _say(self, line: str) -> None:
        with self._told.log.open("a") as file:
            file.write(f"{line}\n")


@dataclass(frozen=True)
class HeldMaker:
    """Makes views as a StubMaker, but those of `held` wait until `folder` has a file `go`.

    Attributes:
        held: names of jobs.
    """

    folder: Path
    held: tuple[str, ...]

    @property
    def stub(self) -> StubMaker:
        return StubMaker(self.folder / "log")

    def __call__(self, params: GenerateParams, placement: Placement) -> _Held:
        return _Held(self, self.stub(params, placement))

    def waiting(self) -> list[tuple[str, str]]:
        """Return the process and the job of all that waited."""
        file = self.folder / "waiting"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(line.split()[0], line.split()[1]) for line in lines]


class _Held:
    def __init__(self, told: HeldMaker, maker: _Stub) -> None:
        self._told, self._maker = told, maker
        self.fingerprints = maker.fingerprints

    def make(self, clip: Clip, job: Job) -> View:
        view = self._maker.make(clip, job)
        if job.name in self._told.held:
            with (self._told.folder / "waiting").open("a") as file:
                file.write(f"{os.getpid()} {job.name}\n")
            while not (self._told.folder / "go").exists():
                time.sleep(0.1)
        return view


def stub_params(*trajectories: str, **changes: object) -> GenerateParams:
    """The committed params with these trajectories, and no limits on quality."""
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["generate"]
    values["num_frames"] = 9
    if trajectories:
        values["trajectories"]["names"] = list(trajectories)
    values["quality"] = dict.fromkeys(values["quality"])
    return GenerateParams.parse({**values, **changes}, where="generate")


def write_clips(folder: Path, *scene_ids: str, num_frames: int = 1) -> Path:
    for scene_id in scene_ids:
        clip = replace(make_clip(num_frames=num_frames), scene_id=scene_id)
        write_clip(clip, folder / scene_id)
    return folder
