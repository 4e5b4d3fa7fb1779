"""Convert Lyra's layout to a dataset: clip by clip, resumable, one view in a worker's memory.

Workers encode every clip once and keep it in the scratch store; this process puts the scenes of
them together, in the source's order: who encoded what changes no byte.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lyra_data.dataset.convert.from_lyra_worker import STAGE, ClipTask, Converted, FromLyraSetup
from lyra_data.dataset.convert.lyra_clip import ClipSettings
from lyra_data.dataset.convert.lyra_scenes import LyraScenes
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.writing.packed_scene import PackedScene, join_views
from lyra_data.dataset.writing.writer import assemble_dataset
from lyra_data.engine.atomic import remove_leftovers
from lyra_data.engine.errors import InputError
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.all_or_nothing import results_of_all
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import engine_commit, engine_version
from lyra_data.packing.encoding import Encoding

NO_VIEWS = "no clip could be read"


@dataclass(frozen=True)
class FromLyraSettings:
    """Choices for the conversion of a source.

    Attributes:
        skip_broken: a clip that cannot be read is recorded in the manifest and left out; else it
            stops the conversion.
    """

    clips: ClipSettings
    scenes_per_shard: int
    skip_broken: bool

    @property
    def encoding(self) -> Encoding:
        return Encoding(rgb="original", depth="half", latents=self.clips.latents)


def convert_from_lyra(
    source: LyraScenes,
    output: Path,
    settings: FromLyraSettings,
    *,
    scratch: Path,
    progress: Progress,
    part_of: Mapping[str, Any] | None = None,
    crew: Crew | None = None,
) -> tuple[Manifest, Converted]:
    """Write the dataset `output`; a killed run goes on with the clips it was at.

    Args:
        scratch: folder where encoded clips are kept until the dataset is whole.
        part_of: of scenes that were pulled, what they are part of, for the manifest.
        crew: how many workers, where; None: this process.

    Raises:
        InputError: a clip cannot be read, and is not to be skipped, or none can.
        ScenesFailedError: workers died over a clip twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
        StorageError: the disk is full or cannot be written.
    """
    encoded = _encode(source, settings, scratch, crew or Crew(device="cpu"), progress)
    total = Converted()
    provenance: dict[str, Any] = {
        "engine_commit": engine_commit(),
        "engine_version": engine_version(),
        "converted_from": "lyra-1",
        "repair": "flipped-poses" if settings.clips.repair_poses else "none",
        **({} if part_of is None else {"part_of": dict(part_of)}),
    }
    folder = scratch / STAGE

    def scenes() -> Iterator[PackedScene]:
        for scene_id, group in itertools.groupby(encoded, key=lambda one: one[0]):
            items = [folder / key for _, key in group]
            facts = [Converted.read(item) for item in items]
            for converted in facts:
                total.add(converted)
            kept = [item for item, one in zip(items, facts, strict=True) if one.poses]
            if kept:
                yield join_views(map(PackedScene.read, kept))
            progress.advance(note=scene_id)
        if not total.poses:
            raise InputError(
                NO_VIEWS,
                where=str(source.path),
                fix="run it without --skip-broken to see what is wrong with the first one",
            )
        provenance["views_with_flipped_poses"] = str(total.poses["backwards"])
        provenance["views_with_repaired_poses"] = str(total.poses["repaired"])

    progress.start("Assembling", len({scene_id for scene_id, _ in encoded}), "scenes")
    manifest = assemble_dataset(
        scenes(),
        output,
        splits=None,
        scenes_per_shard=settings.scenes_per_shard,
        provenance=provenance,
        encoding=settings.encoding,
        dropped=total.dropped,
    )
    forget_work(scratch)
    progress.finish()
    return manifest, total


def _encode(
    source: LyraScenes,
    settings: FromLyraSettings,
    scratch: Path,
    crew: Crew,
    progress: Progress,
) -> Sequence[tuple[str, str]]:
    """Encode every clip; return their scenes and their keys in the scratch store, in order."""
    setup = FromLyraSetup(
        source.files_of, source.facts, settings.clips, settings.skip_broken, scratch
    )
    clips = (
        (replace(scene, clips=(clip,)), clip) for scene in source.scenes() for clip in scene.clips
    )
    tasks = (ClipTask(number, scene, clip) for number, (scene, clip) in enumerate(clips))
    queue = TaskQueue(tasks, source.num_clips, "Converting", "clip")
    try:
        with open_executor(setup, crew.for_tasks(source.num_clips)) as executor:
            return results_of_all(queue, executor, progress)
    finally:
        if (scratch / STAGE).is_dir():  # what workers left that were stopped at their work
            remove_leftovers(scratch / STAGE)


def forget_work(scratch: Path) -> None:
    """Remove what waited for an output that is whole now."""
    shutil.rmtree(scratch / STAGE, ignore_errors=True)
    with contextlib.suppress(OSError):  # other stages may keep work there
        scratch.rmdir()
