"""The work of packaging: encoding views, one after another.

What is encoded lies in the scratch store under a key of all that it depends on, so that the number
of workers changes nothing and a kill loses only the views that were being encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lyra_data.dataset.format.layout import layout_hash
from lyra_data.dataset.writing.packed_scene import PackedScene, pack_encoded, pack_scene
from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.executors.base import Outcome
from lyra_data.engine.hashing import content_key
from lyra_data.engine.placement import Placement
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.scratch import ScratchStore
from lyra_data.packing.blob_store import HeldBlobs, open_encoded
from lyra_data.packing.decoding import encode_again
from lyra_data.packing.encoding import Encoding
from lyra_data.packing.view_files import content_hash, encoding_of
from lyra_data.views.fields import Row
from lyra_data.views.store import GENERATE_AGAIN, read_row, refusing_damage

if TYPE_CHECKING:
    from lyra_data.engine.remote_work import RemoteWork

STAGE = "package"


@dataclass(frozen=True)
class ViewTask:
    """Encode one view, unless it is found encoded.

    Attributes:
        number: place among all views of the dataset.
        file: the view as `generate` stores it, in the folder of its scene.
    """

    number: int
    file: Path

    @property
    def name(self) -> str:
        return f"{self.file.parent.name}/{self.file.stem}"


@dataclass(frozen=True)
class PackagingSetup:
    """Holds everything that a worker needs to encode any view of a run.

    Attributes:
        scratch: scratch folder of the whole pipeline; one that all workers share.
        code: fingerprint of the code that encodes (`code_of_encoding`).
        held: the blobs of views that are kept encoded, in the dataset beside them.
        remote: where encoded views are kept besides, listed.
    """

    encoding: Encoding
    scratch: Path
    code: str
    held: HeldBlobs | None = None
    remote: RemoteWork | None = None

    def build(self, placement: Placement) -> PackagingWork:
        del placement  # encoders run on the CPU
        return PackagingWork(self)


class PackagingWork:
    """Encodes views; holds one at a time."""

    def __init__(self, setup: PackagingSetup) -> None:
        self._setup = setup
        self._store = ScratchStore(setup.scratch, STAGE, setup.remote)

    def do(self, task: ViewTask) -> Outcome:
        """Encode a view; the result is its key in the scratch store.

        A dataset holds all views or is not made, so a value that the encoding cannot hold ends the
        run at once, as a damaged view does.
        """
        key = self._key(task.file)
        if self._store.get(key) is not None:
            return Outcome("found", result=key)
        try:
            with storage_errors(self._store.folder):  # encoders write files, too
                scene = self._packed(task.file)
        except InputError as error:
            return Outcome("stopped", error=error)
        with self._store.put(key) as item:
            scene.write(item)
        return Outcome("done", result=key)

    def _packed(self, file: Path) -> PackedScene:
        """Encode a view, or encode it anew where `generate` keeps it in another encoding."""
        if encoding_of(file) is None:
            row = read_row(file)
            require_own_folder(row, file)
            return pack_scene([row], self._setup.encoding)
        view = open_encoded(file, self._setup.held)
        require_own_folder(view.row, file)
        with refusing_damage(file):
            return pack_encoded([encode_again(view, self._setup.encoding)])

    def _key(self, file: Path) -> str:
        """Return the key of what an encoded view depends on: the view, encoding and code."""
        encoding = self._setup.encoding.as_json()
        return content_key([content_hash(file), encoding, layout_hash(), self._setup.code])


def code_of_encoding() -> str:
    """Return the fingerprint of all code that shapes an encoded view."""
    return code_fingerprint(__name__)


def require_own_folder(row: Row, view_file: Path) -> None:
    """Refuse a view that lies in the folder of another scene.

    Raises:
        CorruptDataError: its scene_id is not the folder's name.
    """
    if row["scene_id"] != view_file.parent.name:
        raise CorruptDataError(
            f"the view is one of scene {row['scene_id']!r} and lies in the folder of another",
            where=str(view_file),
            fix=GENERATE_AGAIN,
        )
