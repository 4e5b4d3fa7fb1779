"""Fetch scenes of a remote dataset, and keep each modality of a scene until the part is written."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pyarrow as pa

from lyra_data.dataset.editing.copying import CopiedScene
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.layout import layout_hash
from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.dataset.reading.chosen_views import table_of_views
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.progress import Progress
from lyra_data.engine.scratch import ScratchStore
from lyra_data.hub.errors import AGAIN
from lyra_data.views.fields import Row

TABLE = "rows.arrow"
AT_ONCE = 3
"""Modalities of scenes that are fetched at the same time; so many are in memory."""


class PulledScene(CopiedScene):
    """Views of a remote scene, each modality kept on the disk once its bytes were checked.

    Args:
        revision: what names the dataset's bytes: repository and commit.
    """

    def __init__(
        self,
        dataset: OpenedDataset,
        entry: SceneEntry,
        views: Sequence[int],
        revision: Sequence[str],
        store: ScratchStore,
    ) -> None:
        super().__init__(dataset, entry, views=views, split=entry.split)
        self._store = store
        self._revision = revision
        self._folders: dict[str, Path] = {}

    def missing(self) -> list[str]:
        """Return the modalities that are not there yet."""
        return [name for name in self.dataset.modalities if self._kept(name) is None]

    def fetch(self, modality: str) -> None:
        """Fetch one modality, check it and keep it."""
        try:
            table = table_of_views(self.stored(), modality, self.views)
        except CorruptDataError as error:
            raise CorruptDataError(
                error.what,
                where=error.where,
                fix=f"{AGAIN}; if the same bytes are wrong again, the repository holds other "
                "bytes than were published: pull another tag, and tell its owner",
            ) from error
        with (
            self._store.put(self._key(modality)) as folder,
            pa.OSFile(str(folder / TABLE), "wb") as file,
            pa.ipc.new_file(file, table.schema) as out,
        ):
            out.write_table(table)

    def table(self, modality: str) -> pa.Table:
        folder = self._kept(modality)
        assert folder is not None, f"{self.scene_id}: {modality} was fetched"
        return pa.ipc.open_file(pa.memory_map(str(folder / TABLE))).read_all()

    def rows(self, modality: str, columns: Sequence[str]) -> list[Row]:
        return self.table(modality).select(["view_index", *columns]).to_pylist()

    def _kept(self, modality: str) -> Path | None:
        if modality not in self._folders:
            folder = self._store.get(self._key(modality))
            if folder is None:
                return None
            self._folders[modality] = folder
        return self._folders[modality]

    def _key(self, modality: str) -> str:
        return content_key(
            [*self._revision, self.entry.scene_id, list(self.views), modality, layout_hash()]
        )


def fetch_scenes(missing: Sequence[tuple[PulledScene, str]], progress: Progress) -> None:
    """Fetch modalities of scenes, some at a time; the first error stops those not begun."""
    progress.start("Fetching", len(missing), "parts of scenes")
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pull") as threads:
        coming = {
            threads.submit(scene.fetch, modality): scene.scene_id for scene, modality in missing
        }
        try:
            for one in as_completed(coming):
                one.result()
                progress.advance(note=coming[one])
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    progress.finish()
