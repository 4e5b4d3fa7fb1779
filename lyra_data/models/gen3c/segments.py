"""Segments: a long path in pieces of a fixed length, each overlapping the last by one frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from lyra_data.engine.errors import ParamsError

TEMPORAL_FACTOR = 8
SEGMENT_FRAMES = 121
"""Frames that the released network makes at a time."""


@dataclass(frozen=True)
class Segment:
    """Frames that are made at once.

    Attributes:
        index: 0 for the first.
        start, stop: its frames in the whole video, half open.
        first_kept: its first frame that is not already there: 0, or 1 after the first segment.
    """

    index: int
    start: int
    stop: int
    first_kept: int


def segment_layout(num_frames: int, segment_frames: int = SEGMENT_FRAMES) -> list[Segment]:
    """The segments of a video of k * (segment_frames - 1) + 1 frames.

    Raises:
        ParamsError: the frames do not fill whole segments, or a segment is not 8k+1 frames.
    """
    step = segment_frames - 1
    if step < TEMPORAL_FACTOR or step % TEMPORAL_FACTOR:
        below = max(step // TEMPORAL_FACTOR, 1) * TEMPORAL_FACTOR + 1
        raise ParamsError(
            f"a segment of {segment_frames} frames is not 8k+1 with k at least 1",
            fix=f"take {below} or {below + TEMPORAL_FACTOR} frames",
        )
    if num_frames <= 1 or num_frames % step != 1:
        below = max((num_frames - 1) // step, 1) * step + 1
        raise ParamsError(
            f"{num_frames} frames cannot be made in segments of {segment_frames}, which overlap "
            f"by one: {step}k+1 can",
            fix=f"take {below} or {below + step} frames",
        )
    starts = range(0, num_frames - 1, step)
    return [
        Segment(index, start, start + segment_frames, first_kept=min(index, 1))
        for index, start in enumerate(starts)
    ]


def check_continuation(segments: list[Segment], *, can_continue: bool) -> None:
    """Raises ParamsError where there are several segments and nothing that shows the later ones."""
    if len(segments) > 1 and not can_continue:
        raise ParamsError(
            f"{segments[-1].stop} frames are {len(segments)} segments, and nothing tells what the "
            "cache shows after the first",
            fix=f"give next_segment, or take {segments[0].stop} frames",
        )


def join_segments(parts: list[Shaped[Tensor, "batch channel _ *size"]]) -> Tensor:
    """Segments' frames or latents [batch channel time ...] as one.

    Of each but the first, the first in time is dropped: the frame it shares with the segment
    before, or that frame's latent, which stands for it alone (the VAE is causal).
    """
    return torch.cat([parts[0], *(part[:, :, 1:] for part in parts[1:])], dim=2)
