"""Scene evaluation: every method's pictures of one scene beside the true ones, scored."""

from __future__ import annotations

from dataclasses import dataclass

from lyra_data.scene.cameras import Cameras
from lyra_model.batches.targets import Targets
from lyra_model.evaluation.baselines import Prediction
from lyra_model.evaluation.scoring import FrameScores
from lyra_model.gaussians import Gaussians

DECODER, FIRST_PHASE = "decoder", "first_phase"
COPIED, WARPED, FITTED = "copied", "warped", "fitted"
"""The methods, as evaluation.json names them."""


@dataclass(frozen=True)
class ComparedMethods:
    """All methods against one set of targets.

    Attributes:
        labels: (position of the view, frame) of every target; (-1, index) for real photos.
    """

    labels: list[tuple[int, int]]
    targets: Targets
    predictions: dict[str, Prediction]
    scores: dict[str, FrameScores]


@dataclass(frozen=True)
class SceneEvaluation:
    """Everything measured on one scene.

    Attributes:
        held_out: on the held-out frames of every view, views one after another.
        real: on the real photos, in their order; None where the scene has none.
        cameras: of all frames of every view, at the judged phase's size.
        num_input_frames: leading frames of every view that the judged decoder reads.
        num_held_out: last frames of every view that training never saw.
        moments: Gaussians of the judged phase, in the frame of the first input camera: one of a
            still scene; of one that moves, one for each of `moment_frames`.
        moment_frames: frames of the source that the moments show, in order, the first one first.
        moves: whether the scene moves, and frames were predicted moment by moment.
    """

    scene_id: str
    held_out: ComparedMethods
    real: ComparedMethods | None
    cameras: list[Cameras]
    num_input_frames: int
    num_held_out: int
    moments: tuple[Gaussians, ...]
    moment_frames: tuple[int, ...]
    moves: bool

    @property
    def gaussians(self) -> Gaussians:
        """Return those of the first moment."""
        return self.moments[0]
