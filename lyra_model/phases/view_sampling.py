"""Draw the scene, the views and the target frames of one training step, a pure function of it."""

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
    "linear": lambda position: position,
    "squared": lambda position: position**2,
    "exponential": lambda position: np.exp(3 * position),
}
"""Weight of a frame by its position in the view: 0 at the first frame, 1 at the last one. The first
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
        """List the positions of the views that decoders read."""
        return [view for view, backwards in enumerate(self.motion_reversed) if not backwards]

    def moment(self, view: int, frame: int) -> int:
        """Return the moment of the source that a frame shows: reversed views count down."""
        return self.num_frames - 1 - frame if self.motion_reversed[view] else frame

    def at_time(self, time: int) -> list[tuple[int, int]]:
        """List (position of the view, frame) of what every view shows at a moment of the source."""
        # Counting down is its own inverse, so a moment becomes a frame as a frame a moment.
        return [(view, self.moment(view, time)) for view in range(len(self.motion_reversed))]


@dataclass(frozen=True)
class TargetSampling:
    """The rules by which a phase draws views to read and frames to compare with.

    Attributes:
        num_frames: different leading frames of forward views, which the decoder reads and targets
            come from.
        held_out_frames: last frames of every view, never drawn.
        num_targets: frames drawn in a step.
        bias: later frames (or moments) are drawn more often; views are equal.
        dynamic: draw frames of all views that show one moment, rather than any frames of forward
            views.
        num_views: least and most forward views to read, both included, or as many as there are;
            None: all of them.
        supervision: which forward views frames are drawn from; reversed ones always count.
    """

    num_frames: int
    held_out_frames: int
    num_targets: int
    bias: TargetBias
    dynamic: bool
    num_views: tuple[int, int] | None = None
    supervision: Supervision = "all_views"


@dataclass(frozen=True)
class StepSeed:
    """The numbers and names that the draws of one step are seeded by.

    Attributes:
        seed: of the run.
        phase: its name.
        step: counted from 0.
        rank: of the process, where several train together: each draws by itself.
    """

    seed: int
    phase: str
    step: int
    rank: int = 0

    def generator(self, purpose: str) -> np.random.Generator:
        """Return the generator of one purpose, e.g. "targets"."""
        process = f" of process {self.rank}" if self.rank else ""
        return numpy_generator(self.seed, self.phase, f"{purpose} of step {self.step}{process}")


@dataclass(frozen=True)
class StepDraw:
    """The views that one step reads and the frames that supervise it.

    Attributes:
        scene_id: the scene.
        frames: (position of the view, frame) pairs, all different, in the order they are rendered.
        time: the moment, in frames, that all of them show; None for still scenes.
        read: positions of the views that the decoder reads.
    """

    scene_id: str
    frames: tuple[tuple[int, int], ...]
    time: int | None
    read: tuple[int, ...]


def draw_step(
    seed: StepSeed,
    sampling: TargetSampling,
    scene_ids: Sequence[str],
    views_of: Callable[[str], ViewList],
    *,
    scene_id: str | None = None,
) -> StepDraw:
    """Draw a scene, uniformly, the views to read, and different frames to compare with.

    No state is carried from step to step, so a resumed run draws what an uninterrupted one would.

    Args:
        scene_ids: in the dataset's order.
        views_of: asked only for the scene that was drawn.
        scene_id: the scene, where something else decides it.
    """
    generator = seed.generator("targets")
    # Drawn even where the scene is given, so that frames are drawn alike in both cases.
    drawn = scene_ids[int(generator.integers(len(scene_ids)))]
    scene_id = drawn if scene_id is None else scene_id
    views = views_of(scene_id)
    read = _draw_views(seed, sampling, views)
    forward = read if sampling.supervision == "read_views" else views.forward
    if sampling.dynamic:
        time, frames = _draw_moment(generator, sampling, views, forward)
        return StepDraw(scene_id, frames, time, tuple(read))
    num_frames, num_views = sampling.num_frames, len(forward)
    chances = None
    if sampling.bias != "uniform":
        chances = np.tile(frame_chances(num_frames, sampling.bias) / num_views, num_views)
    chosen = choose(generator, num_views * num_frames, sampling.num_targets, chances)
    frames = tuple((forward[index // num_frames], index % num_frames) for index in chosen)
    return StepDraw(scene_id, frames, None, tuple(read))


def _draw_views(seed: StepSeed, sampling: TargetSampling, views: ViewList) -> list[int]:
    """Draw the views that the decoder reads, in the dataset's order."""
    forward = views.forward
    if sampling.num_views is None:
        return forward
    # Of a generator of its own, so that frames are drawn alike however many views are read.
    generator = seed.generator("views")
    least, most = sampling.num_views
    num_views = int(generator.integers(least, most + 1))
    return sorted(forward[index] for index in choose(generator, len(forward), num_views, None))


def _draw_moment(
    generator: np.random.Generator, sampling: TargetSampling, views: ViewList, forward: list[int]
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Draw a moment, and frames that show it, of some forward views and all reversed ones."""
    bias, num_frames = sampling.bias, sampling.num_frames
    chances = None if bias == "uniform" else frame_chances(num_frames, bias)
    (time,) = choose(generator, num_frames, 1, chances)
    candidates = [
        (view, frame)
        for view, frame in views.at_time(time)
        if frame < views.num_frames - sampling.held_out_frames
        and (view in forward or views.motion_reversed[view])
    ]
    chosen = choose(generator, len(candidates), sampling.num_targets, None)
    return time, tuple(candidates[index] for index in chosen)


def frame_chances(num_frames: int, bias: TargetBias) -> np.ndarray:
    """Return the probability of every frame of a view to be drawn first."""
    position = np.linspace(0.0, 1.0, num_frames)
    weights = BIASES[bias](position)
    return weights / weights.sum() if weights.any() else np.ones_like(position)


def choose(
    generator: np.random.Generator | np.random.RandomState,
    total: int,
    num: int,
    chances: np.ndarray | None,
) -> list[int]:
    """Draw `num` different indices below `total`, or as many as have a chance above 0.

    Args:
        chances: probabilities; None: all are equal.
    """
    possible = total if chances is None else int(np.count_nonzero(chances))
    chosen = generator.choice(total, size=min(num, possible), replace=False, p=chances)
    return [int(index) for index in chosen]
