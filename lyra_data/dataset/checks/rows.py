"""Do all modalities hold the views that the manifest states, with as many frames?"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.checks.finding import DatasetFinding, found
from lyra_data.dataset.files.byte_ranges import ByteRanges
from lyra_data.dataset.format.encoding import Encoding
from lyra_data.dataset.format.layout import MODALITIES, arrow_schema
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.reading.plain_columns import read_footer
from lyra_data.dataset.reading.scene_tables import Places, SceneTables
from lyra_data.models.codecs.base import SPATIAL_FACTOR, num_latent_frames
from lyra_data.views.fields import Row

AXES = "channel latent_frame latent_height latent_width"
COLUMNS = {
    "preview": [
        *("trajectory", "motion_reversed", "num_frames", "height", "width", "fps", "depth_scale"),
        *("known_fraction", "source_id", "rgb_mean", "rgb_std"),
    ],
    "rgb": ["video_codec"],
    "latent": ["latent_shape", "latent_axes", "latent_codec", "latent_mean", "latent_std"],
    "depth": ["depth_codec", "depth_offsets", "depth_valid_offsets", "depth_valid_fraction"],
    "camera": ["camera_to_world", "intrinsics"],
    "mask": ["filled_offsets"],
}
"""Plain columns that are checked."""


def check_shards(files: ByteRanges, manifest: Manifest) -> list[DatasetFinding]:
    """Row groups, rows and columns of every shard; the scenes' places in them."""
    findings = []
    for shard in manifest.shards:
        placed = [
            len(scene.view_indices)
            for scene in manifest.scenes
            if (scene.split, scene.shard) == (shard.split, shard.number)
        ]
        footer = read_footer(files, shard)
        file = pq.ParquetFile(pa.BufferReader(b"PAR1" + footer))
        groups = [
            file.metadata.row_group(number).num_rows
            for number in range(file.metadata.num_row_groups)
        ]
        stated = (shard.num_scenes, shard.num_rows)
        if groups != placed or (len(groups), sum(groups)) != stated:
            message = (
                f"{len(groups)} row groups with {sum(groups)} rows; the manifest states "
                f"{shard.num_scenes} with {shard.num_rows}, and {len(placed)} scenes with "
                f"{sum(placed)} views"
            )
            findings.append(found("row-counts", message, file=shard.path))
        if not file.schema_arrow.equals(arrow_schema(shard.modality)):
            message = f"its columns are not those of {shard.modality}"
            findings.append(found("row-counts", message, file=shard.path))
    return findings


def scene_rows(tables: SceneTables, entry: SceneEntry) -> list[Row]:
    """What the plain columns of all modalities tell of a scene, a row a view.

    Raises:
        CorruptDataError: bytes have changed, or are another scene's.
    """
    rows: list[Row] = [{} for _ in entry.view_indices]
    for modality in MODALITIES:
        for row, more in zip(rows, tables.rows(entry, modality, COLUMNS[modality]), strict=True):
            row.update(more)
    return rows


def check_row(
    row: Row, blobs: Places, encoding: Encoding, *, channels: int
) -> list[DatasetFinding]:
    """One view: numbers of frames, sizes, encodings and axes as its columns and the index state.

    Args:
        blobs: of all modalities.
        channels: of the dataset's latents.
    """
    scene, view_index = row["scene_id"], row["view_index"]
    frames, height, width = row["num_frames"], row["height"], row["width"]
    findings = []

    def tell(rule: str, message: str) -> None:
        findings.append(found(rule, message, scene=scene, view_index=view_index))

    counts = {
        "camera_to_world": len(row["camera_to_world"]),
        "intrinsics": len(row["intrinsics"]),
        "depth_offsets": len(row["depth_offsets"]) - 1,
        "depth_valid_offsets": len(row["depth_valid_offsets"]) - 1,
        "filled_offsets": len(row["filled_offsets"]) - 1,
    }
    wrong = [f"{name} has {count}" for name, count in counts.items() if count != frames]
    for field, codec in encoding.codecs.items():
        table = blobs[view_index, field].table
        if table.codec != codec:
            tell("encodings", f"{field} is {table.codec or 'not named'}, the dataset {codec}")
        if field != "latents" and tuple(table.shape[:3]) != (frames, height, width):
            wrong.append(f"{field} has {'x'.join(map(str, table.shape[:3]))}")
    if wrong:
        size = f"{frames} frames of {height}x{width}"
        tell("frame-counts", f"{', '.join(wrong)}; preview states {size}")
    shape = (
        channels,
        num_latent_frames(frames),
        height // SPATIAL_FACTOR,
        width // SPATIAL_FACTOR,
    )
    stated = tuple(row["latent_shape"]), tuple(blobs[view_index, "latents"].table.shape)
    if stated != (shape, shape) or row["latent_axes"] != AXES:
        message = (
            f"{row['latent_axes']} of {'x'.join(map(str, stated[0]))} (index: "
            f"{'x'.join(map(str, stated[1]))}); {'x'.join(map(str, shape))} belong to these frames"
        )
        tell("latent-axes", message)
    return findings
