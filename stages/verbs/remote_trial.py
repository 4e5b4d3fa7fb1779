"""Try a project's remote: write, read and remove a few bytes there, as DVC will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.engine.errors import InputError

TRIAL = "lyra-data-trial"
"""Name of the object that is written, read and removed."""

_REASONS = {
    "InvalidAccessKeyId": ("the server does not know this access key", "correct access_key_id"),
    "SignatureDoesNotMatch": (
        "the secret key does not belong to this access key",
        "correct secret_access_key",
    ),
    "AccessDenied": (
        "these credentials may not read and write there",
        "take a token or a user that may write",
    ),
    "NoSuchBucket": ("there is no such bucket", "make it, or correct its name"),
    "NotImplemented": (
        "the server does not take what the S3 client sends",
        "set AWS_REQUEST_CHECKSUM_CALCULATION=when_required (docs/remotes.md)",
    ),
}
"""Words for what S3 servers answer, and what mends it."""


def try_remote(folder: Path, name: str) -> None:
    """Write, read and remove an object at a remote, with the credentials that DVC will use.

    Raises:
        InputError: the remote refuses, or cannot be reached.
    """
    from dvc.config import Config
    from dvc.fs import get_cloud_fs

    kind, settings, path = get_cloud_fs(Config(str((folder / ".dvc").absolute())), name=name)
    assert kind is not None, "DVC does not know the kind of a remote that it read"
    content = b"written by lyra-data init --check, and to be removed"
    try:
        files = kind(**settings)
        target = files.join(path, TRIAL)
        files.makedirs(path)
        files.pipe_file(target, content)
        data = files.cat_file(target)
        files.rm_file(target)
    except Exception as error:
        if not _is_of_remote(error):
            raise
        raise _refusal(error, f"remote {name}") from error
    if data != content:
        raise InputError(
            "what was written comes back altered",
            where=f"remote {name}",
            fix="do not use this server",
        )


def _is_of_remote(error: Exception) -> bool:
    """Return whether a remote or its client raised this: an error of the system, or of S3's client,
    which need not be installed."""
    families = {family.__module__.partition(".")[0] for family in type(error).__mro__}
    return isinstance(error, OSError) or bool(families & {"botocore", "aiobotocore"})


def _refusal(error: BaseException, where: str) -> InputError:
    for code in _codes(error):
        if code in _REASONS:
            what, fix = _REASONS[code]
            return InputError(f"{what} ({code})", where=where, fix=fix)
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return InputError(
            "DVC has no credentials for it",
            where=where,
            fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or access_key_id and "
            f"secret_access_key by `dvc remote modify --local {where.rpartition(' ')[2]}`",
        )
    return InputError(
        f"it cannot be used: {type(error).__name__}: {error}",
        where=where,
        fix="see whether the address is right and the server can be reached from here",
    )


def _codes(error: BaseException | None) -> list[str]:
    """Return the codes of S3's answers in an error and in what it was raised of."""
    codes = []
    while error is not None:
        response: Any = getattr(error, "response", None)
        if isinstance(response, dict):
            codes.append(str(response.get("Error", {}).get("Code")))
        error = error.__cause__ or error.__context__
    return codes
