"""Check that all modalities hold the views that the manifest states, with as many frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lyra_data.dataset.checks.locations import (
    DatasetFinding,
    dataset_finding,
    file_finding,
    view_finding,
)
from lyra_data.dataset.format.blob_index import BlobEntries
from lyra_data.dataset.format.layout import (
    NESTED_BYTES_LIMIT,
    arrow_schema,
    offsets_name,
)
from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.stored_scene import StoredScene
from lyra_data.models.codecs.base import SPATIAL_FACTOR, TEMPORAL_FACTOR, num_latent_frames
from lyra_data.packing.blob_kinds import kind_of
from lyra_data.packing.encoding import Encoding
from lyra_data.views.fields import FIELD_BY_NAME, FIELDS, Row

AXES = "channel latent_frame latent_height latent_width"
_STATED = {
    "preview": [
        *("trajectory", "motion_reversed", "num_frames", "height", "width", "fps", "depth_scale"),
        *("known_fraction", "source_id", "rgb_mean", "rgb_std"),
    ],
    "latent": ["latent_shape", "latent_axes", "latent_mean", "latent_std"],
    "depth": ["depth_valid_fraction"],
    "camera": ["camera_to_world", "intrinsics"],
}
"""Plain columns that are checked besides those of blobs, by modality."""


def offsets_columns(modality: str) -> list[str]:
    """Return the columns that say where the frames of a modality's blobs begin."""
    return [
        offsets_name(field.packing)
        for field in FIELDS
        if field.packing and field.modality == modality and kind_of(field.name).has_offsets
    ]


def check_shards(files: DatasetFiles) -> list[DatasetFinding]:
    """Check row groups, rows and columns of every shard, and the scenes that it should hold."""
    findings = []
    scenes_of: dict[tuple[str, int], list[SceneEntry]] = {}
    for scene in files.manifest.scenes:
        scenes_of.setdefault((scene.split, scene.shard), []).append(scene)
    for shard in files.manifest.shards:
        scenes = scenes_of.get((shard.split, shard.number), [])
        stated_groups = [(scene, rows) for scene in scenes for rows in scene.rows_of_groups]
        views = [rows for _, rows in stated_groups]
        metadata = files.plain.footer(shard.path)
        groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        stated = (shard.num_scenes, shard.num_rows)
        if groups != views or (len(scenes), sum(groups)) != stated:
            message = (
                f"{len(groups)} row groups with {sum(groups)} rows; the manifest states "
                f"{shard.num_scenes} scenes with {shard.num_rows}, and names {len(scenes)} with "
                f"{sum(views)} views in {len(views)} row groups"
            )
            findings.append(file_finding("row-counts", message, file=shard.path))
        if not files.plain.schema(shard.path).equals(arrow_schema(shard.modality)):
            message = f"its columns are not those of {shard.modality}"
            findings.append(file_finding("row-counts", message, file=shard.path))
        for number, (scene, _) in enumerate(stated_groups[: len(groups)]):
            findings += _check_size(metadata.row_group(number), scene.scene_id, shard.path)
    return findings


def _check_size(group: Any, scene_id: str, path: str) -> list[DatasetFinding]:
    """Check that programs which cannot cut a nested column can read those of a row group."""
    chunks = [group.column(number) for number in range(group.num_columns)]
    return [
        dataset_finding(
            "row-group-size",
            f"{chunk.path_in_schema} of its {group.num_rows} views has "
            f"{chunk.total_uncompressed_size} bytes in one row group of {path}",
            scene=scene_id,
            value=chunk.total_uncompressed_size,
        )
        for chunk in chunks
        if "." in chunk.path_in_schema and chunk.total_uncompressed_size >= NESTED_BYTES_LIMIT
    ]


def scene_rows(scene: StoredScene) -> list[Row]:
    """Read what the plain columns of its modalities state of a scene, a row a view.

    Raises:
        CorruptDataError: bytes have changed, or are another scene's.
    """
    rows: list[Row] = [{} for _ in scene.entry.view_indices]
    for modality in scene.files.modalities:
        columns = [*_STATED.get(modality, ()), *offsets_columns(modality)]
        for row, more in zip(rows, scene.rows(modality, columns), strict=True):
            row.update(more)
    return rows


def check_row(
    row: Row, blobs: BlobEntries, encoding: Encoding, *, channels: int, modalities: Sequence[str]
) -> list[DatasetFinding]:
    """Check one view: numbers of frames, sizes, encodings and axes by its columns and the index.

    Args:
        blobs: of all modalities.
        channels: of the dataset's latents.
        modalities: those that the dataset has.
    """
    scene, view_index = row["scene_id"], row["view_index"]
    frames, height, width = row["num_frames"], row["height"], row["width"]
    findings = []

    def add(rule: str, message: str) -> None:
        findings.append(view_finding(rule, message, scene=scene, view_index=view_index))

    cameras = ("camera_to_world", "intrinsics") if "camera" in modalities else ()
    counts = {
        **{name: len(row[name]) for name in cameras},
        **{
            name: len(row[name]) - 1
            for modality in modalities
            for name in offsets_columns(modality)
        },
    }
    wrong = [f"{name} has {count}" for name, count in counts.items() if count != frames]
    for field, codec in encoding.codecs.items():
        if FIELD_BY_NAME[field].modality not in modalities:
            continue
        table = blobs[view_index, field].table
        if table.codec != codec:
            add("encodings", f"{field} is {table.codec or 'not named'}, the dataset {codec}")
        if FIELD_BY_NAME[field].per_frame and tuple(table.shape[:3]) != (frames, height, width):
            wrong.append(f"{field} has {'x'.join(map(str, table.shape[:3]))}")
    if wrong:
        size = f"{frames} frames of {height}x{width}"
        add("frame-counts", f"{', '.join(wrong)}; preview states {size}")
    if frames % TEMPORAL_FACTOR != 1:
        add("frame-counts", f"{frames} frames, though latents stand for 8k+1 frames alone")
        return findings
    if "latent" not in modalities:
        return findings
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
        add("latent-axes", message)
    return findings
