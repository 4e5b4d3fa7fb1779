"""Package all generated views into one dataset, split by source.

Workers encode every view once and keep it in the scratch store until the dataset is put together,
so a run that was killed goes on with the views that it was at. Shards, index and manifest are then
written by this process alone, scene after scene: who encoded what changes no byte.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lyra_data.dataset.format.manifest import Codec, Manifest
from lyra_data.dataset.format.splits import source_id, split_by_source
from lyra_data.dataset.generated_views import DatasetViews
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.stored_blobs import bring_back, is_stored_as, let_go
from lyra_data.dataset.packaging.worker import (
    STAGE,
    PackagingSetup,
    ViewTask,
    code_of_encoding,
    require_own_folder,
)
from lyra_data.dataset.writing.packed_scene import (
    PackedScene,
    codec_of,
    join_views,
    require_same_codec,
)
from lyra_data.dataset.writing.stored_views import pack_stored
from lyra_data.dataset.writing.writer import assemble_dataset
from lyra_data.engine.atomic import remove_leftovers
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.shares import Share, ShareResults
from lyra_data.engine.executors.task_queue import QueueResults, TaskQueue
from lyra_data.engine.failures import check_failures
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import engine_commit, engine_version, params_hash
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.engine.scratch import ScratchStore
from lyra_data.packing.blob_store import DATASET, open_encoded, outputs_of
from lyra_data.packing.view_files import read_columns, read_encoded
from lyra_data.views.dropped import read_dropped
from lyra_data.views.fields import FIELD_BY_NAME, SHAPE_FIELDS, row_shape
from lyra_data.views.store import view_files

HOPELESS = 20
"""Views that failed after which a run gives up if nothing at all went well."""


def package_views(
    params: PackageParams,
    *,
    views: Path,
    dataset: Path,
    scratch: Path,
    progress: Progress,
    crew: Crew | None = None,
    remote: RemoteWork | None = None,
) -> Manifest:
    """Encode every view that is not encoded yet, and write shards, index and manifest.

    A worker holds one view in memory, this process the bytes of one row group; encoded scenes are
    mapped from the disk. A view whose worker died is tried once more when all others are done.
    Views that `generate` keeps in the very encoding are not encoded: their blobs are copied into
    the shards, and are then let go of where they were kept.

    Args:
        scratch: scratch folder of the whole pipeline (".work").
        crew: how many workers, where; None: `Crew()`.
        remote: where encoded views are kept besides `scratch`; None: nowhere.

    Raises:
        StageOrderError: there are no views.
        CorruptDataError: a view file or the list of dropped views is cut or altered, or views are
            of several codecs.
        InputError: a value does not fit in half floats.
        ParamsError: `validation_scenes` name no scene, or all of them; or views are kept with
            losses, and to be packaged without.
        ScenesFailedError: workers died over a view twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
        StorageError: the disk is full or cannot be written; encoded views stay in the store.
    """
    files = view_files(views)
    sources = _sources_of(files)
    splits = split_by_source(sources, params.validation_fraction, params.validation_scenes)
    dropped = read_dropped(views)
    stored = frozenset(path for path in files if is_stored_as(path, params.encoding))
    others = [path for path in files if path not in stored]
    held = DatasetViews(outputs_of(files[0]) / DATASET)
    setup = PackagingSetup(params.encoding, scratch, code_of_encoding(), held)
    tasks = list(itertools.starmap(ViewTask, enumerate(others)))
    encoded = _encode(tasks, setup, remote, crew or Crew(), progress)
    keys = {task.file: encoded.results[task.number] for task in tasks}
    bring_back(others, held)
    progress.start("Assembling", len(sources), "scenes")
    manifest = assemble_dataset(
        _encoded_scenes(files, keys, setup, progress),
        dataset,
        splits=splits,
        scenes_per_shard=params.scenes_per_shard,
        provenance={
            "engine_commit": engine_commit(),
            "engine_version": engine_version(),
            "package_params_hash": params_hash(params),
        },
        encoding=params.encoding,
        dropped=dropped,
    )
    let_go((path for path in files if path in stored), dataset)
    progress.finish()
    return manifest


def package_share(
    params: PackageParams,
    share: Share,
    *,
    views: Path,
    scratch: Path,
    progress: Progress,
    crew: Crew | None = None,
    remote: RemoteWork | None = None,
) -> ShareResults:
    """Encode the views of one share and leave them in the scratch store; write no dataset.

    Views that `generate` keeps in the very encoding are in no share.

    Args and Raises as `package_views`.
    """
    files = view_files(views)
    split_by_source(_sources_of(files), params.validation_fraction, params.validation_scenes)
    others = [path for path in files if not is_stored_as(path, params.encoding)]
    tasks = list(_tasks_of(share, others))
    held = DatasetViews(outputs_of(files[0]) / DATASET)
    setup = PackagingSetup(params.encoding, scratch, code_of_encoding(), held)
    encoded = _encode(tasks, setup, remote, crew or Crew(), progress)
    progress.finish()
    return ShareResults.of(share, len(others), len(tasks), encoded, ())


def _tasks_of(share: Share, files: list[Path]) -> Iterator[ViewTask]:
    """Yield the views of a share, dealt along the diagonals of scenes and their views, as those of
    `generate` are."""
    numbered = enumerate(files)
    by_scene = itertools.groupby(numbered, key=lambda one: one[1].parent.name)
    for scene, (_, group) in enumerate(by_scene):
        for view, (number, file) in enumerate(group):
            if share.holds(scene + view):
                yield ViewTask(number, file)


def _encode(
    tasks: Sequence[ViewTask],
    setup: PackagingSetup,
    remote: RemoteWork | None,
    crew: Crew,
    progress: Progress,
) -> QueueResults:
    """Encode views; the results are their keys in the scratch store by their numbers.

    Raises:
        ScenesFailedError: any of them failed.
    """
    if not tasks:
        return QueueResults()
    setup = replace(setup, remote=remote and remote.listed(STAGE))
    queue = TaskQueue(tasks, len(tasks), "Packaging", "view", hopeless_after=HOPELESS)
    try:
        with open_executor(setup, crew.for_tasks(len(tasks))) as executor:
            encoded = queue.run(executor, progress)
    finally:
        folder = setup.scratch / STAGE
        if folder.is_dir():  # what workers left that were stopped at their work
            remove_leftovers(folder)
    failures = list(encoded.failures.values())
    check_failures(failures, len(failures) if encoded.is_hopeless else len(tasks), 0.0)
    return encoded


def _encoded_scenes(
    files: list[Path], keys: Mapping[Path, str], setup: PackagingSetup, progress: Progress
) -> Iterator[PackedScene]:
    """Yield every scene of its encoded views, in the order of the files.

    Those without a key are read as `generate` keeps them.
    """
    folder = ScratchStore(setup.scratch, STAGE).folder

    def packed(path: Path) -> PackedScene:
        if path in keys:
            return PackedScene.read(folder / keys[path])
        view = open_encoded(path, setup.held)
        require_own_folder(view.row, path)
        return pack_stored(view, read_encoded(path).cuts)

    for scene_id, group in itertools.groupby(files, key=lambda path: path.parent.name):
        yield join_views(map(packed, group))
        progress.advance(note=scene_id)


def _sources_of(files: list[Path]) -> dict[str, str]:
    """Return the source of every scene, as the scene's first view states it.

    Only what is needed is read: a view may have a hundred megabytes, and is checked whole when it
    is encoded.

    Raises:
        CorruptDataError: the scenes' latents are of several codecs: told before all are encoded.
    """
    sources: dict[str, str] = {}
    codec: Codec | None = None
    for path in files:
        if path.parent.name in sources:
            continue
        row = read_columns(path, ["scene_id", "view_index", "provenance", *SHAPE_FIELDS])
        require_own_folder(row, path)
        codec = require_same_codec(codec_of(row), codec, row["scene_id"], row["view_index"])
        provenance = FIELD_BY_NAME["provenance"].decode(row["provenance"], row_shape(row))
        sources[row["scene_id"]] = source_id(row["scene_id"], provenance)
    return sources
