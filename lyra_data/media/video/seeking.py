"""Seeking: decoding from the last keyframe before a frame, where a file lets itself be entered."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain

import av
from av.container import InputContainer


def decoded_near(
    container: InputContainer, stream: av.VideoStream, stamps: Sequence[int], index: int
) -> tuple[int, Iterator[av.VideoFrame]] | None:
    """Return the frames from the last keyframe before frame `index` on, and the first one's index.

    None where that keyframe cannot be reached; then the container stands anywhere and is to be
    opened again. What follows a keyframe in the order of showing refers to nothing before it.

    Args:
        stamps: times of all frames in the stream's units, ascending.
    """
    target = stamps[index]
    container.seek(target, stream=stream, backward=True)
    frames = container.decode(stream)
    for frame in frames:
        # Frames before the keyframe may lack what they refer to. Where the keyframe itself comes
        # after the target, so may the target.
        if frame.pts is None or frame.pts > target:
            return None
        if frame.key_frame:
            first = bisect_left(stamps, frame.pts)
            return (first, chain([frame], frames)) if stamps[first] == frame.pts else None
    return None
