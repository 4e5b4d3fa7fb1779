"""Open a dataset's files: the manifest at once, the index of a modality when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from lyra_data.dataset.files.byte_ranges import ByteRanges, MissingFileError, Range
from lyra_data.dataset.files.corruption import altered, corruption_of
from lyra_data.dataset.files.opening import open_ranges
from lyra_data.dataset.format.blob_index import BlobEntries, BlobEntry, BlobIndex, plain_key
from lyra_data.dataset.format.layout import MODALITIES, index_path
from lyra_data.dataset.format.manifest import (
    MANIFEST_PATH,
    Manifest,
    SceneEntry,
    parse_manifest,
    unfinished,
)
from lyra_data.dataset.reading.counts import ReadingCounts
from lyra_data.dataset.reading.plain_columns import PlainColumns
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.engine.names import shortened
from lyra_data.models.codecs.latent_spaces import LatentSpace
from lyra_data.packing.encoding import Encoding


class DatasetFiles:
    """The files of one dataset, in a folder or elsewhere; every reader of it shares this value.

    It can be forked and pickled: nothing that is open is shared with a worker.

    Attributes:
        ranges: reads bytes of the files.
        modalities: those that may be read.
        plain: reads plain columns.
        codecs: the codec that the blob of every packed field has.
        counts: what was decoded and read so far.
        latent_space: the one that latents are read in; None: the one that they are stored in.

    Raises:
        InputError: there is no such modality, or none of it in this dataset.
    """

    def __init__(
        self, ranges: ByteRanges, manifest: Manifest, modalities: Sequence[str] | None = None
    ) -> None:
        self.ranges, self.manifest = ranges, manifest
        self.modalities = manifest.modalities if modalities is None else tuple(modalities)
        unknown = [name for name in self.modalities if name not in MODALITIES]
        if unknown:
            raise InputError(
                f"there is no modality {unknown[0]!r}",
                where=self.uri,
                fix=f"modalities: {', '.join(MODALITIES)}",
            )
        self._require_present(self.modalities)
        self.plain = PlainColumns(ranges, manifest)
        self.codecs = Encoding(**manifest.encoding).codecs  # type: ignore[arg-type]
        self.counts = ReadingCounts()
        self.latent_space: LatentSpace | None = None
        self._indexes: dict[str, BlobIndex] = {}

    @staticmethod
    def open(
        uri: Path | str,
        *,
        revision: str | None = None,
        modalities: Sequence[str] | None = None,
        cache_dir: Path | None = None,
    ) -> DatasetFiles:
        """Open a dataset and read its manifest; arguments as `SceneDataset`'s.

        Raises:
            StageOrderError: there is no such folder.
            CorruptDataError: the manifest is missing, altered, or of another version.
            InputError: the address cannot be read, or there is no such modality.
        """
        ranges = open_ranges(uri, revision, cache_dir)
        return DatasetFiles(ranges, read_manifest(ranges), modalities)

    @property
    def uri(self) -> str:
        """Return the folder or the address of the dataset."""
        return self.ranges.address("").rstrip("/")

    def index(self, modality: str) -> BlobIndex:
        """Return the index of a modality.

        Raises:
            CorruptDataError: it is missing or altered.
        """
        if modality not in self._indexes:
            self._indexes[modality] = _read_index(self.ranges, self.manifest, modality)
        return self._indexes[modality]

    def blobs(self, scene: SceneEntry, modality: str) -> BlobEntries:
        """Return the blobs of a scene, by view_index and field.

        Raises:
            InputError: the dataset was opened without this modality.
            CorruptDataError: the index is missing or altered, or does not know the scene.
        """
        self._require_present([modality])
        if modality not in self.modalities:
            raise InputError(
                f"{modality} is read, but the dataset was opened without it",
                where=self.uri,
                fix=f"open it with modalities={[*self.modalities, modality]}",
            )
        index = self.index(modality)
        with corruption_of(self.ranges.address(index_path(modality))):
            return index.entries(scene.scene_id)

    def _require_present(self, modalities: Sequence[str]) -> None:
        absent = [name for name in modalities if name not in self.manifest.modalities]
        if absent:
            raise InputError(
                f"it has no {absent[0]}: it is a part of a dataset, pulled without",
                where=self.uri,
                fix=f"pull it again with --modalities {absent[0]} too, or read only "
                f"{', '.join(self.manifest.modalities)}",
            )

    def plain_columns(self, scene: SceneEntry, modality: str) -> list[BlobEntry]:
        """Return the ranges of a scene's plain columns of one modality, one a row group; all are of
        one file. Raises as `blobs`."""
        blobs = self.blobs(scene, modality)
        groups = [blobs.get(plain_key(number)) for number in range(scene.num_row_groups)]
        known = [group for group in groups if group is not None]
        if len(known) < len(groups) or len({group.file for group in known}) != 1:
            raise altered(
                self.ranges.address(index_path(modality)),
                f"it does not say where the {len(groups)} row groups of {scene.scene_id} are",
            )
        return known

    def file_of(self, scene: SceneEntry, modality: str) -> str:
        """Return the file that holds a scene's rows of one modality; raises as `blobs`."""
        return self.plain_columns(scene, modality)[0].file

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """Return the bytes of every range, counted.

        Raises:
            CorruptDataError: a file is missing or too short.
        """
        data = self.ranges.read(ranges)
        self.counts.add_bytes(sum(map(len, data)))
        return data


def read_manifest(ranges: ByteRanges) -> Manifest:
    """Read the manifest of a dataset.

    Raises:
        CorruptDataError: it is missing, altered or of another version.
    """
    path = MANIFEST_PATH.as_posix()
    try:
        text = ranges.read_whole(path)
    except MissingFileError:
        raise unfinished(ranges.address(path)) from None
    return parse_manifest(text, ranges.address(path))


def _read_index(ranges: ByteRanges, manifest: Manifest, modality: str) -> BlobIndex:
    path = index_path(modality)
    address = ranges.address(path)
    entry = next((entry for entry in manifest.files if entry.path == path), None)
    if entry is None:
        raise altered(address, "the manifest names no such file")
    (data,) = ranges.read([Range(path, 0, entry.size)])
    if sha256_of_bytes(data) != entry.sha256:
        raise altered(address, "it does not have the sha256 that the manifest states")
    try:
        index = BlobIndex(data)
    except (ValueError, OSError, KeyError, pa.ArrowException) as error:
        raise altered(address, str(error)) from error
    foreign = index.files() - {shard.path for shard in manifest.shards_of([modality])}
    if foreign:
        raise altered(address, f"it names {shortened(min(foreign))}, and the manifest does not")
    return index
