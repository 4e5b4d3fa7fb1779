"""Finished work at an address, for machines that share no folder.

Below the address lie, for an item of a stage's scratch store,

    items/STAGE/KEY/UPLOAD.tar    its files, under a name that no other upload has
    finished/STAGE/KEY.json       the archive that holds it, with its hash: written last

so that an item counts when all of it is there: object stores cannot rename. A machine that is
killed leaves an archive that nothing names. Of two machines that finish the same item, the later
one's marker stays, and leads to a whole archive as the other one's did.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lyra_data.engine.atomic import partial_folder, storage_errors
from lyra_data.engine.documents import parse_json
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import files_below
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.engine.names import stays_inside
from lyra_data.engine.remote_folder import RemoteFolder, check_address

log = logging.getLogger(__name__)

LAYOUT_FILE = "lyra-data-work.json"
LAYOUT = {"lyra_data_work": 1}
"""Content of LAYOUT_FILE: the layout of what lies beside it."""

_MARKER = re.compile(r"[0-9a-f]{64}\.json")
_UPLOAD = re.compile(r"[0-9a-f]{16}")


class RemoteItems:
    """The finished items of one stage, as they were listed once; picklable.

    Every method raises StorageError where the remote refuses or cannot be reached.

    Args:
        finished: keys of finished items.
    """

    def __init__(self, folder: RemoteFolder, stage: str, finished: set[bytes]) -> None:
        self._folder, self._stage, self._finished = folder, stage, finished

    def __contains__(self, key: str) -> bool:
        """Return whether an item was finished when they were listed, or was sent since."""
        return bytes.fromhex(key) in self._finished

    def __len__(self) -> int:
        return len(self._finished)

    def fetch(self, key: str, target: Path) -> bool:
        """Fill an empty folder with an item's files; return False where they have to be made.

        An item that is damaged or gone counts no longer, until it is sent again.
        """
        damage = self._fetch(key, target)
        if damage is None:
            return True
        log.warning(
            "%s/%s is damaged (%s): it will be made again",
            self._folder.address,
            self._marker(key),
            damage,
        )
        self._finished.discard(bytes.fromhex(key))
        return False

    def send(self, key: str, item: Path) -> None:
        """Send an item's files, then the marker by which it counts."""
        upload = secrets.token_hex(8)
        with storage_errors(item), partial_folder(item.parent) as workplace:
            archive = workplace / "item.tar"
            with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as opened:
                for path in sorted(files_below(item)):
                    opened.add(path, path.relative_to(item).as_posix(), recursive=False)
            marker = {"upload": upload, "sha256": sha256_of_file(archive)}
            self._folder.upload(archive, self._archive(key, upload))
        self._folder.write(self._marker(key), (json.dumps(marker) + "\n").encode())
        self._finished.add(bytes.fromhex(key))

    def remove(self, key: str) -> None:
        """Let an item count no longer."""
        if key in self:
            self._folder.remove(self._marker(key))
            self._finished.discard(bytes.fromhex(key))

    def _fetch(self, key: str, target: Path) -> str | None:
        """Fill a folder with an item's files; return what is wrong with them, or None."""
        text = self._folder.read(self._marker(key))
        if text is None:
            return "it was removed"
        try:
            marker = parse_json(text)
            upload, sha256 = str(marker["upload"]), marker["sha256"]
        except (ValueError, TypeError, KeyError):
            return "its marker cannot be read"
        if not _UPLOAD.fullmatch(upload):
            return "its marker names no archive"
        archive = target.parent / f"{target.name}.tar"
        if not self._folder.download(self._archive(key, upload), archive):
            return "its archive is missing"
        try:
            if sha256_of_file(archive) != sha256:
                return "its archive was cut or altered"
            return _extract(archive, target)
        finally:
            archive.unlink()

    def _archive(self, key: str, upload: str) -> str:
        return f"items/{self._stage}/{key}/{upload}.tar"

    def _marker(self, key: str) -> str:
        return f"finished/{self._stage}/{key}.json"


@dataclass(frozen=True)
class RemoteWork:
    """The address where a project's finished work is kept besides this machine's scratch folder.

    Attributes:
        address: see `remote_folder.check_address`.
        stages: those whose items were listed.
    """

    address: str
    stages: Mapping[str, RemoteItems] = field(default_factory=dict)

    @staticmethod
    def at(address: str) -> RemoteWork:
        """Return the work at an address that `--work` gives; nothing is asked of it yet.

        Raises:
            InputError: such an address cannot be used.
        """
        check_address(address, "--work")
        return RemoteWork(address.rstrip("/"))

    def listed(self, *stages: str) -> RemoteWork:
        """Return the same with the finished items of stages, by one listing each.

        The remote is written to first, so that what it refuses is known before any work is done.

        Raises:
            StorageError: the remote refuses or cannot be reached.
            InputError: what lies there has another layout, or fsspec lacks a package.
        """
        folder = RemoteFolder(self.address)
        _claim(folder)
        return RemoteWork(self.address, {stage: _list_items(folder, stage) for stage in stages})

    def items(self, stage: str) -> RemoteItems:
        """Return the items of a stage that was listed."""
        return self.stages[stage]


def _claim(folder: RemoteFolder) -> None:
    """Write the layout's file, where no other layout is there."""
    text = folder.read(LAYOUT_FILE)
    try:
        is_ours = text is None or parse_json(text) == LAYOUT
    except ValueError:
        is_ours = False
    if not is_ours:
        raise InputError(
            f"{LAYOUT_FILE} there is of another version of lyra-data, or was altered",
            where=folder.address,
            fix="give another address, or remove what lies there",
        )
    folder.write(LAYOUT_FILE, (json.dumps(LAYOUT) + "\n").encode())


def _list_items(folder: RemoteFolder, stage: str) -> RemoteItems:
    names = folder.list_names(f"finished/{stage}")
    keys = {bytes.fromhex(name[:64]) for name in names if _MARKER.fullmatch(name)}
    return RemoteItems(folder, stage, keys)


def _extract(archive: Path, target: Path) -> str | None:
    """Take an item's files out of its archive; return what is wrong with it, or None."""
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                content = opened.extractfile(member) if member.isfile() else None
                if content is None or not stays_inside(member.name):
                    return f"its archive holds {member.name!r}"
                path = target / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, FileExistsError, NotADirectoryError) as error:
        return str(error)
    return None
