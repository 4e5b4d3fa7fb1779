"""The runner: plan every view, make those not made yet, assemble them. Killed runs go on."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from lyra_data.atomic import folder_atomically
from lyra_data.clip_store import clip_hash, read_clip, scene_folders
from lyra_data.errors import InputError, StageOrderError
from lyra_data.failures import Failure, check_failures, record_failures
from lyra_data.generation.jobs import Job, plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.view_making import ViewMaker
from lyra_data.hashing import content_key
from lyra_data.placement import Placement
from lyra_data.progress import Progress
from lyra_data.provenance import code_fingerprint
from lyra_data.scratch import ScratchStore
from lyra_data.view_store import view_path, write_view

log = logging.getLogger(__name__)

VIEW_FILE = "view.parquet"
"""Name of a view in its scratch item."""


@dataclass(frozen=True)
class Generation:
    """What generation did: views made now, views found finished, and failures."""

    made: int
    reused: int
    failures: list[Failure]


def generate_views(
    params: GenerateParams,
    *,
    seed: int,
    clips: Path,
    views: Path,
    scratch: Path,
    progress: Progress,
) -> Generation:
    """Make every view of every clip and store them as one folder per scene.

    Finished views wait in the scratch store under a key of all that determines them, so a run that
    was killed, or one to which trajectories were added at the end, makes just what is missing.

    Raises:
        StageOrderError: there are no clips.
        CorruptDataError: a clip is cut or altered.
        ScenesFailedError: more views failed than params allow.
        StorageError: the disk is full or cannot be written; finished views stay in the store.
    """
    maker = ViewMaker(params, Placement.automatic())
    store = ScratchStore(scratch, "generate")
    plans = {
        folder: plan_jobs(read_clip(folder), params.trajectories, seed=seed)
        for folder in _clip_folders(clips)
    }
    total = sum(map(len, plans.values()))
    made, reused, failures = 0, 0, []
    progress.start("Generating", total, "views")
    with folder_atomically(views) as target:
        for folder, jobs in plans.items():
            clip, clip_key = read_clip(folder), clip_hash(folder)
            for job in jobs:
                key = view_key(job, params, clip_key, maker.fingerprints)
                finished = store.get(key)
                try:
                    if finished is None:
                        with store.put(key) as temporary:
                            write_view(temporary / VIEW_FILE, maker.make(clip, job))
                except InputError as error:
                    log.warning("view %s of %s failed: %s", job.trajectory, job.scene_id, error)
                    failures.append(Failure.of(f"{job.scene_id}/{job.trajectory}", error))
                    progress.advance(note=f"{job.scene_id} {job.trajectory} failed")
                    continue
                made, reused = made + (finished is None), reused + (finished is not None)
                place = view_path(target, job.scene_id, job.view_index, job.trajectory)
                place.parent.mkdir(exist_ok=True)
                shutil.copyfile(store.folder / key / VIEW_FILE, place)
                progress.advance(note=f"{job.scene_id} {job.trajectory}")
        check_failures(failures, total, params.max_failed_fraction)
        record_failures(failures, target)
    progress.finish()
    return Generation(made, reused, failures)


def view_key(job: Job, params: GenerateParams, clip_key: str, fingerprints: dict[str, str]) -> str:
    """Content key of a view: the clip, the job, every param and all code that shape it."""
    return content_key(
        {
            "clip": clip_key,
            "job": job.as_json(),
            "num_frames": params.num_frames,
            "trajectories": params.trajectories.model_dump(mode="json", exclude={"names"}),
            "cache": params.cache.model_dump(mode="json"),
            "code": code_fingerprint("lyra_data"),
            **fingerprints,
        }
    )


def _clip_folders(clips: Path) -> list[Path]:
    folders = scene_folders(clips) if clips.is_dir() else []
    if not folders:
        raise StageOrderError(
            "there are no clips", where=str(clips), fix="run `lyra-data annotate`"
        )
    return folders
