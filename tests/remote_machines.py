"""Machines that share an address and no folder, each with its own scratch folder or project."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from typer.testing import CliRunner

from lyra_data.engine.hashing import content_key
from lyra_data.engine.remote_folder import RemoteFolder
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.engine.scratch import ScratchStore
from stages.cli import app
from tests.children import kill_after_first, succeeds_in_fresh_process
from tests.factories import make_frames
from tests.pipeline.project import HEIGHT, WIDTH, Project, write_source

KEY = content_key("one")
SCENES = ("wall", "second", "third")
RESULTS = {"annotate": "outputs/clips", "generate": "outputs/views", "package": "outputs/dataset"}


class Machine:
    """A scratch folder of its own, and work at an address that others use too."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address

    def store(self, stage: str = "generate") -> ScratchStore:
        """Return the store of a new run, which lists what is finished."""
        return ScratchStore(self.folder, stage, RemoteWork.at(self.address).listed(stage))

    def put(
        self, key: str = KEY, text: str = "finished", store: ScratchStore | None = None
    ) -> None:
        with (store or self.store()).put(key) as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "result").write_text(text)
            (folder / "notes").write_text("notes")

    def read(self, key: str = KEY) -> str | None:
        item = self.store().get(key)
        return None if item is None else (item / "deep" / "result").read_text()

    def listed(self) -> list[str]:
        """Return the keys of all items that count."""
        names = RemoteFolder(self.address).list_names("finished/generate")
        return [name.removesuffix(".json") for name in names]


def kill_and_look(folder: Path, address: str, seconds: float) -> None:
    """Kill a machine some time after it sent its first item: what is listed afterwards is whole,
    and what it had finished and not sent, its next run sends."""
    machine, reader = Machine(folder / "killed", address), Machine(folder / "reader", address)
    # A fresh process has the environment that the first one was started with.
    variables = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    arguments = (machine.folder, address, seconds, variables)
    assert succeeds_in_fresh_process(_kill_at_some_moment, *arguments)
    listed = reader.listed()
    store = reader.store()
    assert listed and all(store.get(key) is not None for key in listed)
    again = machine.store()
    mine = [path.name for path in (machine.folder / "generate").iterdir() if len(path.name) == 64]
    whole = [key for key in mine if again.get(key) is not None]
    assert set(whole) >= set(listed)
    assert sorted(reader.listed()) == sorted(whole)


def _kill_at_some_moment(
    folder: Path, address: str, seconds: float, variables: dict[str, str]
) -> None:
    os.environ.update(variables)
    kill_after_first(seconds, _rounds(folder, address))


def _rounds(folder: Path, address: str) -> Iterator[None]:
    """Put one item after another, each of a megabyte, as a run does."""
    store = Machine(folder, address).store()
    for number in range(10_000):
        with store.put(content_key(number)) as item:
            (item / "data").write_bytes(secrets.token_bytes(1 << 20))
        yield


def lyra_data(root: Path, *arguments: str, expect: int = 0) -> dict[str, Any]:
    """Run the command line in this process."""
    before = Path.cwd()
    os.chdir(root)
    try:
        done = CliRunner().invoke(app, [*arguments, "--json"])
    finally:
        os.chdir(before)
    assert done.exit_code == expect, done.output
    return json.loads(done.stdout) if done.stdout.startswith("{") else {"text": done.output}


def made_project(root: Path) -> Project:
    """Three scenes of different pictures."""
    project = Project(root)
    for seed, name in enumerate(SCENES[1:], start=1):
        write_source(root / "inputs" / name)
        frame = make_frames(1, HEIGHT, WIDTH, seed=seed)[0].permute(1, 2, 0).numpy()
        Image.fromarray(frame).save(root / "inputs" / name / "image.png")
    sources = [{"name": "files", "folder": f"inputs/{name}", "scene_id": name} for name in SCENES]
    project.change("annotate", "sources", to=sources)
    return project
