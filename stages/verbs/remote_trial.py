"""Try a project's remote: write, read and remove a few bytes there, as DVC will do."""

from __future__ import annotations

from pathlib import Path

from lyra_data.engine.errors import InputError
from lyra_data.engine.remote_errors import is_of_remote, lacks_credentials, reason_of

TRIAL = "lyra-data-trial"
"""Name of the object that is written, read and removed."""


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
        if not is_of_remote(error):
            raise
        raise _refusal(error, f"remote {name}") from error
    if data != content:
        raise InputError(
            "what was written comes back altered",
            where=f"remote {name}",
            fix="do not use this server",
        )


def _refusal(error: BaseException, where: str) -> InputError:
    reason = reason_of(error)
    if reason is not None:
        return InputError(reason[0], where=where, fix=reason[1])
    if lacks_credentials(error):
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
