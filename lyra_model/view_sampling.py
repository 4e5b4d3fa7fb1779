"""Which scene and which target frames one training step looks at: a pure function of the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lyra_data.seeds import numpy_generator

TargetBias = Literal["uniform", "linear", "squared", "exponential"]

BIASES: dict[TargetBias, Callable[[np.ndarray], np.ndarray]] = {
    "uniform": np.ones_like,
    "linear": lambda place: place,
    "squared": lambda place: place**2,
    "exponential": lambda place: np.exp(3 * place),
}
"""Weight of a frame by its place in the view: 0 at the first frame, 1 at the last one. The first
frame itself is never drawn by linear and squared. Source: data.py, weighted_sample."""


@dataclass(frozen=True)
class StepTargets:
    """What one step is supervised by.

    Attributes:
        scene_id: the scene.
        frames: (view index, frame index) pairs, all different, in the order they are rendered.
    """

    scene_id: str
    frames: tuple[tuple[int, int], ...]


def sample_step(
    *,
    seed: int,
    phase: str,
    step: int,
    num_views: Mapping[str, int],
    num_frames: int,
    num_targets: int,
    bias: TargetBias,
) -> StepTargets:
    """Draw a scene, uniformly, and `num_targets` different frames of its views.

    No state is carried from step to step, so a resumed run draws what an uninterrupted one would.

    Args:
        num_views: of every scene, in the dataset's order.
        bias: later frames of each view are drawn more often; views are equal.
    """
    generator = numpy_generator(seed, phase, f"targets of step {step}")
    scene_id = list(num_views)[int(generator.integers(len(num_views)))]
    views = num_views[scene_id]
    chances = None if bias == "uniform" else np.tile(frame_chances(num_frames, bias) / views, views)
    chosen = choose(generator, views * num_frames, num_targets, chances)
    frames = tuple((index // num_frames, index % num_frames) for index in chosen)
    return StepTargets(scene_id, frames)


def frame_chances(num_frames: int, bias: TargetBias) -> np.ndarray:
    """Probability of every frame of a view to be drawn first."""
    place = np.linspace(0.0, 1.0, num_frames)
    weights = BIASES[bias](place)
    return weights / weights.sum() if weights.any() else np.ones_like(place)


def choose(
    generator: np.random.Generator | np.random.RandomState,
    total: int,
    num: int,
    chances: np.ndarray | None,
) -> list[int]:
    """`num` different indices below `total`, or as many as there are with a chance above 0.

    Args:
        chances: probabilities; None: all are equal.
    """
    possible = total if chances is None else int(np.count_nonzero(chances))
    chosen = generator.choice(total, size=min(num, possible), replace=False, p=chances)
    return [int(index) for index in chosen]
