"""Packaging: all generated views into one dataset, split by source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lyra_data.dataset.dropped import read_dropped
from lyra_data.dataset.fields import FIELD_BY_NAME, SHAPE_FIELDS, Row, row_shape
from lyra_data.dataset.manifest import Manifest
from lyra_data.dataset.splits import split_by_source
from lyra_data.dataset.writer import assemble_dataset
from lyra_data.params import Params
from lyra_data.progress import Progress
from lyra_data.provenance import engine_commit, engine_version, params_hash
from lyra_data.view_store import read_columns, read_row, view_files


class PackageParams(Params):
    """Section `package` of params.yaml.

    Attributes:
        scenes_per_shard: scenes in one Parquet file.
        validation_fraction: share of sources kept from training, 0..1; a single source is trained
            on whatever the share.
    """

    scenes_per_shard: Annotated[int, Field(ge=1)]
    validation_fraction: Annotated[float, Field(ge=0, lt=1)]


def package_views(
    params: PackageParams, *, views: Path, dataset: Path, progress: Progress
) -> Manifest:
    """Copy every view's row into shards and write the manifest last; one scene in memory.

    Raises:
        StageOrderError: there are no views.
        CorruptDataError: a view file or the list of dropped views is cut or altered, or views are
            of several codecs.
        StorageError: the disk is full or cannot be written.
    """
    files = view_files(views)
    sources = {scene_id: _source_of(path) for scene_id, path in _first_view_of_scenes(files)}
    progress.start("Packaging", len(files), "views")

    def rows() -> Iterator[Row]:
        for path in files:
            yield read_row(path)
            progress.advance(note=path.parent.name)

    manifest = assemble_dataset(
        rows(),
        dataset,
        splits=split_by_source(sources, params.validation_fraction),
        scenes_per_shard=params.scenes_per_shard,
        provenance={
            "engine_commit": engine_commit(),
            "engine_version": engine_version(),
            "package_params_hash": params_hash(params),
        },
        dropped=read_dropped(views),
    )
    progress.finish()
    return manifest


def _first_view_of_scenes(files: list[Path]) -> list[tuple[str, Path]]:
    return list({path.parent.name: path for path in reversed(files)}.items())


def _source_of(view_file: Path) -> str:
    """What names a scene's source: the hash of its picture, or the scene itself.

    Depth and intrinsics do not count: one picture with two depth maps is one source. Only what is
    needed is read: a view may have a hundred megabytes, and is checked whole when it is copied.
    """
    row = read_columns(view_file, ["scene_id", "provenance", *SHAPE_FIELDS])
    provenance = FIELD_BY_NAME["provenance"].decode(row["provenance"], row_shape(row))
    return provenance.get("source_image_sha256", row["scene_id"])
