"""A folder where fsspec reads and writes: a bucket of S3 or of the Hub, or a mounted folder."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lyra_data.engine.errors import InputError, StorageError
from lyra_data.engine.remote_errors import is_of_remote, lacks_credentials, reason_of

SCHEMES = ("s3", "hf", "gs", "az", "abfs", "file", "memory")
"""File systems that are written to; of these S3 and mounted folders are tested."""

MOST_BYTES = 64 * 1024
"""Bytes of a file that is read whole into memory; ours have some hundred."""

_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.ENOMEM)
"""Refusals of the disk here: `atomic.storage_errors` has the fix."""

KNOWN = "s3://BUCKET/PATH, hf://buckets/NAMESPACE/NAME/PATH or file:///MOUNTED/FOLDER"


class RemoteFolder:
    """The files below an address; picklable, and connected anew in every process.

    Every method raises StorageError where the remote refuses or cannot be reached.

    Args:
        address: e.g. "s3://bucket/path"; see `check_address`.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._connection: tuple[int, Any, str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self.address, "_connection": None}

    def list_names(self, folder: str) -> list[str]:
        """Return the names in a folder, asked for anew; none where there is no such folder."""
        with self._remote(folder) as (system, path):
            system.invalidate_cache()
            try:
                listed = system.ls(path, detail=False)
            except FileNotFoundError as error:
                if reason_of(error) is not None:  # there is not even the bucket
                    raise
                return []
        return [str(name).rstrip("/").rpartition("/")[2] for name in listed]

    def read(self, file: str) -> bytes | None:
        """Return a small file, MOST_BYTES of it at most; None where there is none."""
        with self._remote(file) as (system, path):
            try:
                return system.cat_file(path, start=0, end=MOST_BYTES)
            except FileNotFoundError as error:
                if reason_of(error) is not None:
                    raise
                return None

    def write(self, file: str, data: bytes) -> None:
        """Write a small file, whole."""
        with self._remote(file) as (system, path):
            system.pipe_file(path, data)

    def upload(self, source: Path, file: str) -> None:
        """Copy a file of this machine there."""
        with self._remote(file) as (system, path):
            system.put_file(str(source), path)

    def download(self, file: str, target: Path) -> bool:
        """Copy a file from there; return False where there is none."""
        with self._remote(file) as (system, path):
            try:
                system.get_file(path, str(target))
            except FileNotFoundError:
                return False
        return True

    def remove(self, file: str) -> None:
        """Remove a file, where there is one."""
        with self._remote(file) as (system, path), contextlib.suppress(FileNotFoundError):
            system.rm_file(path)

    @contextmanager
    def _remote(self, file: str) -> Iterator[tuple[Any, str]]:
        """Yield the file system and a path in it; what it refuses becomes a StorageError."""
        try:
            system, root = self._connected()
            yield system, f"{root}/{file}"
        except Exception as error:
            if not is_of_remote(error) or getattr(error, "errno", None) in _OF_THIS_MACHINE:
                raise
            raise _refusal(error, f"{self.address}/{file}") from error

    def _connected(self) -> tuple[Any, str]:
        if self._connection is None or self._connection[0] != os.getpid():
            system, root = open_file_system(self.address)
            self._connection = os.getpid(), system, root
        return self._connection[1:]


def open_file_system(
    address: str, *, fix: str = "for s3:// `pip install 'lyra-data[s3]'`"
) -> tuple[Any, str]:
    """Return one of fsspec's file systems, not shared with other users, and the path in it.

    Args:
        fix: what the user can do where it cannot be opened.

    Raises:
        InputError: fsspec does not know such an address, or lacks a package for it.
    """
    import fsspec

    options: dict[str, Any] = (
        {} if address.startswith("memory://") else {"skip_instance_cache": True}
    )
    if address.startswith("file://"):
        options["auto_mkdir"] = True
    try:
        return fsspec.core.url_to_fs(address, **options)
    except (ImportError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=address, fix=fix) from None


def check_address(address: str, where: str) -> None:
    """Refuse an address that cannot be written to, or that holds what no log should.

    Args:
        where: the option it was given by.

    Raises:
        InputError: it is of no known kind, holds a key or password, or lacks a part.
    """
    if not address.isprintable() or re.search(r"[?#]", address):
        raise InputError(
            "an address has no control character, '?' or '#'", where=where, fix=f"give {KNOWN}"
        )
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in SCHEMES:
        raise InputError(
            f"{scheme}:// cannot be written to" if separator else f"{address!r} is no address",
            where=where,
            fix=f"give {KNOWN}; machines that share a folder keep the whole project there and need "
            "no such address",
        )
    if "@" in urlsplit(address).netloc:
        raise InputError(
            "an address must not hold a user's key or password",
            where=where,
            fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or HF_TOKEN",
        )
    parts = rest.rstrip("/").split("/")
    if scheme == "hf" and (parts[0] != "buckets" or len(parts) < 3):
        raise InputError(
            "a repository of the Hub makes a commit of every file; a bucket does not",
            where=f"{where} {address}",
            fix="give hf://buckets/NAMESPACE/NAME/PATH",
        )
    if not rest.strip("/") or ".." in parts or "" in parts[1:]:
        raise InputError("a part is missing", where=f"{where} {address}", fix=f"give {KNOWN}")


def _refusal(error: Exception, where: str) -> StorageError:
    reason = reason_of(error)
    if reason is not None:
        return StorageError(reason[0], where=where, fix=reason[1])
    if lacks_credentials(error):
        return StorageError(
            "there are no credentials for it",
            where=where,
            fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    text = (str(error).strip().splitlines() or [""])[0]
    return StorageError(
        f"it cannot be read or written: {type(error).__name__}: {text}",
        where=where,
        fix="see whether the address is right and the server can be reached from here (for S3 that "
        "is not Amazon's: AWS_ENDPOINT_URL); finished work is kept here, and sent by the next run",
    )
