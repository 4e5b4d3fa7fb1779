"""Summarise a dataset: counts, sizes, quality, depth, channels. Nothing but depth is decoded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lyra_data.dataset.checks import sampled_views
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.progress import Progress
from lyra_data.packing.channel_statistics import ChannelStatistics
from lyra_data.scene.quality import NUMBERS
from lyra_data.views.fields import Row

LEVELS = (0.0, 0.05, 0.5, 0.95, 1.0)
MAX_DEPTHS = 20_000
"""Pixels of a view that its range of depth is taken from."""

_COLUMNS = [
    *("trajectory", "motion_reversed", "num_frames", "height", "width", "fps"),
    *("movement_distance", "depth_scale", "source_id", "known_fraction"),
    *NUMBERS,
]


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of one number over all views.

    Attributes:
        count: views that have it.
        missing: views in which it could not be measured, or is not stated (NaN).
        values: at LEVELS; empty where no view has it.
    """

    count: int
    missing: int
    values: tuple[float, ...]

    @staticmethod
    def of(numbers: Iterable[float | None]) -> Quantiles:
        every = list(numbers)
        known = np.array([number for number in every if number is not None], np.float64)
        known = known[~np.isnan(known)]
        values = np.quantile(known, LEVELS).tolist() if len(known) else []
        return Quantiles(len(known), len(every) - len(known), tuple(values))


@dataclass(frozen=True)
class Part:
    """Counts of a part of a dataset: a split, or a camera path in one direction."""

    scenes: int
    views: int
    frames: int
    seconds: float


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset in numbers.

    Attributes:
        sizes: bytes by modality; `meta` is the indexes, the card and the manifest.
        picture_sizes: views by "WIDTHxHEIGHT".
        numbers: quantiles by column.
        depth: quantiles of depth where it is known, by depth_scale, of `depth_views` views.
    """

    uri: str
    manifest: Manifest
    num_sources: int
    whole: Part
    splits: dict[str, Part]
    paths: dict[str, Part]
    sizes: dict[str, int]
    picture_sizes: dict[str, int]
    numbers: dict[str, Quantiles]
    depth: dict[str, Quantiles]
    depth_views: int

    def as_json(self) -> dict[str, Any]:
        def channels(statistics: Sequence[ChannelStatistics]) -> list[dict[str, float]]:
            return [asdict(channel) for channel in statistics]

        views = max(self.whole.views, 1)
        return {
            "dataset": self.uri,
            "format_version": self.manifest.format_version,
            "dataset_hash": self.manifest.dataset_hash,
            "codec": asdict(self.manifest.codec),
            "encoding": self.manifest.encoding,
            "num_sources": self.num_sources,
            **{f"num_{key}": value for key, value in asdict(self.whole).items()},
            "num_dropped": len(self.manifest.dropped),
            "splits": {name: asdict(part) for name, part in self.splits.items()},
            "trajectories": {name: asdict(part) for name, part in self.paths.items()},
            "num_bytes": sum(self.sizes.values()),
            "bytes": self.sizes,
            "bytes_per_view": {name: size / views for name, size in self.sizes.items()},
            "picture_sizes": self.picture_sizes,
            "levels": list(LEVELS),
            "numbers": {name: asdict(one) for name, one in self.numbers.items()},
            "depth": {scale: asdict(one) for scale, one in self.depth.items()},
            "depth_views": self.depth_views,
            "latent_channels": channels(self.manifest.latent_channels),
            "rgb_channels": channels(self.manifest.rgb_channels),
        }


def summarise_dataset(uri: Path | str, *, sample: int | None, progress: Progress) -> DatasetSummary:
    """Read the plain columns of all views, and depth of some; a few numbers a view are kept.

    Args:
        sample: views whose depth is read, always the same ones; None: all.

    Raises:
        StageOrderError, CorruptDataError, InputError: as `SceneDataset`.
    """
    dataset = SceneDataset(uri)
    manifest = dataset.manifest
    has_depth = {"depth", "mask"} <= set(manifest.modalities)
    chosen = sampled_views(manifest, sample) if has_depth else set()
    rows: list[Row] = []
    depths: dict[str, list[float]] = {}
    progress.start("Reading", len(manifest.scenes), "scenes")
    for entry in manifest.scenes:
        scene = dataset[entry.scene_id]
        of_scene = _rows(scene)
        for row in of_scene:
            if (entry.scene_id, row["view_index"]) in chosen:
                known = _known_depth(scene, row["view_index"])
                depths.setdefault(row["depth_scale"], []).extend(known)
        rows += of_scene
        progress.advance(note=entry.scene_id)
    progress.finish()
    names = ["known_fraction", "depth_valid_fraction", "movement_distance", "seconds", *NUMBERS]
    if "depth" not in manifest.modalities:
        names.remove("depth_valid_fraction")
    sizes: dict[str, int] = dict.fromkeys(manifest.modalities, 0)
    for shard in manifest.shards:
        sizes[shard.modality] += shard.size
    sizes["meta"] = sum(entry.size for entry in manifest.files) + len(manifest.text())
    return DatasetSummary(
        uri=str(uri),
        manifest=manifest,
        num_sources=len({row["source_id"] for row in rows}),
        whole=_part(rows),
        splits=_parts(rows, lambda row: row["split"]),
        paths=_parts(rows, _path),
        sizes=sizes,
        picture_sizes=dict(Counter(f"{row['width']}x{row['height']}" for row in rows)),
        numbers={name: Quantiles.of(row[name] for row in rows) for name in names},
        depth={scale: Quantiles.of(values) for scale, values in sorted(depths.items())},
        depth_views=len(chosen),
    )


def _rows(scene: SceneReader) -> list[Row]:
    preview = scene.stored.rows("preview", _COLUMNS)
    depth: list[Row] = [{} for _ in preview]  # a part of a dataset may have none
    if "depth" in scene.stored.files.modalities:
        depth = scene.stored.rows("depth", ["depth_valid_fraction"])
    return [
        {**row, **more, "split": scene.entry.split, "seconds": row["num_frames"] / row["fps"]}
        for row, more in zip(preview, depth, strict=True)
    ]


def _known_depth(scene: SceneReader, view_index: int) -> list[float]:
    (values,) = scene.read_fields(["depth", "depth_valid"], view_indices=[view_index])
    known = values["depth"][values["depth_valid"]]
    return known[:: -(-len(known) // MAX_DEPTHS) or 1].double().tolist()


def _path(row: Row) -> str:
    return row["trajectory"] + (", reversed" if row["motion_reversed"] else "")


def _parts(rows: list[Row], key: Any) -> dict[str, Part]:
    names = sorted({key(row) for row in rows})
    return {name: _part([row for row in rows if key(row) == name]) for name in names}


def _part(rows: list[Row]) -> Part:
    return Part(
        scenes=len({row["scene_id"] for row in rows}),
        views=len(rows),
        frames=sum(row["num_frames"] for row in rows),
        seconds=math.fsum(row["seconds"] for row in rows),
    )
