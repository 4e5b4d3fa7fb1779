"""Addresses of remotes: which are taken, what they become in .dvc/config, which are refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lyra_data.engine.errors import InputError
from stages.cli import app
from stages.verbs.project_remote import set_remote
from stages.verbs.remote_address import parse_remote


@pytest.fixture(autouse=True)
def every_plug_in_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


def test_a_bucket_of_the_hub_becomes_s3_below_its_namespace() -> None:
    remote = parse_remote("hf://buckets/me/data/dvc")
    assert remote.settings == {
        "url": "s3://data/dvc",
        "endpointurl": "https://s3.hf.co/me",
        "region": "us-east-1",
        "configpath": "hub-bucket.ini",
    }


def test_other_addresses_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_remote("store").settings == {"url": f"{tmp_path}/store"}
    assert parse_remote("ssh://me@host:22/data").settings == {"url": "ssh://me@host:22/data"}
    assert parse_remote("s3://b/p/", "http://localhost:1").settings == {
        "url": "s3://b/p",
        "endpointurl": "http://localhost:1",
    }


@pytest.mark.parametrize(
    ("address", "endpoint", "reason"),
    [
        ("s3://key:very-secret@bucket/x", None, "must not hold"),
        ("ssh://user:very-secret@host/x", None, "must not hold"),
        ("s3://bucket", "https://key:very-secret@host", "must not hold"),
        ("s3://bucket", "host:80", "is no address of a server"),
        ("s3://bucket", "https://host?a=b", "is no address of a server"),
        ("hf://buckets/me/data", "https://host", "is for s3:// alone"),
        ("hf://datasets/me/data", None, "a bucket can"),
        ("hf://me/data", None, "a bucket can"),
        ("hf://buckets/me", None, "the bucket is missing"),
        ("hf://buckets/me/data/../other", None, "is no bucket"),
        ("hf://buckets/m e/data", None, "is no namespace"),
        ("s3:///path", None, "the bucket is missing"),
        ("s3://bucket/a//b", None, "is no bucket"),
        ("ssh://host", None, "host or folder is missing"),
        ("gs://bucket/x", None, "is no address that init knows"),
        ("s3://bucket/a\nb", None, "control character"),
        ("s3://bucket/a?secret=very-secret", None, "no '[?]'"),
        ("s3://bucket/a#very-secret", None, "no '[?]'"),
        ("hf://buckets/me/data?a=very-secret", None, "no '[?]'"),
        ("s3://[bucket/a", None, "cannot be read"),
        ("ssh://user@[::1/a", None, "cannot be read"),
        ("ssh://user@host:very-secret/a", None, "cannot be read"),
        ("s3://bucket", "https://[host", "cannot be read"),
        ("s3://bucket", "https://host:99999", "cannot be read"),
        ("", None, "is no folder"),
        (__file__, None, "is no folder"),
    ],
)
def test_other_addresses_are_refused(address: str, endpoint: str | None, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        parse_remote(address, endpoint)
    assert "very-secret" not in str(raised.value)
    assert raised.value.fix


@pytest.mark.parametrize(
    ("address", "command"),
    [
        ("s3://bucket/x", "pip install 'lyra-data[s3]'"),
        ("hf://buckets/me/data", "pip install 'lyra-data[s3]'"),
        ("ssh://host/x", "pip install dvc-ssh"),
    ],
)
def test_a_missing_plug_in_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, command: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["init", str(tmp_path / "new"), "--remote", address])
    assert done.exit_code == 2
    assert command in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_remote_is_added_to_a_project_and_replaced_without_touching_other_settings(
    tmp_path: Path,
) -> None:
    (tmp_path / "project" / ".dvc").mkdir(parents=True)
    config = tmp_path / "project" / ".dvc" / "config"
    config.write_text("[cache]\n    type = symlink\n['remote \"other\"']\n    url = /other\n")
    set_remote(tmp_path / "project", parse_remote("hf://buckets/me/data"))
    assert "s3.hf.co/me" in config.read_text()
    assert "configpath = hub-bucket.ini" in config.read_text()
    done = set_remote(tmp_path / "project", parse_remote(str(tmp_path / "store")))
    text = config.read_text()
    assert "s3.hf.co" not in text
    assert "type = symlink" in text and "url = /other" in text and "remote = storage" in text
    assert "remote storage was s3://data" in next(str(detail) for detail in done.details)


def test_a_folder_inside_the_project_and_a_broken_config_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lies in the project"):
        set_remote(tmp_path, parse_remote(str(tmp_path / "store")))
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core\nbroken")
    with pytest.raises(InputError, match="cannot read"):
        set_remote(tmp_path, parse_remote("s3://bucket"))


def test_options_of_a_remote_need_one(tmp_path: Path) -> None:
    for option in (["--check"], ["--endpoint-url", "http://x"]):
        done = CliRunner().invoke(app, ["init", str(tmp_path / "new"), *option])
        assert done.exit_code == 2
        assert "is for --remote" in done.stderr
