"""Pull from a Hub of our own, in this process: what the command says, what the server sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from stages.cli import app
from tests.hub.server import HubState, client_pointed_at

SCENES = "lab/scenes"
KEY = "datasets/lab/scenes"


@dataclass
class Pull:
    """The command in a folder of its own, against a Hub."""

    state: HubState
    endpoint: str
    folder: Path
    token: str | None = None

    def __call__(self, *arguments: str) -> tuple[int, str]:
        with client_pointed_at(self.endpoint, self.folder / "home", token=self.token):
            environment = {"COLUMNS": "200", "LYRA_CACHE": str(self.folder / "cache")}
            done = CliRunner().invoke(app, ["pull", *arguments], env=environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    def into(self, name: str, *arguments: str) -> tuple[int, str]:
        """Pull into the folder of that name, without asking."""
        return self(*arguments, "--yes", "--output", str(self.folder / name))

    def bytes_of(self, part: str, key: str = KEY) -> int:
        """Return how many bytes of files whose name holds `part` the server has sent."""
        sent = self.state.records.bytes_served
        return sum(num for (owner, name), num in sent.items() if owner == key and part in name)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
