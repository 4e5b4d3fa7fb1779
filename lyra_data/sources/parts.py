"""Parts of a video: its shots, and windows of long ones, each of which becomes a scene of its own.

Windows overlap, so that they can be brought into one world by the frames they share. Why a long
video becomes many scenes: docs/adr/0036-long-videos.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lyra_data.engine.params import Params


class WindowParams(Params):
    """The windows that a long shot is cut into.

    Attributes:
        frames: of every window; a shot that has no more stays whole. The last window begins earlier
            than its turn, so that it is as long as the others.
        overlap: frames that a window shares with the one before it, at least.
    """

    frames: Annotated[int, Field(ge=4)]
    overlap: Annotated[int, Field(ge=2)]

    @model_validator(mode="after")
    def _moves_on(self) -> WindowParams:
        if self.overlap > self.frames // 2:
            raise ValueError(
                f"overlap ({self.overlap}) is more than half of frames ({self.frames}): a frame "
                "would be annotated three times; lower overlap or raise frames"
            )
        return self


class PartParams(Params):
    """The scenes that a video becomes. One without cuts that is no longer than a window is one.

    Attributes:
        shots: "split": every shot becomes a scene; "refuse": a video that cuts is refused, with a
            source for each of its shots to paste.
        least_shot_frames: shots of fewer frames are left out, with a warning.
        windows: `frames` of each window that a longer shot is cut into, and their `overlap`: at
            least so many frames of each are those of the window before it; null: a shot is one
            scene, whatever its length.
    """

    shots: Literal["split", "refuse"]
    least_shot_frames: Annotated[int, Field(ge=2)]
    windows: WindowParams | None


@dataclass(frozen=True)
class Span:
    """Consecutive frames, counted among those that a source takes."""

    first: int
    num_frames: int

    @property
    def end(self) -> int:
        """Return the index after that of the last frame."""
        return self.first + self.num_frames


@dataclass(frozen=True)
class Extent:
    """The number of a source's frames and its shots, read before any of it is annotated.

    Attributes:
        shots: in order; they cover all frames.
        sha256: of the file or the files that the frames come from.
    """

    shots: tuple[Span, ...]
    sha256: str


@dataclass(frozen=True)
class Part:
    """A part of a source that becomes a scene.

    Attributes:
        sha256: see `Extent`.
        facts: which shot and which window it is, for the scene's source; empty where it is all.
    """

    scene_id: str
    span: Span
    sha256: str
    facts: tuple[tuple[str, str], ...] = ()


def shot_parts(scene_id: str, extent: Extent, params: PartParams) -> list[list[Part]]:
    """Return the parts of every shot that is not left out: its windows in order, or the one whole.

    A source that is one part keeps its scene's id.
    """
    shots = extent.shots
    kept = [
        (number, shot)
        for number, shot in enumerate(shots)
        if len(shots) == 1 or shot.num_frames >= params.least_shot_frames
    ]
    parts = []
    for number, shot in kept:
        name, facts = scene_id, ()
        if len(shots) > 1:
            name += f"_shot{_padded(number, len(shots), 2)}"
            facts = (("shot", f"{number + 1} of {len(shots)}: frames {_spelt_out(shot)}"),)
        parts.append(_windows(name, shot, extent.sha256, facts, params.windows))
    return parts


def window_spans(shot: Span, params: WindowParams) -> list[Span]:
    """Return the windows of a shot, in order; the shot itself where it is no longer than one."""
    if shot.num_frames <= params.frames:
        return [shot]
    last = shot.num_frames - params.frames
    starts = [*range(0, last, params.frames - params.overlap), last]
    return [Span(shot.first + start, params.frames) for start in starts]


def shared_frames(one: Span, next_one: Span) -> int:
    """Return how many frames a window shares with the next."""
    return max(0, one.end - next_one.first)


def _windows(
    name: str,
    shot: Span,
    sha256: str,
    facts: tuple[tuple[str, str], ...],
    params: WindowParams | None,
) -> list[Part]:
    spans: Sequence[Span] = [shot] if params is None else window_spans(shot, params)
    if len(spans) == 1:
        return [Part(name, shot, sha256, facts)]
    return [
        Part(
            f"{name}_window{_padded(number, len(spans), 3)}",
            span,
            sha256,
            (*facts, ("window", f"{number + 1} of {len(spans)}: frames {_spelt_out(span)}")),
        )
        for number, span in enumerate(spans)
    ]


def _padded(number: int, count: int, least_digits: int) -> str:
    """Return a number with as many digits as the others have, so that names sort in order."""
    return str(number).zfill(max(least_digits, len(str(count - 1))))


def _spelt_out(span: Span) -> str:
    return f"{span.first}..{span.end - 1}"
