"""Shots: where a film cuts to another camera. One clip shows one place, so shots are set apart.

Optical flow carries every frame to the next one and back. Of one shot, however it moves, most
pixels come back to where they were; across a cut hardly any do. Comparing colours alone misses cuts
within one place. See docs/adr/0015-reading-videos.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

SIZE = (256, 144)
"""Width and height that frames are shrunk to, whatever their shape: enough for flow."""

LEAST_CONTRAST = 3.0
"""Standard deviation of grey levels; a plainer frame (a flash, black) is passed over."""

RETURN_PIXELS = 1.5
RETURN_SHARE = 0.05
"""A pixel is lost that comes back further off than this, plus this share of its way."""

LEAST_LOST = 0.75
LEAST_RISE = 0.5
MOST_CORRELATION = 0.6
"""A cut loses so many pixels, so many more than the frames around it, and leaves pictures that
correlate less than this once the flow is undone."""

NEIGHBOURS = 4
"""Pairs of frames before and after that one is compared with."""


class Change(NamedTuple):
    """The change from one frame to the next.

    Attributes:
        lost: share of pixels that do not come back.
        correlation: of the two pictures, once the flow is undone.
    """

    lost: float
    correlation: float


def cuts_in(frames: Iterable[UInt8[Tensor, "3 height width"]]) -> list[int]:
    """Return indices of the frames that a new shot begins with; empty where all is one shot.

    Fades and dissolves are not found.

    Args:
        frames: one after another; no more than two of them are kept.
    """
    textured: list[int] = []
    changes: list[Change] = []
    with _one_thread():
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        before = None
        for index, frame in enumerate(frames):
            grey = _grey(frame)
            if grey.std() < LEAST_CONTRAST:
                continue
            textured.append(index)
            if before is not None:
                changes.append(_change(before, grey, flow))
            before = grey
    lost = np.array([change.lost for change in changes])
    return [
        textured[index + 1]
        for index, change in enumerate(changes)
        if change.lost >= LEAST_LOST
        and change.correlation <= MOST_CORRELATION
        and change.lost - _usual_around(lost, index) >= LEAST_RISE
    ]


def shot_ranges(cuts: list[int], num_frames: int) -> list[tuple[int, int]]:
    """Return the first frame and the number of frames of every shot."""
    starts = [0, *cuts]
    return [(start, end - start) for start, end in zip(starts, [*cuts, num_frames], strict=True)]


def _usual_around(lost: Float[np.ndarray, " pair"], index: int) -> float:
    """Return the median of the neighbours; 0 where there are none."""
    before, after = lost[max(0, index - NEIGHBOURS) : index], lost[index + 1 :][:NEIGHBOURS]
    around = np.concatenate([before, after])
    return float(np.median(around)) if len(around) else 0.0


def _change(
    before: UInt8[np.ndarray, "small_height small_width"],
    after: UInt8[np.ndarray, "small_height small_width"],
    flow: cv2.DISOpticalFlow,
) -> Change:
    nothing = np.empty(0, np.float32)  # no flow to start from
    onward, back = flow.calc(before, after, nothing), flow.calc(after, before, nothing)
    height, width = before.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    columns, rows = columns + onward[..., 0], rows + onward[..., 1]
    returned = np.hypot(*(onward + _sampled(back, columns, rows)).transpose(2, 0, 1))
    way = np.hypot(onward[..., 0], onward[..., 1])
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    lost = (returned > RETURN_PIXELS + RETURN_SHARE * way) | ~inside
    arrived = _sampled(after, columns, rows).astype(np.float64)[inside]
    left = before[inside].astype(np.float64)
    arrived, left = arrived - arrived.mean(), left - left.mean()
    norm = np.sqrt((arrived**2).sum() * (left**2).sum())
    correlation = float((arrived * left).sum() / norm) if norm > 0 else 0.0
    return Change(float(lost.mean()), correlation)


def _sampled(values: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _grey(frame: UInt8[Tensor, "3 height width"]) -> UInt8[np.ndarray, "small_height small_width"]:
    picture = np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
    return cv2.cvtColor(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run OpenCV on one thread, for its flow depends on the number of threads."""
    former = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(former)
