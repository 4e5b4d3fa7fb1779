"""Packing views into shards: one row a view, one row group a scene, the manifest last."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.atomic import folder_atomically
from lyra_data.dataset.dropped import DroppedView
from lyra_data.dataset.fields import FIELD_BY_NAME, Row, row_from_view, row_shape
from lyra_data.dataset.manifest import Codec, Manifest, SceneEntry, ShardEntry, footer_sha256
from lyra_data.dataset.schema import arrow_schema, open_parquet_writer
from lyra_data.dataset.splits import TRAIN
from lyra_data.errors import CorruptDataError, StageOrderError
from lyra_data.hashing import sha256_of_file
from lyra_data.view import View

DATA_FOLDER = "data"
GENERATE_AGAIN = "run `lyra-data generate` again, with one codec for all scenes"


def write_dataset(
    views: Iterable[View],
    folder: Path,
    *,
    splits: Mapping[str, str] | None,
    scenes_per_shard: int,
    provenance: Mapping[str, str],
) -> Manifest:
    """As `assemble_dataset`, from views in memory."""
    return assemble_dataset(
        map(row_from_view, views),
        folder,
        splits=splits,
        scenes_per_shard=scenes_per_shard,
        provenance=provenance,
    )


def assemble_dataset(
    rows: Iterable[Row],
    folder: Path,
    *,
    splits: Mapping[str, str] | None,
    scenes_per_shard: int,
    provenance: Mapping[str, str],
    dropped: Sequence[DroppedView] = (),
) -> Manifest:
    """Pack rows into `folder`; it appears whole, with its manifest, or not at all.

    Holds one scene in memory at a time. The same rows give the same bytes.

    Args:
        rows: the views of a scene one after another, as `fields.row_from_view` makes them.
        splits: scene_id -> split, as `splits.split_by_source` gives; None: everything is train.
        provenance: what made the dataset, for the manifest.
        dropped: views kept out of it, for the manifest.

    Raises:
        StageOrderError: there is no row at all.
        CorruptDataError: the views were encoded by several codecs.
        StorageError: the disk is full, read-only or not permitted.
    """
    assert scenes_per_shard > 0, scenes_per_shard
    codec: Codec | None = None
    scenes: list[SceneEntry] = []
    seen: set[str] = set()
    with folder_atomically(folder) as temporary:
        shards = _Shards(temporary, scenes_per_shard)
        with shards:
            for scene_id, scene_rows in _by_scene(rows):
                assert scene_id not in seen, f"the views of {scene_id} are not side by side"
                seen.add(scene_id)
                codec = _one_codec(scene_id, scene_rows, codec)
                split = TRAIN if splits is None else splits[scene_id]
                scenes.append(shards.add(scene_id, scene_rows, split))
                del scene_rows  # before the next scene is read
        if codec is None:
            raise StageOrderError(
                "there are no views to package", where=str(folder), fix="run `lyra-data generate`"
            )
        names, entries = shards.finish()
        manifest = Manifest(
            codec=codec,
            shards=tuple(entries),
            scenes=tuple(
                SceneEntry(
                    scene.scene_id,
                    scene.split,
                    names[scene.path],
                    scene.row_group,
                    scene.view_indices,
                )
                for scene in scenes
            ),
            dropped=tuple(dropped),
            provenance=dict(provenance),
        )
        manifest.write(temporary)
    return manifest


def codec_of(row: Row) -> Codec:
    """The codec that made a row's latents, from its provenance."""
    stated = FIELD_BY_NAME["provenance"].decode(row["provenance"], row_shape(row))
    assert {"codec", "codec_fingerprint"} <= stated.keys(), f"no codec in provenance {stated}"
    return Codec(stated["codec"], stated["codec_fingerprint"])


@dataclass
class _OpenShard:
    path: str
    split: str
    writer: pq.ParquetWriter
    num_scenes: int = 0
    num_rows: int = 0


@dataclass
class _Shards:
    """The growing shards of every split; names with their number are known only at the end."""

    folder: Path
    scenes_per_shard: int
    open: dict[str, _OpenShard] = field(default_factory=dict)
    closed: list[_OpenShard] = field(default_factory=list)

    def __enter__(self) -> None:
        (self.folder / DATA_FOLDER).mkdir()

    def __exit__(self, *exception: object) -> None:
        for split in list(self.open):
            self._close(split)

    def add(self, scene_id: str, rows: list[Row], split: str) -> SceneEntry:
        shard = self.open.get(split) or self._open(split)
        shard.writer.write_table(
            pa.Table.from_pylist(rows, schema=arrow_schema()), row_group_size=len(rows)
        )
        view_indices = tuple(row["view_index"] for row in rows)
        scene = SceneEntry(scene_id, split, shard.path, shard.num_scenes, view_indices)
        shard.num_scenes += 1
        shard.num_rows += len(rows)
        if shard.num_scenes == self.scenes_per_shard:
            self._close(split)
        return scene

    def finish(self) -> tuple[dict[str, str], list[ShardEntry]]:
        """Give shards their last names: (temporary -> last name, entries by split and number)."""
        names, entries = {}, []
        for split, group in itertools.groupby(
            sorted(self.closed, key=lambda shard: (shard.split, shard.path)),
            key=lambda shard: shard.split,
        ):
            shards = list(group)
            for number, shard in enumerate(shards):
                name = f"{DATA_FOLDER}/{split}-{number:05d}-of-{len(shards):05d}.parquet"
                path = (self.folder / shard.path).rename(self.folder / name)
                names[shard.path] = name
                entries.append(
                    ShardEntry(
                        path=name,
                        split=split,
                        size=path.stat().st_size,
                        sha256=sha256_of_file(path),
                        footer_sha256=footer_sha256(path),
                        num_scenes=shard.num_scenes,
                        num_rows=shard.num_rows,
                    )
                )
        return names, entries

    def _open(self, split: str) -> _OpenShard:
        number = sum(shard.split == split for shard in self.closed)
        path = f"{DATA_FOLDER}/{split}-{number:05d}.parquet"
        shard = _OpenShard(path, split, open_parquet_writer(self.folder / path))
        self.open[split] = shard
        return shard

    def _close(self, split: str) -> None:
        shard = self.open.pop(split)
        shard.writer.close()
        self.closed.append(shard)


def _by_scene(rows: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    for scene_id, group in itertools.groupby(rows, key=lambda row: row["scene_id"]):
        scene_rows = list(group)
        indices = [row["view_index"] for row in scene_rows]
        assert len(set(indices)) == len(indices), f"{scene_id} has a view twice: {indices}"
        yield scene_id, scene_rows
        del scene_rows  # before the next scene is read


def _one_codec(scene_id: str, rows: list[Row], codec: Codec | None) -> Codec:
    for row in rows:
        found = codec_of(row)
        if codec is not None and found != codec:
            raise CorruptDataError(
                f"its latents are of codec {found.name} ({found.fingerprint}), those before of "
                f"{codec.name} ({codec.fingerprint})",
                where=f"scene {scene_id}, view {row['view_index']}",
                fix=GENERATE_AGAIN,
            )
        codec = found
    assert codec is not None
    return codec
