"""List the files in a tar and where their bytes lie; nothing is unpacked, nothing odd passes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lyra_data.engine.errors import InputError
from lyra_data.media.images import readable

KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class TarMember(NamedTuple):
    """A plain file: its path in the tar, and where its bytes begin."""

    path: PurePosixPath
    offset: int
    size: int


def tar_members(path: Path) -> Iterator[TarMember]:
    """Yield every plain file; headers alone are read.

    Raises:
        InputError: it is no tar, is compressed or cut, or has a member that is a link or a device
            or that leads out of the folder it is unpacked in.
    """
    with readable(path):
        path.open("rb").close()
        try:
            with tarfile.open(path, "r:") as opened:
                archive: Any = opened
                for info in archive:
                    member = PurePosixPath(info.name)
                    _check(info, member, path)
                    if not info.isdir():
                        yield TarMember(member, info.offset_data, info.size)
                    archive.members = []  # tarfile would remember all of them
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise InputError(
                f"this is no uncompressed tar, or it is cut: {error}",
                where=str(path),
                fix="copy it again; unpack a compressed one first (gunzip FILE.tar.gz)",
            ) from None


def _check(info: tarfile.TarInfo, member: PurePosixPath, path: Path) -> None:
    what = KINDS.get(info.type)
    if what is None and not info.isdir() and (not info.isreg() or info.issparse()):
        what = "no plain file"
    if what is None and (member.is_absolute() or ".." in member.parts):
        what = "outside the folder that a tar is unpacked in"
    if what is not None:
        raise InputError(
            f"member {info.name!r} is {what}",
            where=str(path),
            fix="give the tar as it was released; nothing of this one is read",
        )
