"""Which scene and which target frames one training step looks at: a pure function of the step."""

from __future__ import annotations

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
    scene_ids: list[str],
    num_views: int,
    num_frames: int,
    num_targets: int,
) -> StepTargets:
    """Draw a scene and `num_targets` different frames of its views, uniformly.

    No state is carried from step to step, so a resumed run draws what an uninterrupted one would.
    """
    generator = numpy_generator(seed, phase, f"targets of step {step}")
    scene_id = scene_ids[int(generator.integers(len(scene_ids)))]
    total = num_views * num_frames
    chosen = generator.choice(total, size=min(num_targets, total), replace=False)
    frames = tuple((int(index) // num_frames, int(index) % num_frames) for index in chosen)
    return StepTargets(scene_id, frames)
