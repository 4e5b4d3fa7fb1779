"""The protocol of an evaluation: `lyra-views` with the frames, sizes and rules of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lyra_data.engine.hashing import content_key
from lyra_model.evaluation.evaluator import EvaluateParams
from lyra_model.evaluation.scene_result import SceneResult
from lyra_model.judging.protocols.built_in import LYRA_VIEWS
from lyra_model.judging.protocols.protocol import Protocol
from lyra_model.phases.phase_params import PhaseParams


def judged_protocol(
    params: EvaluateParams,
    phase: PhaseParams,
    scenes: Sequence[SceneResult],
    *,
    held_out_frames: int,
    dataset_hash: str,
) -> Protocol:
    """Return everything that the figures of an evaluation depend on but the decoder.

    There is no split file: the dataset and the frames that count are hashed in its stead.

    Args:
        phase: the judged one; its size is that of the pictures.
    """
    frames = {scene.scene_id: scene.frames_past_input for scene in scenes}
    past = "so many frames past the last one that is read"
    return replace(
        LYRA_VIEWS,
        split=replace(
            LYRA_VIEWS.split,
            sha256=content_key({"dataset": dataset_hash, past: frames}),
            num_listed=len(scenes),
            num_used=len(scenes),
            num_context=f"the first {phase.num_frames} frames of each view",
            num_targets=(
                f"the last {held_out_frames} frames of each view that move by at least "
                f"{params.min_displacement_pixels:g} pixels, and real photos"
            ),
        ),
        pictures=replace(LYRA_VIEWS.pictures, height=phase.height, width=phase.width),
    )
