"""Moments: the Gaussians of a scene, one set where it stands still, one a moment where it moves.

Each is made once and waits in the scratch store; a killed run makes only the unfinished ones. What
is rendered and scored afterwards is what the PLY file holds, read back.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.hashing import content_key
from lyra_data.engine.progress import Progress
from lyra_data.engine.scratch import ScratchStore
from lyra_model.batches.targets import Targets
from lyra_model.export.ply import read_ply, write_ply
from lyra_model.fitting.measuring import even_choice, mean_psnr_db
from lyra_model.gaussians import Gaussians
from lyra_model.reconstruction.methods import Reconstructor
from lyra_model.reconstruction.scene_source import (
    Observations,
    SceneSource,
    observations_at,
    still_observations,
)

STAGE = "reconstruct_moments"
STATES = "reconstruct_states"
GAUSSIANS, FACTS = "gaussians.ply", "facts.json"

MEASURED_FRAMES = 24
"""Most frames of a scene that its PSNR is measured on."""


@dataclass(frozen=True)
class Moment:
    """A scene at one moment.

    Attributes:
        index: of the frames of the views; 0 where the scene stands still.
        facts: what was measured when it was made: PSNR of frames read and kept back, steps, time.
    """

    index: int
    gaussians: Gaussians
    facts: dict[str, Any]


def moment_indices(scene: SceneSource, most: int) -> list[int]:
    """Return the moments to reconstruct: the first, the last, and evenly between."""
    if not scene.moves:
        return [0]
    count = min(most, scene.num_frames)
    if count == 1:
        return [scene.num_frames // 2]
    return torch.linspace(0, scene.num_frames - 1, count).round().long().tolist()


def make_moments(
    reconstructor: Reconstructor, scene: SceneSource, scratch: Path, key: str, progress: Progress
) -> list[Moment]:
    """Return all moments of a scene; those that an earlier run finished are read.

    Args:
        scratch: folder of the whole pipeline's unfinished work.
        key: names everything that shapes the scene's Gaussians.

    Raises:
        InputError: as `Reconstructor.make`.
        StorageError: the disk refuses.
    """
    store, moments, prepared = ScratchStore(scratch, STAGE), [], None
    for index in moment_indices(scene, reconstructor.params.moments):
        moment = index if scene.moves else None
        moment_key = content_key({"scene": key, "moment": moment})
        if store.get(moment_key) is None:
            states = scratch / STATES / moment_key
            prepared = prepared or reconstructor.prepared(scene)
            made, facts = _make(reconstructor, prepared, moment, states, progress)
            with store.put(moment_key) as item:
                write_ply(made, item / GAUSSIANS)
                (item / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
            with storage_errors(states):
                shutil.rmtree(states, ignore_errors=True)
        item = store.folder / moment_key
        facts = read_json_object(item / FACTS, kind="facts of a moment", fix=f"delete {item}")
        moments.append(Moment(index, read_ply(item / GAUSSIANS).to(reconstructor.device), facts))
    return moments


def observe(reconstructor: Reconstructor, scene: SceneSource, moment: int | None) -> Observations:
    """Return the frames that are read and kept back, of one moment or of a still scene."""
    params = reconstructor.params
    if moment is not None:
        return observations_at(scene, moment)
    return still_observations(
        scene, held_out_frames=params.held_out_frames, frames_per_view=params.frames_per_view
    )


def _make(
    reconstructor: Reconstructor,
    scene: SceneSource,
    moment: int | None,
    states: Path,
    progress: Progress,
) -> tuple[Gaussians, dict[str, Any]]:
    observations = observe(reconstructor, scene, moment)
    began = time.monotonic()
    fitted = reconstructor.make(
        scene, observations, moment=moment, state_folder=states, progress=progress
    )
    seconds = time.monotonic() - began
    gaussians = fitted.gaussians.to(reconstructor.device)
    return gaussians, {
        "moment": moment,
        "gaussians": len(gaussians),
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "frames_read": _measured(reconstructor, gaussians, observations.read, moment),
        "held_out": _measured(reconstructor, gaussians, observations.kept_back, moment),
        "seconds": round(seconds, 2),
    }


def _measured(
    reconstructor: Reconstructor, gaussians: Gaussians, frames: Targets, moment: int | None
) -> dict[str, Any]:
    """Return the PSNR of some frames; of a moving scene over the pixels that nobody invented, for
    what moves is painted over in the views."""
    few = even_choice(frames, MEASURED_FRAMES)
    psnr_db = mean_psnr_db(gaussians, few, reconstructor.rendering, invented=moment is None)
    psnr_db = None if math.isnan(psnr_db) else psnr_db  # JSON has no word for it
    return {"psnr_db": psnr_db, "frames": len(frames), "measured": len(few)}
