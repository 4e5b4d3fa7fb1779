"""Reading a dataset: any frames of any views, refusing whatever is not as it was written.

Blobs are found through the index and read by their bytes, from a folder or from afar; every part is
compared with its hash before it is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from lyra_data.dataset.files.byte_ranges import open_ranges
from lyra_data.dataset.files.corruption import corruption
from lyra_data.dataset.format.blob_index import PLAIN_COLUMNS, BlobIndex, BlobPlace
from lyra_data.dataset.format.encoding import Encoding
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.format.manifest import Codec, SceneEntry
from lyra_data.dataset.reading.checking import check_files, check_shards, load_index, load_manifest
from lyra_data.dataset.reading.counts import ReadingCounts
from lyra_data.dataset.reading.plain_columns import PlainColumns
from lyra_data.dataset.reading.scene_plan import FrameSelection, ScenePlan, Wanted
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.errors import InputError
from lyra_data.scene.view import View
from lyra_data.views.fields import VIEW_FIELDS, RowShape, view_from_values


class SceneDataset:
    """The scenes of a packaged dataset, in the order they were written.

    It can be forked and pickled: nothing that is open is shared with a worker.

    Attributes:
        counts: what was decoded and fetched so far, for benchmarks.

    Args:
        uri: the folder that `lyra-data package` wrote, or where it was copied to: http(s)://,
            s3://, hf://datasets/OWNER/NAME, or what else fsspec reads.
        revision: tag, branch or commit, where `uri` is hf://.
        split: only this split's scenes; None: all.
        modalities: those that are read, and have to be there; None: all.
        cache_dir: keeps what was read from afar; nothing is kept where it is None.
        verify: "index" checks the manifest and, in a folder, every file's size and footer at once,
            and every part when it is read; "full" checks every byte at once.

    Raises:
        StageOrderError: there is no such folder.
        CorruptDataError: a file is missing, cut, altered, or of another version.
        InputError: the address cannot be read, or there is no such split or modality.
    """

    def __init__(
        self,
        uri: Path | str,
        *,
        revision: str | None = None,
        split: str | None = None,
        modalities: Sequence[str] | None = None,
        cache_dir: Path | None = None,
        verify: Literal["index", "full"] = "index",
    ) -> None:
        self.uri = str(uri)
        self.files = open_ranges(uri, revision, cache_dir)
        self.manifest = load_manifest(self.files)
        self.modalities = tuple(MODALITIES if modalities is None else modalities)
        unknown = [name for name in self.modalities if name not in MODALITIES]
        if unknown:
            raise InputError(
                f"there is no modality {unknown[0]!r}",
                where=self.uri,
                fix=f"modalities: {', '.join(MODALITIES)}",
            )
        check_shards(self.files, self.manifest, self.modalities)
        if verify == "full":
            check_files(self.files, self.manifest, self.modalities)
        self.scenes: list[SceneEntry] = [
            scene for scene in self.manifest.scenes if split in (None, scene.split)
        ]
        self._position = {scene.scene_id: index for index, scene in enumerate(self.scenes)}
        self._indexes: dict[str, BlobIndex] = {}
        self.counts = ReadingCounts()
        self.plain_columns = PlainColumns(self.files, self.manifest)
        self.codecs = Encoding(**self.manifest.encoding).codecs  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, scene: int | str) -> SceneReader:
        """Return the reader of a scene, given by position or scene_id.

        Raises:
            IndexError: there is no such position.
            InputError: there is no such scene_id.
        """
        return SceneReader(self, self.entry(scene))

    @property
    def scene_ids(self) -> list[str]:
        return [scene.scene_id for scene in self.scenes]

    @property
    def codec(self) -> Codec:
        """The codec of all latents."""
        return self.manifest.codec

    def view_indices(self, scene: int | str) -> tuple[int, ...]:
        return self.entry(scene).view_indices

    def scene(self, scene: int | str) -> list[View]:
        """All views of a scene, given by position or scene_id."""
        return [view_from_values(values, shape) for values, shape in self._read(scene, VIEW_FIELDS)]

    def read_view(
        self, scene: int | str, view_index: int, frames: Sequence[int] | None = None
    ) -> View:
        """One view, whole or with some frames only; its latents are always those of all frames."""
        ((values, shape),) = self._read(scene, VIEW_FIELDS, [view_index], frames)
        return view_from_values(values, shape)

    def read_fields(
        self,
        scene: int | str,
        fields: Sequence[str],
        *,
        view_indices: Sequence[int] | None = None,
        frames: FrameSelection = None,
        as_stored: bool = False,
    ) -> list[dict[str, Any]]:
        """Some fields of some views, decoded (names and meanings: `fields.FIELDS`).

        Nothing else is read; frames that are not asked for are not decoded.

        Args:
            view_indices: of the views to read, in that order; None: all.
            as_stored: depth and latents stay halves where they are stored so.
        """
        return [values for values, _ in self._read(scene, fields, view_indices, frames, as_stored)]

    def entry(self, scene: int | str) -> SceneEntry:
        if isinstance(scene, int):
            return self.scenes[scene]
        if scene not in self._position:
            raise InputError(
                f"there is no scene {scene!r}",
                where=self.uri,
                fix=f"scenes: {', '.join(self.scene_ids[:10])}{', ...' * (len(self) > 10)}",
            )
        return self.scenes[self._position[scene]]

    def frame_size(self, entry: SceneEntry, view_index: int) -> tuple[int, int]:
        """Height and width of a view's frames, in pixels."""
        if "rgb" in self.modalities:
            _, height, width, _ = self.places(entry, "rgb")[view_index, "frames"].table.shape
            return height, width
        (row,) = self.read_fields(entry.scene_id, ["height", "width"], view_indices=[view_index])
        return row["height"], row["width"]

    def read_wanted(self, scene: int | str, wanted: Sequence[Wanted]) -> list[list[dict[str, Any]]]:
        """Several selections of one scene, fetched at once: for each, the fields of its views.

        The values are those of `read_fields`.
        """
        plan = ScenePlan(self, self.entry(scene), wanted)
        plan.fetch()
        return [[values for values, _ in plan.rows(one)] for one in wanted]

    def prefetch_wanted(self, scene: int | str, wanted: Sequence[Wanted]) -> None:
        """Begin to fetch what `read_wanted` will need, and return at once."""
        self.files.prefetch(ScenePlan(self, self.entry(scene), wanted).ranges())

    def _read(
        self,
        scene: int | str,
        fields: Sequence[str],
        view_indices: Sequence[int] | None = None,
        frames: FrameSelection = None,
        as_stored: bool = False,
    ) -> Iterator[tuple[dict[str, Any], RowShape]]:
        entry = self.entry(scene)
        views = entry.view_indices if view_indices is None else view_indices
        wanted = Wanted(tuple(fields), tuple(views), frames, as_stored)
        plan = ScenePlan(self, entry, [wanted])
        plan.fetch()
        return plan.rows(wanted)

    def plain_place(self, entry: SceneEntry, modality: str) -> BlobPlace:
        return self.places(entry, modality)[-1, PLAIN_COLUMNS]

    def places(self, entry: SceneEntry, modality: str) -> dict[tuple[int, str], BlobPlace]:
        if modality not in self.modalities:
            raise InputError(
                f"{modality} is read, but the dataset was opened without it",
                where=self.uri,
                fix=f"open it with modalities={[*self.modalities, modality]}",
            )
        if modality not in self._indexes:
            self._indexes[modality] = load_index(self.files, self.manifest, modality)
        with corruption(self.files.place(f"meta/index/{modality}.parquet")):
            return self._indexes[modality].places(entry.scene_id)
