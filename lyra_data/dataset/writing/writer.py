"""Write a dataset: scenes into the shards of every modality, the index, the card, the manifest.

Holds one view and the index of the open shards in memory. The manifest is written last, and the
folder appears whole or not at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lyra_data.dataset.format.blob_index import INDEX_SCHEMA
from lyra_data.dataset.format.layout import MODALITIES, index_path
from lyra_data.dataset.format.manifest import (
    CARD_PATH,
    Codec,
    FileEntry,
    Manifest,
    SceneEntry,
    ShardEntry,
    footer_of,
)
from lyra_data.dataset.format.splits import TRAIN
from lyra_data.dataset.writing.card import card_text
from lyra_data.dataset.writing.packed_scene import PackedScene, pack_scene, require_same_codec
from lyra_data.dataset.writing.row_groups import rows_of_groups
from lyra_data.dataset.writing.shards import OpenShard
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.errors import StageOrderError
from lyra_data.engine.hashing import sha256_of_bytes, sha256_of_file
from lyra_data.packing.channel_statistics import ChannelSums, add_sums
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.view import View
from lyra_data.views.dropped import DroppedView
from lyra_data.views.fields import Row, row_from_view


def write_dataset(
    views: Iterable[View],
    folder: Path,
    *,
    splits: Mapping[str, str] | None,
    scenes_per_shard: int,
    provenance: Mapping[str, str],
    encoding: Encoding = Encoding(),  # noqa: B008  frozen
) -> Manifest:
    """Write views in memory as `assemble_dataset` does; the views of a scene stand together."""
    rows = map(row_from_view, views)
    return assemble_dataset(
        pack_scenes(rows, encoding),
        folder,
        splits=splits,
        scenes_per_shard=scenes_per_shard,
        provenance=provenance,
        encoding=encoding,
    )


def pack_scenes(rows: Iterable[Row], encoding: Encoding) -> Iterator[PackedScene]:
    """Yield the scenes of rows that stand side by side; one view is held at a time."""
    for _, group in itertools.groupby(rows, key=lambda row: row["scene_id"]):
        yield pack_scene(group, encoding)


def assemble_dataset(
    scenes: Iterable[PackedScene],
    folder: Path,
    *,
    splits: Mapping[str, str] | None,
    scenes_per_shard: int,
    provenance: Mapping[str, Any],
    encoding: Encoding,
    dropped: Sequence[DroppedView] = (),
    modalities: Sequence[str] = MODALITIES,
) -> Manifest:
    """Write packed scenes as `folder`; it appears whole, with its manifest, or not at all.

    The same scenes give the same bytes.

    Args:
        splits: scene_id -> split, as `splits.split_by_source` gives; None: everything is train.
        provenance: what made the dataset, for the manifest.
        dropped: views kept out of it, for the manifest.
        modalities: those that the scenes have.

    Raises:
        StageOrderError: there is no scene at all.
        CorruptDataError: the views were encoded by several codecs.
        StorageError: the disk is full, read-only or not permitted.
    """
    assert scenes_per_shard > 0, scenes_per_shard
    codec: Codec | None = None
    latents: ChannelSums | None = None
    colours: ChannelSums | None = None
    with (
        folder_atomically(folder) as temporary,
        _Shards(temporary, scenes_per_shard, modalities) as shards,
    ):
        for scene in scenes:
            codec = require_same_codec(scene.codec, codec, scene.scene_id, scene.view_indices[0])
            if scene.latent_sums is not None:
                latents = _added(latents, scene.latent_sums)
            colours = _added(colours, scene.rgb_sums)
            shards.add(scene, TRAIN if splits is None else splits[scene.scene_id])
            del scene  # before the next one is made
        if codec is None or colours is None:
            raise StageOrderError(
                "there are no views to package", where=str(folder), fix="run `lyra-data generate`"
            )
        entries = shards.finish()
        (temporary / CARD_PATH).write_text(card_text(entries, shards.scenes, encoding), "utf-8")
        files = [*map(index_path, modalities), CARD_PATH.as_posix()]
        manifest = Manifest(
            codec=codec,
            encoding=encoding.as_json(),
            latent_channels=() if latents is None else latents.statistics(),
            rgb_channels=colours.statistics(),
            shards=tuple(entries),
            files=tuple(_file_entry(temporary, path) for path in files),
            scenes=tuple(shards.scenes),
            dropped=tuple(dropped),
            provenance=dict(provenance),
        )
        manifest.write(temporary)
    return manifest


def shard_path(modality: str, split: str, number: int, total: int) -> str:
    """Return where a shard lies in a dataset, relative to it."""
    return f"data/{modality}/{split}-{number:05d}-of-{total:05d}.parquet"


class _Shards:
    """The shards of all splits as they are written; how many there are is known at the end."""

    def __init__(self, folder: Path, scenes_per_shard: int, modalities: Sequence[str]) -> None:
        self.folder, self.scenes_per_shard = folder, scenes_per_shard
        self.modalities = modalities
        self.scenes: list[SceneEntry] = []
        self._seen: set[str] = set()
        self._open: dict[str, dict[str, OpenShard]] = {}
        self._num_scenes: dict[str, list[int]] = {}
        self._num_rows: dict[str, list[int]] = {}
        self._num_groups: dict[str, int] = {}

    def __enter__(self) -> _Shards:
        for modality in self.modalities:
            (self.folder / "data" / modality).mkdir(parents=True)
            (self.folder / index_path(modality)).parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *exception: object) -> None:
        for shard in (shard for group in self._open.values() for shard in group.values()):
            shard.abandon()

    def add(self, scene: PackedScene, split: str) -> None:
        assert scene.scene_id not in self._seen, f"{scene.scene_id}: its views are not side by side"
        self._seen.add(scene.scene_id)
        group = self._open.get(split) or self._start(split)
        groups = rows_of_groups(scene.view_indices, scene.cuts.values())
        for shard in group.values():
            shard.add(scene, groups)
        self.scenes.append(
            SceneEntry(
                scene.scene_id,
                split,
                len(self._num_scenes[split]) - 1,
                self._num_groups[split],
                tuple(scene.view_indices),
                groups if len(groups) > 1 else (),
            )
        )
        self._num_groups[split] += len(groups)
        self._num_scenes[split][-1] += 1
        self._num_rows[split][-1] += len(scene.view_indices)
        if self._num_scenes[split][-1] == self.scenes_per_shard:
            self._finish_shards(split)

    def finish(self) -> list[ShardEntry]:
        """Give shards their last names, write the index, return entries by modality and split."""
        for split in list(self._open):
            self._finish_shards(split)
        entries = []
        for modality in self.modalities:
            with pq.ParquetWriter(
                self.folder / index_path(modality), INDEX_SCHEMA, compression="zstd"
            ) as index:
                for split in sorted(self._num_scenes):
                    entries += self._finish_split(modality, split, index)
        return entries

    def _finish_split(self, modality: str, split: str, index: pq.ParquetWriter) -> list[ShardEntry]:
        entries = []
        total = len(self._num_scenes[split])
        for number in range(total):
            part = self._part(modality, split, number)
            name = shard_path(modality, split, number, total)
            path = part.with_suffix(".parquet").rename(self.folder / name)
            rows = pq.read_table(part)
            names = rows.column_names.index("file")
            index.write_table(
                rows.set_column(names, INDEX_SCHEMA.field("file"), [[name] * len(rows)])
            )
            part.unlink()
            footer = footer_of(path)
            entries.append(
                ShardEntry(
                    path=name,
                    modality=modality,
                    split=split,
                    number=number,
                    size=path.stat().st_size,
                    sha256=sha256_of_file(path),
                    footer_size=len(footer),
                    footer_sha256=sha256_of_bytes(footer),
                    num_scenes=self._num_scenes[split][number],
                    num_rows=self._num_rows[split][number],
                )
            )
        return entries

    def _part(self, modality: str, split: str, number: int) -> Path:
        """Return the path of one shard's index until all are counted; the shard lies beside it."""
        return self.folder / "data" / modality / f"{split}-{number:05d}.index"

    def _start(self, split: str) -> dict[str, OpenShard]:
        number = len(self._num_scenes.setdefault(split, []))
        self._num_scenes[split].append(0)
        self._num_rows.setdefault(split, []).append(0)
        self._num_groups[split] = 0
        self._open[split] = {
            modality: OpenShard(
                self._part(modality, split, number).with_suffix(".parquet"), modality
            )
            for modality in self.modalities
        }
        return self._open[split]

    def _finish_shards(self, split: str) -> None:
        number = len(self._num_scenes[split]) - 1
        for modality, shard in self._open.pop(split).items():
            pq.write_table(shard.close(""), self._part(modality, split, number))


def _added(sums: ChannelSums | None, more: ChannelSums) -> ChannelSums:
    return more if sums is None else add_sums([sums, more])


def _file_entry(folder: Path, path: str) -> FileEntry:
    whole = folder / path
    return FileEntry(path, whole.stat().st_size, sha256_of_file(whole))
