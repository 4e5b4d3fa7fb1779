"""DVC remotes: what is pushed comes back in a fresh clone, whose pipeline has nothing to run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import fsspec
import pytest
import yaml
from typer.testing import CliRunner

from lyra_data.engine.errors import InputError
from stages.cli import app
from stages.verbs.remote_trial import try_remote
from tests.hub import s3_gateway, s3_server
from tests.hub.s3_gateway import Gateway, running_gateway
from tests.hub.s3_server import running_s3_server
from tests.pipeline.project import tiny_params, write_source

PIPELINE = """\
stages:
  double:
    cmd: cat inputs/word inputs/word > outputs/twice
    deps: [inputs]
    outs: [outputs/twice]
  folder:
    cmd: mkdir outputs/many && cp outputs/twice outputs/many/a && cp inputs/word outputs/many/b
    deps: [outputs/twice]
    outs: [outputs/many]
"""

HUB_ADDRESS = f"hf://buckets/{s3_gateway.NAMESPACE}/{s3_gateway.BUCKET}"

GIT_USER = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


class Clone:
    """A project in a folder, whose commands run with a home and an environment of their own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        kept = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        home = folder.parent / "home"
        home.mkdir(exist_ok=True)
        own = {"PATH": path, "HOME": str(home), "DVC_NO_ANALYTICS": "1"}
        self.environment = {**kept, **GIT_USER, **own, **environment}

    def run(self, *command: str, expect: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def local(self, settings: Mapping[str, str]) -> None:
        """Set keys of the remote in .dvc/config.local, which git ignores."""
        for name, text in settings.items():
            self.run("dvc", "remote", "modify", "--local", "storage", name, text)


def made_project(folder: Path, *remote: str) -> Clone:
    """Make a project with a remote; its two stages are quick ones."""
    folder.parent.mkdir(exist_ok=True)
    done = CliRunner().invoke(app, ["init", str(folder), "--preset", "demo", "--remote", *remote])
    assert done.exit_code == 0, done.output
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "inputs" / "word").write_text("word")
    return Clone(folder)


def committed(project: Clone) -> Clone:
    """Run its pipeline, and commit all that git is to keep."""
    project.run("git", "init", "-q")
    project.run("dvc", "add", "--quiet", "inputs")
    project.run("dvc", "repro")
    project.run("git", "add", ".")
    project.run("git", "commit", "-q", "-m", "made")
    return project


def cloned(project: Clone, folder: Path, settings: Mapping[str, str]) -> Clone:
    project.run("git", "clone", "-q", str(project.folder), str(folder))
    clone = Clone(folder)
    clone.local(settings)
    return clone


def assert_nothing_runs(clone: Clone) -> None:
    output = clone.run("dvc", "repro")
    assert "Running stage" not in output
    assert "up to date" in output


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_s3_server(tmp_path_factory.mktemp("s3")) as address:
        keys = {"key": s3_server.ACCESS_KEY, "secret": s3_server.SECRET_KEY}
        client = {"endpoint_url": address, "region_name": "us-east-1"}
        fsspec.filesystem("s3", **keys, client_kwargs=client).mkdir("store")
        yield address


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with running_gateway(tmp_path) as gateway:
        yield gateway


RIGHT = {"access_key_id": s3_server.ACCESS_KEY, "secret_access_key": s3_server.SECRET_KEY}


def settings_of(gateway: Gateway, **changed: str) -> dict[str, str]:
    """What leads to the stand-in instead of the Hub; all else is as init wrote it."""
    return {
        "endpointurl": gateway.endpoint,
        "ssl_verify": str(gateway.certificate),
        "access_key_id": s3_gateway.ACCESS_KEY,
        "secret_access_key": s3_gateway.SECRET_KEY,
    } | changed


def test_a_clone_pulls_from_a_folder_and_runs_nothing(tmp_path: Path) -> None:
    project = committed(made_project(tmp_path / "project", str(tmp_path / "store")))
    project.run("dvc", "push")
    clone = cloned(project, tmp_path / "clone", {})
    clone.run("dvc", "pull")
    assert (clone.folder / "outputs" / "many" / "a").read_text() == "wordword"
    assert_nothing_runs(clone)
    assert "/.work" in (clone.folder / ".gitignore").read_text()


@pytest.mark.slow
def test_a_clone_pulls_from_s3_and_runs_nothing(s3: str, tmp_path: Path) -> None:
    project = made_project(tmp_path / "project", "s3://store/one", "--endpoint-url", s3)
    committed(project)
    project.local(RIGHT)
    project.run("dvc", "push")
    clone = cloned(project, tmp_path / "clone", RIGHT)
    clone.run("dvc", "pull")
    assert_nothing_runs(clone)
    kept = project.run("git", "grep", "-I", "-e", s3_server.SECRET_KEY, "HEAD", expect=1)
    assert not kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"access_key_id": "another"}, "the server does not know this access key"),
        ({"secret_access_key": "another"}, "the secret key does not belong to this access key"),
    ],
)
def test_wrong_keys_are_refused_with_the_reason(
    s3: str, tmp_path: Path, wrong: dict[str, str], reason: str
) -> None:
    remote = ("--remote", "s3://store/two", "--endpoint-url", s3)
    project = committed(made_project(tmp_path / "project", *remote[1:]))
    project.local(RIGHT | wrong)
    outputs = [
        project.run("dvc", "push", expect=255),
        project.run("lyra-data", "init", ".", *remote, "--check", expect=2),
    ]
    assert "Forbidden" in outputs[0]
    assert reason in outputs[1]
    assert not [output for output in outputs if s3_server.SECRET_KEY in output]
    project.local(RIGHT)
    assert "it was tried, and works" in project.run("lyra-data", "init", ".", *remote, "--check")


def test_a_clone_pulls_from_a_bucket_of_the_hub(gateway: Gateway, tmp_path: Path) -> None:
    project = committed(made_project(tmp_path / "project", HUB_ADDRESS))
    project.local(settings_of(gateway))
    project.run("dvc", "push")
    clone = cloned(project, tmp_path / "clone", settings_of(gateway))
    clone.run("dvc", "pull")
    assert (clone.folder / "outputs" / "many" / "b").read_text() == "word"
    assert_nothing_runs(clone)
    assert not [line for line in gateway.refused if "NoSuchKey" not in line]
    assert gateway.objects and gateway.lists


def test_the_hub_refuses_what_the_s3_client_sends_without_our_settings(
    gateway: Gateway, tmp_path: Path
) -> None:
    project = committed(made_project(tmp_path / "project", HUB_ADDRESS))
    project.local(settings_of(gateway))
    (project.folder / ".dvc" / "hub-bucket.ini").write_text("")
    project.run("dvc", "push", expect=1)
    assert any(line.startswith("PUT") and "NotImplemented" in line for line in gateway.refused)
    assert not gateway.objects


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"access_key_id": "HFAKANOTHER"}, "does not know this access key (InvalidAccessKeyId)"),
        ({"secret_access_key": "another"}, "does not belong to this access key"),
        pytest.param(
            {"endpointurl": "https://127.0.0.1:9"}, "it cannot be used", marks=pytest.mark.slow
        ),
        ({}, None),
    ],
)
def test_init_tries_a_remote_and_says_why_it_is_refused(
    gateway: Gateway,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, str],
    reason: str | None,
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "")  # what DVC sets is undone after the test
    monkeypatch.delenv("AWS_CONFIG_FILE")
    project = made_project(tmp_path / "project", HUB_ADDRESS)
    lines = "\n".join(f"{name} = {text}" for name, text in settings_of(gateway, **wrong).items())
    (project.folder / ".dvc" / "config.local").write_text(f"['remote \"storage\"']\n{lines}\n")
    if reason is None:
        try_remote(project.folder, "storage")
    else:
        with pytest.raises(InputError, match=re.escape(reason)) as raised:
            try_remote(project.folder, "storage")
        assert s3_gateway.SECRET_KEY not in str(raised.value)
    assert not gateway.objects


@pytest.mark.slow
def test_a_file_of_several_parts_goes_to_the_hub_and_back(gateway: Gateway, tmp_path: Path) -> None:
    project = made_project(tmp_path / "project", HUB_ADDRESS)
    large = os.urandom(1 << 20) * 110
    (project.folder / "inputs" / "large").write_bytes(large)
    committed(project)
    project.local(settings_of(gateway))
    project.run("dvc", "push")
    clone = cloned(project, tmp_path / "clone", settings_of(gateway))
    clone.run("dvc", "pull")
    assert (clone.folder / "inputs" / "large").read_bytes() == large
    assert not [line for line in gateway.refused if "NoSuchKey" not in line]


@pytest.mark.slow
def test_a_clone_of_the_real_pipeline_runs_nothing(tmp_path: Path) -> None:
    write_source(tmp_path / "wall")
    folder = tmp_path / "project"
    arguments = ["init", str(folder), str(tmp_path / "wall"), "--remote", str(tmp_path / "store")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
    project = committed(Clone(folder))
    project.run("dvc", "push")
    clone = cloned(project, tmp_path / "clone", {})
    clone.run("dvc", "pull")
    assert_nothing_runs(clone)
