"""List the files in a tar and where their bytes lie; nothing is unpacked, nothing odd passes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.media.images import readable

KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


FIX = "copy it again; unpack a compressed one first (gunzip FILE.tar.gz)"


class TarMember(NamedTuple):
    """A plain file: its path in the tar, where its bytes begin, and where the next header does."""

    path: PurePosixPath
    offset: int
    size: int
    next_header: int


def tar_members(path: Path) -> Iterator[TarMember]:
    """Yield every plain file; headers alone are read.

    Raises:
        InputError: it is no tar, is compressed or cut, or has a member that is a link or a device
            or that leads out of the folder it is unpacked in.
    """
    with readable(path), file_at_fault(path, kind="uncompressed tar", fix=FIX):
        num_bytes = path.stat().st_size
        with path.open("rb") as file:
            yield from members_in(file, num_bytes, str(path))


def members_in(
    file: BinaryIO, num_bytes: int, where: str, *, begin: int = 0
) -> Iterator[TarMember]:
    """Yield every plain file of an opened tar, from the header at `begin` on.

    Args:
        file: is read at headers alone.
        num_bytes: of the whole tar.
        where: what messages call it.

    Raises:
        InputError: a member is a link or a device, or leads out of the folder.
        ValueError, tarfile.TarError: it is no tar, or cut.
    """
    file.seek(begin)
    with tarfile.open(fileobj=file, mode="r:") as opened:
        archive: Any = opened
        for info in archive:
            member = PurePosixPath(info.name)
            _check(info, member, where)
            if not 0 <= info.size <= num_bytes - info.offset_data:
                raise ValueError(f"it is cut, or {info.name!r} does not have {info.size} bytes")
            if not info.isdir():
                yield TarMember(member, info.offset_data, info.size, archive.offset)
            archive.members = []  # tarfile would remember all of them


def _check(info: tarfile.TarInfo, member: PurePosixPath, where: str) -> None:
    what = KINDS.get(info.type)
    if what is None and not info.isdir() and (not info.isreg() or info.issparse()):
        what = "no plain file"
    if what is None and (member.is_absolute() or ".." in member.parts):
        what = "outside the folder that a tar is unpacked in"
    if what is None and ("\0" in info.name or not _is_text(info.name)):
        what = "named by something that is no text"
    if what is not None:
        raise InputError(
            f"member {info.name!r} is {what}",
            where=where,
            fix="give the tar as it was released; nothing of this one is read",
        )


def _is_text(name: str) -> bool:
    """Return whether a name is UTF-8; Python keeps other bytes as halves of surrogate pairs."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
