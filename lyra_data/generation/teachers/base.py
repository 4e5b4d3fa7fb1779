"""The promise of a teacher: it turns what the 3D cache shows of a trajectory into a whole video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.cache3d.cache import CacheRender
from lyra_data.engine.placement import Placement
from lyra_data.scene.cameras import Cameras

GUARDRAIL_KEY = "guardrail"
"""Key of a view's provenance: the state of its teacher's guardrail; absent where it has none."""


@dataclass(frozen=True)
class TeacherSpec:
    """The needs of a teacher, and what it returns.

    Attributes:
        size_multiple: height and width must be multiples of this many pixels.
        frame_period: the number of frames must be k * frame_period + 1.
        segment_frames: frames made at a time; a longer path is continued from the last frame
            made. None: any number at once.
        max_buffers: how many warped sources it can look at per frame.
        latent_space: name of the codec whose latents it returns, or None: frames only.
        guardrail: "off" of a model that is released with a guardrail, which does not run here;
            None: it has none.
    """

    size_multiple: int
    frame_period: int
    segment_frames: int | None
    max_buffers: int
    latent_space: str | None
    guardrail: Literal["off"] | None = None


NextSegment = Callable[[Float[Tensor, "3 height width"]], CacheRender]
"""The last frame made so far, [-1, 1] -> the cache, extended by it, in the next segment's cameras,
of which the first is that frame's own."""

OtherMoments = Callable[[int], Iterator[CacheRender]]
"""A number of moments -> what each of these other moments of a video shows in the whole trajectory,
one buffer at a time, the nearest in time first."""


@dataclass(frozen=True)
class TeacherInput:
    """One trajectory as the 3D cache shows it.

    Attributes:
        image: the source image, [-1, 1].
        warped: the cache rendered into each camera of the first segment, [-1, 1], -1 where `known`
            is False; buffers newest first.
        known: True where the cache covers the pixel.
        depth: z depth of what the cache shows, 0 where `known` is False.
        cameras: the whole trajectory.
        other_moments: gives what other moments of a video show; None: of a still image.
        next_segment: gives what is shown of the next segment; called once for each but the first.
        fps: frames per second.
        prompt: text, or "".
        seed: derived seed for everything the teacher draws.
    """

    image: Float[Tensor, "3 height width"]
    warped: Float[Tensor, "frame buffer 3 height width"]
    known: Bool[Tensor, "frame buffer height width"]
    depth: Float[Tensor, "frame buffer height width"]
    cameras: Cameras
    fps: float
    prompt: str
    seed: int
    next_segment: NextSegment | None = None
    other_moments: OtherMoments | None = None


@dataclass(frozen=True)
class TeacherOutput:
    """The result of a teacher.

    Attributes:
        frames: RGB, 0..255, of the whole trajectory.
        filled: True where the teacher invented the pixel.
        latents: of the whole trajectory, in the space `spec.latent_space`, or None.
    """

    frames: UInt8[Tensor, "frame 3 height width"]
    filled: Bool[Tensor, "frame height width"]
    latents: Float[Tensor, "channel latent_frame latent_height latent_width"] | None


@runtime_checkable
class Teacher(Protocol):
    """Loaded once per worker, then asked for many trajectories."""

    name: ClassVar[str]

    @property
    def spec(self) -> TeacherSpec: ...

    @property
    def fingerprint(self) -> str:
        """Names the exact model: weights and settings that change its frames."""
        ...

    @property
    def latents_fingerprint(self) -> str | None:
        """The fingerprint of the codec whose latents it returns; None: it returns frames only."""
        ...

    def run_on(self, placement: Placement) -> None:
        """Take where to run; called once, before the first request."""
        ...

    def generate(self, request: TeacherInput) -> TeacherOutput:
        """Make the whole trajectory's video; results lie on the CPU."""
        ...
