"""Which scene and which target frames one training step looks at: a pure function of the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lyra_data.engine.seeds import numpy_generator

TargetBias = Literal["uniform", "linear", "squared", "exponential"]

Supervision = Literal["read_views", "all_views"]
"""Forward views that targets are drawn from: those the decoder reads in this step, or all."""

BIASES: dict[TargetBias, Callable[[np.ndarray], np.ndarray]] = {
    "uniform": np.ones_like,
    "linear": lambda place: place,
    "squared": lambda place: place**2,
    "exponential": lambda place: np.exp(3 * place),
}
"""Weight of a frame by its place in the view: 0 at the first frame, 1 at the last one. The first
frame itself is never drawn by linear and squared. Source: data.py, weighted_sample."""


@dataclass(frozen=True)
class ViewList:
    """The views of one scene, as a sampler sees them.

    Attributes:
        motion_reversed: of every view, in the dataset's order: True where it shows the source's
            motion backwards. Such views are supervision, never input (Lyra, section 3.3).
        num_frames: of every view, held-out ones included.
    """

    motion_reversed: tuple[bool, ...]
    num_frames: int

    @property
    def forward(self) -> list[int]:
        """Positions of the views that decoders read."""
        return [place for place, backwards in enumerate(self.motion_reversed) if not backwards]

    def at_time(self, time: int) -> list[tuple[int, int]]:
        """(position of the view, frame) of what every view shows at one moment of the source."""
        return [
            (place, self.num_frames - 1 - time if backwards else time)
            for place, backwards in enumerate(self.motion_reversed)
        ]


@dataclass(frozen=True)
class StepTargets:
    """What one step is supervised by.

    Attributes:
        scene_id: the scene.
        frames: (position of the view, frame) pairs, all different, in the order they are rendered.
        time: the moment, in frames, that all of them show; None for still scenes.
        read: positions of the views that the decoder reads.
    """

    scene_id: str
    frames: tuple[tuple[int, int], ...]
    time: int | None = None
    read: tuple[int, ...] = ()


def sample_step(
    *,
    seed: int,
    phase: str,
    step: int,
    scene_ids: Sequence[str],
    views_of: Callable[[str], ViewList],
    num_frames: int,
    held_out_frames: int,
    num_targets: int,
    bias: TargetBias,
    dynamic: bool,
    num_views: tuple[int, int] | None = None,
    supervision: Supervision = "all_views",
    rank: int = 0,
    scene_id: str | None = None,
) -> StepTargets:
    """Draw a scene, uniformly, the views to read, and `num_targets` different frames to show.

    For a still decoder, any frames of the forward views; for a dynamic one, frames of all views
    that show one drawn moment. No state is carried from step to step, so a resumed run draws what
    an uninterrupted one would.

    Args:
        scene_ids: in the dataset's order.
        views_of: asked only for the scene that was drawn.
        num_frames: different leading frames of forward views, which the decoder reads and targets
            come from.
        held_out_frames: last frames of every view, never drawn.
        bias: later frames (or moments) are drawn more often; views are equal.
        num_views: least and most forward views to read, both included, or as many as there are;
            None: all of them.
        supervision: which forward views frames are drawn from; reversed ones always count.
        rank: of the process, where several train together: each draws by itself.
        scene_id: the scene, where something else decides it.
    """
    of_process = f" of process {rank}" if rank else ""
    generator = numpy_generator(seed, phase, f"targets of step {step}{of_process}")
    drawn = scene_ids[int(generator.integers(len(scene_ids)))]
    scene_id = drawn if scene_id is None else scene_id
    views = views_of(scene_id)
    read = views.forward
    if num_views is not None:
        # Of a generator of its own, so that frames are drawn alike however many views are read.
        of_views = numpy_generator(seed, phase, f"views of step {step}{of_process}")
        num = int(of_views.integers(num_views[0], num_views[1] + 1))
        read = sorted(read[index] for index in choose(of_views, len(read), num, None))
    forward = read if supervision == "read_views" else views.forward
    if dynamic:
        chances = None if bias == "uniform" else frame_chances(num_frames, bias)
        (time,) = choose(generator, num_frames, 1, chances)
        shown = [
            (view, frame)
            for view, frame in views.at_time(time)
            if frame < views.num_frames - held_out_frames
            and (view in forward or views.motion_reversed[view])
        ]
        chosen = choose(generator, len(shown), num_targets, None)
        return StepTargets(scene_id, tuple(shown[index] for index in chosen), time, tuple(read))
    num = len(forward)
    chances = None if bias == "uniform" else np.tile(frame_chances(num_frames, bias) / num, num)
    chosen = choose(generator, num * num_frames, num_targets, chances)
    frames = tuple((forward[index // num_frames], index % num_frames) for index in chosen)
    return StepTargets(scene_id, frames, None, tuple(read))


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
