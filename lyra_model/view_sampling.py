"""Which scene and which target frames one training step looks at: a pure function of the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lyra_data.seeds import numpy_generator


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
) -> StepTargets:
    """Draw a scene and `num_targets` different frames of its views, uniformly.

    No state is carried from step to step, so a resumed run draws what an uninterrupted one would.

    Args:
        num_views: of every scene, in the dataset's order.
    """
    generator = numpy_generator(seed, phase, f"targets of step {step}")
    scene_id = list(num_views)[int(generator.integers(len(num_views)))]
    total = num_views[scene_id] * num_frames
    chosen = generator.choice(total, size=min(num_targets, total), replace=False)
    frames = tuple((int(index) // num_frames, int(index) % num_frames) for index in chosen)
    return StepTargets(scene_id, frames)
