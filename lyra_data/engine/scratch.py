"""Scratch store: finished pieces of a stage's work, found again by what they were made from.

An item is a folder `<root>/<stage>/<key>`; the key is `hashing.content_key` of everything the
item depends on (input, semantic params, code fingerprint). It is built under a temporary name and
renamed when whole, so a run killed at any moment leaves finished items and nothing else that
counts. Each item lists the sha256 of its files; an item that no longer agrees is done again.

Machines that share no folder keep their items at an address besides (`remote_work.py`): what is not
here is fetched from there, and what is not there is sent.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lyra_data.engine.atomic import partial_folder, publish_folder, remove_leftovers, storage_errors
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import LyraError
from lyra_data.engine.hashing import sha256_of_files

if TYPE_CHECKING:
    from lyra_data.engine.remote_work import RemoteWork

logger = logging.getLogger(__name__)

CONTENTS_FILE = "contents.json"


class ScratchStore:
    """The items of one stage.

    Args:
        root: scratch folder of the whole pipeline (".work"), ignored by git and DVC.
        stage: name of the stage.
        remote: where items are kept besides, the stage's listed; None: nowhere.
    """

    def __init__(self, root: Path, stage: str, remote: RemoteWork | None = None) -> None:
        self.folder = Path(root) / stage
        self._remote = None if remote is None else remote.items(stage)
        self._is_swept = False

    def get(self, key: str) -> Path | None:
        """Return the folder of a finished item, its files checked; None where it has to be made.

        A damaged item is removed with a warning. An item that lies elsewhere alone is fetched, one
        that lies here alone is sent.

        Raises:
            StorageError: the disk is full or cannot be written; the remote refuses.
        """
        item = self._local(key)
        if self._remote is None:
            return item
        if item is None:
            return self._fetched(key) if key in self._remote else None
        if key not in self._remote:  # a run was killed before it was sent
            self._remote.send(key, item)
        return item

    def _local(self, key: str) -> Path | None:
        """Return an item that lies here and is whole."""
        folder = self._item(key)
        if not folder.is_dir():
            return None
        damage = _find_damage(folder)
        if damage is None:
            return folder
        logger.warning("scratch item %s is damaged (%s): it will be made again", folder, damage)
        with storage_errors(folder):
            shutil.rmtree(folder)
        return None

    def has(self, key: str) -> bool:
        """Return whether an item is finished, without reading it: its files may be damaged."""
        return self._item(key).is_dir() or (self._remote is not None and key in self._remote)

    def remove(self, key: str) -> None:
        """Remove an item, here and where items are kept besides."""
        folder = self._item(key)
        if folder.is_dir():
            with storage_errors(folder):
                shutil.rmtree(folder)
        if self._remote is not None:
            self._remote.remove(key)

    @contextmanager
    def put(self, key: str) -> Iterator[Path]:
        """Yield an empty folder to fill; it becomes the item when the block ends well.

        Where another worker finished the same item meanwhile, that one stays.

        Raises:
            StorageError: the disk is full, read-only or not permitted.
        """
        target = self._item(key)
        self._sweep()
        with storage_errors(target), partial_folder(self.folder) as workplace:
            temporary = workplace / key
            temporary.mkdir()
            yield temporary
            contents = json.dumps(sha256_of_files(temporary), indent=1)
            (temporary / CONTENTS_FILE).write_text(contents + "\n")
            if self._local(key) is None:
                publish_folder(temporary, target)
        if self._remote is not None and key not in self._remote:
            self._remote.send(key, target)

    def _fetched(self, key: str) -> Path | None:
        """Return an item that was fetched; None where it has to be made."""
        assert self._remote is not None
        target = self._item(key)
        self._sweep()
        with storage_errors(target), partial_folder(self.folder) as workplace:
            temporary = workplace / key
            temporary.mkdir()
            if not self._remote.fetch(key, temporary):
                return None
            damage = _find_damage(temporary)
            if damage is not None:
                logger.warning("fetched item %s is damaged (%s): it is made again", key, damage)
                self._remote.remove(key)
                return None
            publish_folder(temporary, target)
        return target

    def _sweep(self) -> None:
        """Remove, once, what killed runs left unfinished; running workers keep theirs."""
        if not self._is_swept and self.folder.is_dir():
            remove_leftovers(self.folder)
        self._is_swept = True

    def _item(self, key: str) -> Path:
        assert key and set(key) <= set("0123456789abcdef"), f"not a content key: {key!r}"
        return self.folder / key


def _find_damage(folder: Path) -> str | None:
    """Return what is wrong with an item, or None."""
    try:
        expected = read_json_object(folder / CONTENTS_FILE, kind="list of files", fix="delete it")
        actual = sha256_of_files(folder)
    except LyraError as error:
        return error.what
    except OSError as error:
        return str(error)
    actual.pop(CONTENTS_FILE)
    if actual == expected:
        return None
    names = sorted(actual.keys() | expected.keys())
    return f"{next(name for name in names if actual.get(name) != expected.get(name))} has changed"
