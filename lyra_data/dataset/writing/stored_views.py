"""Pack a view that is kept encoded: nothing is encoded, and its blobs are read when written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pyarrow as pa

from lyra_data.dataset.format.layout import MODALITIES, blob_columns
from lyra_data.dataset.writing.lazy_tables import LazyTables
from lyra_data.dataset.writing.packed_scene import PackedScene, codec_of, row_table
from lyra_data.packing.channel_statistics import ChannelStatistics, ChannelSums
from lyra_data.packing.cuts import CUT_SCHEMA
from lyra_data.packing.encoding import EncodedView
from lyra_data.views.fields import Row


def pack_stored(view: EncodedView, cuts: Mapping[str, Row]) -> PackedScene:
    """Return the rows of an encoded view and the cuts of its blobs.

    Args:
        cuts: by field, rows of CUT_SCHEMA without names.
    """
    row = view.row
    names = {"scene_id": row["scene_id"], "view_index": row["view_index"]}

    def cut_table(modality: str) -> pa.Table:
        rows = [{**names, **cuts[field]} for field in blob_columns(modality)]
        return pa.Table.from_pylist(rows, schema=CUT_SCHEMA)

    return PackedScene(
        row["scene_id"],
        (row["view_index"],),
        codec_of(row),
        _sums(row["latent_shape"][1:], view.latent_channels),
        _sums((row["num_frames"], row["height"], row["width"]), view.rgb_channels),
        LazyTables(lambda modality: row_table(view, modality)),
        {modality: cut_table(modality) for modality in MODALITIES},
    )


def _sums(size: Sequence[int], channels: Sequence[ChannelStatistics]) -> ChannelSums:
    """Return the sums of a view's channels, of `size` values each."""
    means, stds = [one.mean for one in channels], [one.std for one in channels]
    return ChannelSums.of_row(math.prod(size), means, stds)
