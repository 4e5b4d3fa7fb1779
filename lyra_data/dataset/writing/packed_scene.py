"""Pack scenes: rows of every modality and the cuts of their blobs, kept until they are in a shard.

On the disk its tables are one file, read by memory map, so that writing a scene to its shard holds
none of it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lyra_data.dataset.format.layout import MODALITIES, arrow_schema, blob_columns, columns_of
from lyra_data.dataset.format.manifest import Codec
from lyra_data.dataset.writing.lazy_tables import LazyTables
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.names import checked_name
from lyra_data.packing.blob_kinds import view_address
from lyra_data.packing.channel_statistics import ChannelSums, add_sums
from lyra_data.packing.cuts import CUT_SCHEMA, cut_of
from lyra_data.packing.encoding import EncodedView, Encoding, encode_view
from lyra_data.views.fields import FIELD_BY_NAME, Row, row_shape

GENERATE_AGAIN = "run `lyra-data generate` again, with one codec for all scenes"
TABLES_FILE = "tables.arrow"
"""Streams of Arrow's IPC, one behind the other; facts.json says where each begins and ends."""
ALIGNMENT = 64
"""Bytes that Arrow wants its buffers aligned to."""
LATENT_SUMS = ["latent_shape", "latent_mean", "latent_std"]
RGB_SUMS = ["num_frames", "height", "width", "rgb_mean", "rgb_std"]


@dataclass(frozen=True)
class PackedScene:
    """One scene's rows.

    Attributes:
        tables, cuts: by modality; rows of `layout.arrow_schema` and of CUT_SCHEMA.
        codec: of the latents of all its views.
        latent_sums, rgb_sums: as the rows state their views' statistics; no latents: None.
    """

    scene_id: str
    view_indices: tuple[int, ...]
    codec: Codec
    latent_sums: ChannelSums | None
    rgb_sums: ChannelSums
    tables: Mapping[str, pa.Table]
    cuts: Mapping[str, pa.Table]

    def write(self, folder: Path) -> None:
        """Write the scene as two files of `folder`: all tables, one behind the other, and facts."""
        assert self.latent_sums is not None, "whole scenes alone are kept"
        ends = {}
        with pa.OSFile(str(folder / TABLES_FILE), "wb") as file:
            for name, tables in (("rows", self.tables), ("cuts", self.cuts)):
                for modality, table in tables.items():
                    file.write(bytes(-file.tell() % ALIGNMENT))
                    begin = file.tell()
                    with pa.ipc.new_stream(file, table.schema) as out:
                        out.write_table(table)
                    ends[f"{modality}-{name}"] = [begin, file.tell()]
        facts = {
            "scene_id": self.scene_id,
            "view_indices": list(self.view_indices),
            "codec": dataclasses.asdict(self.codec),
            "latent_sums": dataclasses.asdict(self.latent_sums),
            "rgb_sums": dataclasses.asdict(self.rgb_sums),
            "tables": ends,
        }
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> PackedScene:
        """Read what `write` wrote; its bytes stay on the disk until they are used."""
        facts = read_json_object(
            folder / "facts.json", kind="packed scene", fix=f"delete {folder}, and run it again"
        )
        checked_name(facts.get("scene_id"), noun="scene_id", where=str(folder / "facts.json"))

        mapped = pa.memory_map(str(folder / TABLES_FILE))
        whole = mapped.read_buffer(mapped.size())

        def tables(name: str) -> dict[str, pa.Table]:
            ends = {modality: facts["tables"][f"{modality}-{name}"] for modality in MODALITIES}
            return {
                modality: pa.ipc.open_stream(whole.slice(begin, end - begin)).read_all()
                for modality, (begin, end) in ends.items()
            }

        latent_sums, rgb_sums = (
            ChannelSums(sums["count"], tuple(sums["total"]), tuple(sums["squares"]))
            for sums in (facts["latent_sums"], facts["rgb_sums"])
        )
        return PackedScene(
            facts["scene_id"],
            tuple(facts["view_indices"]),
            Codec(**facts["codec"]),
            latent_sums,
            rgb_sums,
            tables("rows"),
            tables("cuts"),
        )


def pack_scene(rows: Iterable[Row], encoding: Encoding) -> PackedScene:
    """Encode the views of one scene, one at a time.

    Raises:
        CorruptDataError: its latents are of several codecs, or a row's bytes are damaged.
        InputError: a value does not fit in half floats.
    """
    return pack_encoded(_encoded(row, encoding) for row in rows)


def pack_encoded(views: Iterable[EncodedView]) -> PackedScene:
    """Put the encoded views of one scene together, one at a time.

    Raises:
        CorruptDataError: its latents are of several codecs.
    """
    return join_views(map(_packed_view, views))


def join_views(views: Iterable[PackedScene]) -> PackedScene:
    """Put the views of one scene together that were packed one by one; no bytes are copied.

    Raises:
        CorruptDataError: its latents are of several codecs.
    """
    parts: list[PackedScene] = []
    codec = None
    for view in views:
        scene_id, (index,) = view.scene_id, view.view_indices
        codec = require_same_codec(view.codec, codec, scene_id, index)
        for part in parts:
            assert scene_id == part.scene_id, f"a view of {scene_id} is none of {part.scene_id}"
            assert (index,) != part.view_indices, f"{scene_id} has view {index} twice"
        parts.append(view)
    assert codec is not None, "a scene has at least one view"
    latent_sums = [part.latent_sums for part in parts if part.latent_sums is not None]
    return PackedScene(
        parts[0].scene_id,
        tuple(index for part in parts for index in part.view_indices),
        codec,
        add_sums(latent_sums) if latent_sums else None,
        add_sums(part.rgb_sums for part in parts),
        LazyTables.joined([part.tables for part in parts]),
        {
            modality: pa.concat_tables([part.cuts[modality] for part in parts])
            for modality in MODALITIES
        },
    )


def codec_of(row: Row) -> Codec:
    """Return the codec that made a row's latents, from its provenance."""
    stated = FIELD_BY_NAME["provenance"].decode(row["provenance"], row_shape(row))
    return Codec(stated["codec"], stated["codec_fingerprint"])


def require_same_codec(codec: Codec, before: Codec | None, scene_id: str, view_index: int) -> Codec:
    """Compare the codec of a view's latents with that of the views before, and return it.

    Raises:
        CorruptDataError: they are two.
    """
    if before is not None and codec != before:
        raise CorruptDataError(
            f"its latents are of codec {codec.name} ({codec.fingerprint}), those before of "
            f"{before.name} ({before.fingerprint})",
            where=f"scene {scene_id}, view {view_index}",
            fix=GENERATE_AGAIN,
        )
    return codec


def latent_sums_of(rows: Iterable[Row]) -> ChannelSums:
    """Add up the views of these rows of `latent`, of which LATENT_SUMS are read."""
    return add_sums(
        ChannelSums.of_row(
            math.prod(row["latent_shape"][1:]), row["latent_mean"], row["latent_std"]
        )
        for row in rows
    )


def rgb_sums_of(rows: Iterable[Row]) -> ChannelSums:
    """Add up the views of these rows of `preview`, of which RGB_SUMS are read."""
    return add_sums(
        ChannelSums.of_row(
            row["num_frames"] * row["height"] * row["width"], row["rgb_mean"], row["rgb_std"]
        )
        for row in rows
    )


def _packed_view(view: EncodedView) -> PackedScene:
    tables = {modality: row_table(view, modality) for modality in MODALITIES}
    return PackedScene(
        view.row["scene_id"],
        (view.row["view_index"],),
        codec_of(view.row),
        latent_sums_of(tables["latent"].select(LATENT_SUMS).to_pylist()),
        rgb_sums_of(tables["preview"].select(RGB_SUMS).to_pylist()),
        tables,
        {modality: _cut_table(view, modality) for modality in MODALITIES},
    )


def _encoded(row: Row, encoding: Encoding) -> EncodedView:
    try:
        return encode_view(row, encoding)
    except ValueError as error:
        raise CorruptDataError(
            f"the view cannot be read: {error}",
            where=view_address(row),
            fix="run `lyra-data generate` again",
        ) from error


def row_table(view: EncodedView, modality: str) -> pa.Table:
    """Return a view's row of one modality."""
    row = {column.name: column.value(view) for column in columns_of(modality)}
    return pa.Table.from_pylist([row], schema=arrow_schema(modality))


def _cut_table(view: EncodedView, modality: str) -> pa.Table:
    row = view.row
    rows = [
        cut_of(row["scene_id"], row["view_index"], field, view.media[field])
        for field in blob_columns(modality)
    ]
    return pa.Table.from_pylist(rows, schema=CUT_SCHEMA)
