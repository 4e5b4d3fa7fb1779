"""Package all generated views into one dataset, split by source.

Every scene is encoded once and kept in the scratch store until the dataset is put together, so a
run that was killed goes on with the scene it was at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lyra_data.dataset.format.encoding import Encoding
from lyra_data.dataset.format.layout import layout_hash
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.format.splits import source_id, split_by_source
from lyra_data.dataset.writing.packed_scene import PackedScene, pack_scene
from lyra_data.dataset.writing.writer import assemble_dataset
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.params import Params
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import code_fingerprint, engine_commit, engine_version, params_hash
from lyra_data.engine.scratch import ScratchStore
from lyra_data.views.dropped import read_dropped
from lyra_data.views.fields import FIELD_BY_NAME, SHAPE_FIELDS, Row, row_shape
from lyra_data.views.store import GENERATE_AGAIN, content_hash, read_columns, read_row, view_files

STAGE = "package"


class PackageParams(Params):
    """Section `package` of params.yaml.

    Attributes:
        scenes_per_shard: scenes in one Parquet file of every modality.
        validation_fraction: share of sources kept from training, 0..1; a single source is trained
            on whatever the share.
        validation_scenes: scenes that are kept from training as well, whatever their share; names,
            or patterns such as "held_*".
        rgb: how frames are encoded: lossless; train (AV1) or compat (H.264, reads fastest, opens
            anywhere), both lossy.
        depth: lossless float32, or half floats.
        latents: lossless float32, or half floats.
    """

    scenes_per_shard: Annotated[int, Field(ge=1)]
    validation_fraction: Annotated[float, Field(ge=0, lt=1)]
    validation_scenes: tuple[str, ...]
    rgb: Literal["lossless", "train", "compat"]
    depth: Literal["lossless", "half"]
    latents: Literal["lossless", "half"]

    @property
    def encoding(self) -> Encoding:
        return Encoding(rgb=self.rgb, depth=self.depth, latents=self.latents)


def package_views(
    params: PackageParams, *, views: Path, dataset: Path, scratch: Path, progress: Progress
) -> Manifest:
    """Encode every scene that is not encoded yet, and write shards, index and manifest.

    Holds one view in memory at a time, and the encoded scene.

    Args:
        scratch: scratch folder of the whole pipeline (".work").

    Raises:
        StageOrderError: there are no views.
        CorruptDataError: a view file or the list of dropped views is cut or altered, or views are
            of several codecs.
        InputError: a value does not fit in half floats.
        ParamsError: `validation_scenes` name no scene, or all of them.
        StorageError: the disk is full or cannot be written.
    """
    files = view_files(views)
    sources = {scene_id: _source_of(path) for scene_id, path in _first_view_of_scenes(files)}
    dropped = read_dropped(views)
    store = ScratchStore(scratch, STAGE)
    progress.start("Packaging", len(files), "views")

    def scenes() -> Iterator[PackedScene]:
        for scene_id, group in itertools.groupby(files, key=lambda path: path.parent.name):
            paths = list(group)
            key = _scene_key(paths, params.encoding)
            finished = store.get(key)
            if finished is None:
                with store.put(key) as item:
                    _pack(paths, params.encoding, progress).write(item)
                finished = store.folder / key
            else:
                progress.advance(len(paths), note=scene_id)
            yield PackedScene.read(finished)

    manifest = assemble_dataset(
        scenes(),
        dataset,
        splits=split_by_source(sources, params.validation_fraction, params.validation_scenes),
        scenes_per_shard=params.scenes_per_shard,
        provenance={
            "engine_commit": engine_commit(),
            "engine_version": engine_version(),
            "package_params_hash": params_hash(params),
        },
        encoding=params.encoding,
        dropped=dropped,
    )
    progress.finish()
    return manifest


def _pack(paths: list[Path], encoding: Encoding, progress: Progress) -> PackedScene:
    def rows() -> Iterator[Row]:
        for path in paths:
            row = read_row(path)
            _require_own_folder(row, path)
            yield row
            progress.advance(note=path.parent.name)

    return pack_scene(rows(), encoding)


def _scene_key(paths: list[Path], encoding: Encoding) -> str:
    """Return the key of what a packed scene depends on: views, encoding and code."""
    return content_key(
        [
            [content_hash(path) for path in paths],
            encoding.as_json(),
            layout_hash(),
            code_fingerprint(__name__),
        ]
    )


def _first_view_of_scenes(files: list[Path]) -> list[tuple[str, Path]]:
    return list({path.parent.name: path for path in reversed(files)}.items())


def _source_of(view_file: Path) -> str:
    """Return the name of a scene's source.

    Only what is needed is read: a view may have a hundred megabytes, and is checked whole when it
    is copied.
    """
    row = read_columns(view_file, ["scene_id", "provenance", *SHAPE_FIELDS])
    _require_own_folder(row, view_file)
    provenance = FIELD_BY_NAME["provenance"].decode(row["provenance"], row_shape(row))
    return source_id(row["scene_id"], provenance)


def _require_own_folder(row: Row, view_file: Path) -> None:
    """Refuse a view that lies in the folder of another scene.

    Raises:
        CorruptDataError: its scene_id is not the folder's name.
    """
    if row["scene_id"] != view_file.parent.name:
        raise CorruptDataError(
            f"the view is one of scene {row['scene_id']!r} and lies in the folder of another",
            where=str(view_file),
            fix=GENERATE_AGAIN,
        )
