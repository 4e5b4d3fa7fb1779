"""Give a project a DVC remote: its address in .dvc/config, which git keeps, and no credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from rich.text import Text

from lyra_data.engine.atomic import folder_atomically, storage_errors, write_atomically
from lyra_data.engine.errors import InputError
from stages.summary import Summary
from stages.verbs.remote_address import CLIENT_SETTINGS, RemoteAddress
from stages.verbs.remote_trial import try_remote

REMOTE = "storage"
"""Name of the remote that init writes, DVC's default one of the project."""

GITIGNORE = "/config.local\n/tmp\n/cache\n"
"""The text that `dvc init` writes too: credentials and DVC's own files stay out of git."""

CACHE_TYPES = "reflink,hardlink,copy"

_KEYS = """\
region = us-east-1
request_checksum_calculation = when_required
response_checksum_validation = when_required
s3 =
    addressing_style = path
"""

CLIENT_SETTINGS_TEXT = f"""\
# The Hub's S3 gateway takes no trailing checksums (aws-chunked), and addresses buckets by path.
# DVC has no keys for that: its S3 client reads them here. No credentials belong into this file.
[default]
{_KEYS}
[profile hf]
{_KEYS}"""


def set_remote(folder: Path, remote: RemoteAddress, *, check: bool = False) -> Summary:
    """Write the remote into the project's .dvc/config as the default one; make .dvc where none is.

    Other settings stay. A remote of the same name is replaced. Credentials in .dvc/config.local
    stay too.

    Args:
        check: write, read and remove a few bytes there; a remote that refuses stays in the file.

    Raises:
        InputError: the remote is a folder inside the project, .dvc/config cannot be read, or the
            remote refuses.
        StorageError: the disk is full, read-only or not permitted.
    """
    if "://" not in remote.url and Path(remote.url).resolve().is_relative_to(folder.resolve()):
        raise InputError(
            "this folder lies in the project itself, and is lost with it",
            where=f"--remote {remote.url}",
            fix="give a folder elsewhere",
        )
    dvc_folder = folder / ".dvc"
    with storage_errors(dvc_folder):
        if not dvc_folder.is_dir():
            _make_dvc_folder(dvc_folder)
        if remote.needs_client_settings:
            with write_atomically(dvc_folder / CLIENT_SETTINGS) as temporary:
                temporary.write_text(CLIENT_SETTINGS_TEXT, encoding="utf-8")
        if not (folder / ".gitignore").exists():  # DVC adds the outputs when it makes them
            (folder / ".gitignore").write_text("/.work\n", encoding="utf-8")
        former = _write_settings(dvc_folder, remote)
    if check:
        try_remote(folder, REMOTE)
    return Summary(
        "init",
        f"{folder}: dvc push and dvc pull go to {remote.url}",
        {"project": str(folder), "remote": {"name": REMOTE, **remote.settings}},
        tuple(map(Text, ("it was tried, and works",) * check + _notes(folder, remote, former))),
    )


def both_summaries(made: Summary, remote: Summary) -> Summary:
    """Return what was done to make a project and to give it a remote, as one summary."""
    details = (*made.details, Text(remote.headline), *remote.details)
    return Summary(made.stage, made.headline, made.facts | remote.facts, details)


def _make_dvc_folder(dvc_folder: Path) -> None:
    """Make what `dvc init` makes, without staging anything in git."""
    with folder_atomically(dvc_folder) as made:
        (made / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
        (made / "config").write_text("", encoding="utf-8")
        with _edited(made) as config:
            config["core"] = {"analytics": "false", "autostage": "false"}
            config["cache"] = {"type": CACHE_TYPES}


def _write_settings(dvc_folder: Path, remote: RemoteAddress) -> str | None:
    """Write the remote's settings, and return the address it had before, where it was another."""
    from dvc.config import ConfigError

    try:
        with _edited(dvc_folder) as config:
            former = config["remote"].get(REMOTE, {}).get("url")
            config["remote"][REMOTE] = {
                key: _absolute(dvc_folder, key, value) for key, value in remote.settings.items()
            }
            config["core"]["remote"] = REMOTE
    except ConfigError as error:
        raise InputError(
            f"DVC cannot read it: {error}",
            where=str(dvc_folder / "config"),
            fix="mend the file, or restore it from git",
        ) from error
    return None if former == remote.url else former


def _absolute(dvc_folder: Path, key: str, value: str) -> str:
    """Return a setting as DVC's editor takes it: it writes paths relative to the file itself."""
    from dvc.config_schema import RelPath

    return RelPath(dvc_folder.absolute() / value) if key == "configpath" else value


@contextmanager
def _edited(dvc_folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what .dvc/config says; what the block makes of it is written, where DVC takes it."""
    from dvc.config import Config

    with Config(str(dvc_folder.absolute()), validate=False).edit("repo") as config:
        yield cast("dict[str, Any]", config)


def _notes(folder: Path, remote: RemoteAddress, former: str | None) -> tuple[str, ...]:
    notes = []
    if former is not None:
        notes.append(f"note: remote {REMOTE} was {former}")
    if remote.credentials:
        notes.append(f"credentials: {remote.credentials.replace('NAME', REMOTE)}")
    project = folder.absolute()
    if not any((parent / ".git").exists() for parent in (project, *project.parents)):
        notes.append(
            "next: git init, for DVC shares a project through git; without git: dvc config "
            "core.no_scm true"
        )
    notes.append("then: dvc add inputs, dvc repro, git add and commit, dvc push (docs/remotes.md)")
    return tuple(notes)
