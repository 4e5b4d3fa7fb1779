"""Solving a scene: pictures in, posed frames with points out; every failure told as an InputError.

The solver runs in a process of its own (process.py says why); this side writes what it reads.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.annotation.structure_from_motion.request import (
    GIVEN_CAMERAS_FILE,
    PICTURES_FOLDER,
    SCENE_FILE,
    SolveAnswer,
    SolveRequest,
    picture_name,
)
from lyra_data.annotation.structure_from_motion.sparse_scene import SparseScene
from lyra_data.engine.atomic import temporary_folder
from lyra_data.engine.errors import InputError
from lyra_data.media.images import write_png
from lyra_data.scene.cameras import Cameras

log = logging.getLogger(__name__)

OTHER_WAYS = (
    "give a longer video whose camera moves sideways, estimate poses and depth with annotator "
    "'vipe', or annotate a single frame as a picture with annotate.depth 'moge' or 'transformers'"
)
"""Advice where parallax fails."""


def pycolmap_version() -> str:
    """Read without loading pycolmap, which must not be loaded here."""
    return importlib.metadata.version("pycolmap")


def solve_scene(
    frames: UInt8[Tensor, "frame 3 height width"],
    request: SolveRequest,
    *,
    cameras: Cameras | None = None,
    where: str,
) -> SparseScene:
    """Pose every frame.

    Args:
        cameras: of these frames, where given: they stay as they are, and points are sought alone.
        where: what messages call the scene.

    Raises:
        InputError: too little to see, no model, frames that cannot be posed, or a solver that died.
    """
    assert request.has_cameras == (cameras is not None)
    with temporary_folder() as folder:
        (folder / PICTURES_FOLDER).mkdir()
        for index, frame in enumerate(frames):
            write_png(frame, folder / PICTURES_FOLDER / picture_name(index))
        if cameras is not None:
            np.savez(
                folder / GIVEN_CAMERAS_FILE,
                world_to_camera=cameras.world_to_camera.double().numpy(),
                intrinsics=cameras.intrinsics.double().numpy(),
            )
        request.save(folder)
        _run(folder, where)
        answer = SolveAnswer.load(folder)
        if answer.problem:
            raise _explained(answer, len(frames), where)
        return SparseScene.load(folder / SCENE_FILE)


def _run(folder: Path, where: str) -> None:
    command = [
        sys.executable,
        "-m",
        "lyra_data.annotation.structure_from_motion.process",
        str(folder),
        str(os.getpid()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode > 0:
        raise RuntimeError(f"the solver's process failed:\n{done.stderr}")
    if done.returncode < 0:
        raise InputError(
            f"pycolmap was ended by signal {-done.returncode} over these frames",
            where=where,
            fix="if memory is short, lower annotate.annotator.solve_height; or " + OTHER_WAYS,
        )


def _explained(answer: SolveAnswer, num_frames: int, where: str) -> InputError:
    if answer.problem == "few_features":
        median = int(np.median(answer.num_features))
        return InputError(
            f"too little to recognise: a median of {median} features a frame, and too few in "
            f"frames {listed(answer.frames)}",
            where=where,
            fix=f"use frames with texture, in focus and well lit; or {OTHER_WAYS}",
        )
    if answer.problem == "no_model":
        reason = (
            "no two of them have enough features in common"
            if answer.angle_degrees is None
            else "two of them see what both show under a median angle of at most "
            f"{answer.angle_degrees:.1f} degrees (3 are needed to begin with): too little "
            "parallax, for the camera only turns or moves ahead, or what it sees moves"
        )
        return InputError(
            f"no structure was found in {num_frames} frames: {reason}",
            where=where,
            fix=OTHER_WAYS,
        )
    return InputError(
        f"{len(answer.frames)} of {num_frames} frames cannot be posed: {listed(answer.frames)} "
        f"(the solver made {answer.num_models} separate models)",
        where=where,
        fix="split the video at cuts (a scene must be one shot), leave out blurred frames, raise "
        f"annotate.annotator.solve_height or num_features; or {OTHER_WAYS}",
    )


def listed(frames: list[int]) -> str:
    """Frame numbers as ranges, e.g. "0..4, 9"."""
    parts: list[list[int]] = []
    for frame in frames:
        if parts and frame == parts[-1][1] + 1:
            parts[-1][1] = frame
        else:
            parts.append([frame, frame])
    return ", ".join(f"{a}" if a == b else f"{a}..{b}" for a, b in parts)
