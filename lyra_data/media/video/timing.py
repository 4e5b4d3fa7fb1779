"""Timing of a video file: when its frames are shown, and which of them are taken at what rate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from lyra_data.engine.errors import InputError
from lyra_data.media.video.leading import PacketFacts

log = logging.getLogger(__name__)

RATE_TOLERANCE = 0.25
"""Share of the usual time between frames that a frame may come early or late."""

STATED_RATE_TOLERANCE = 1e-3
"""The rate a file states is believed where its frames' times agree to this share."""

MAX_REPEATS = 10
"""A constant rate may need so many times the frames that there are; more is no video."""

CUT_TOLERANCE_SECONDS = 0.25
"""Time that a video may end earlier than it says and still count as whole."""

SAME_RATE = "give it at a constant rate: ffmpeg -i INPUT -fps_mode cfr -r 24 OUTPUT.mp4"


@dataclass(frozen=True)
class FrameTimes:
    """Attributes:
    seconds: at which each frame is shown, in that order.
    stated_fps: frames per second by the file's own word, or None.
    stamps: the same times in the stream's own units; empty where a frame has none.
    """

    seconds: list[float]
    stated_fps: float | None
    stamps: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Selection:
    """The frames that are taken.

    Attributes:
        indices: of decoded frames, ascending; one may repeat.
        fps: frames per second of those taken.
        seconds: when each of them is shown in the file.
        facts: what is to be said about the rate.
    """

    indices: list[int]
    fps: float
    seconds: tuple[float, ...]
    facts: dict[str, str] = field(default_factory=dict)


def frame_times(
    container: InputContainer,
    stream: av.VideoStream,
    packets: Sequence[av.Packet | PacketFacts],
    path: Path,
    *,
    num_left_out: int = 0,
) -> FrameTimes:
    """Return when frames are displayed, by the stream's packets, without decoding any.

    Args:
        num_left_out: packets of the stream that are not among `packets`.

    Raises:
        InputError: the file is cut, has no frames, or does not say when they are shown.
    """
    displayed = [packet for packet in packets if not packet.is_discard]
    num_packets = len(packets) + num_left_out
    if stream.frames > num_packets:
        raise _cut(f"{num_packets} of its {stream.frames} frames are there", path)
    if not displayed:
        raise InputError("this video has no frames", where=str(path), fix="give another one")
    stated = stream.average_rate or stream.guessed_rate
    stated_fps = None if stated is None else float(stated)
    stamps = [packet.pts for packet in displayed if packet.pts is not None]
    if len(stamps) < len(displayed) or stream.time_base is None:
        if not stated_fps:
            raise InputError(
                "this video does not say when its frames are shown",
                where=str(path),
                fix=SAME_RATE,
            )
        return FrameTimes([index / stated_fps for index in range(len(displayed))], stated_fps)
    seconds = sorted(float(stamp * stream.time_base) for stamp in stamps)
    _check_end(container, stream, seconds, path)
    return FrameTimes(seconds, stated_fps, sorted(stamps))


def select(
    times: FrameTimes, path: Path, *, first: int, stride: int, max_frames: int | None
) -> Selection:
    """Choose frames at a constant rate; of a video whose rate varies, those nearest to regular
    moments.

    Raises:
        InputError: there is no frame `first`, or times that no constant rate comes near to.
    """
    seconds, facts = np.asarray(times.seconds), {}
    indices = np.arange(len(seconds))
    steps = np.diff(seconds)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if len(steps) and usual <= 0:
        raise InputError("its frames are shown all at once", where=str(path), fix=SAME_RATE)
    if not len(steps):
        fps = times.stated_fps or 1.0  # one frame has no rate; a source of videos refuses it
    elif (np.abs(steps - usual) > RATE_TOLERANCE * usual).any():
        fps = 1.0 / usual
        indices = _nearest(seconds, usual, path)
        facts["rate"] = (
            f"variable, {steps.min():.4g} to {steps.max():.4g} s a frame; nearest frames taken at "
            f"a constant {fps:.6g} per second"
        )
        log.warning("%s has a variable frame rate: %s", path, facts["rate"])
    else:
        fps = len(steps) / float(seconds[-1] - seconds[0])
        stated = times.stated_fps
        if stated and abs(stated / fps - 1) < STATED_RATE_TOLERANCE:
            fps = stated  # times are rounded, in Matroska to milliseconds
    if first >= len(indices):
        raise InputError(
            f"the video has {len(indices)} frames, so none at index {first}",
            where=str(path),
            fix=f"set `first` to {len(indices) - 1} or less",
        )
    taken = indices[first::stride][:max_frames]
    displayed = tuple(float(second) for second in seconds[taken])
    return Selection(taken.tolist(), fps / stride, displayed, facts)


def _nearest(seconds: np.ndarray, step: float, path: Path) -> np.ndarray:
    """Return the index of the frame that is nearest to each of the moments `step` seconds apart."""
    if seconds[-1] - seconds[0] > MAX_REPEATS * len(seconds) * step:
        raise InputError(
            f"its {len(seconds)} frames, most of them {step:.4g} s apart, are spread over "
            f"{seconds[-1] - seconds[0]:.4g} s",
            where=str(path),
            fix="cut it where the pauses are, or " + SAME_RATE,
        )
    moments = np.arange(seconds[0], seconds[-1] + step / 2, step)
    return np.searchsorted((seconds[1:] + seconds[:-1]) / 2, moments)


def _check_end(
    container: InputContainer, stream: av.VideoStream, seconds: list[float], path: Path
) -> None:
    """See that a file that counts no frames lasts as long as it says (Matroska, WebM)."""
    stated = _seconds_in(stream.metadata.get("DURATION", ""))
    if stated is None and len(container.streams) == 1 and container.duration:
        stated = container.duration / av.time_base
    usual = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
    ends = seconds[-1] + usual
    # A duration counts from the first frame (MPEG, whose time stamps may pass their end and come
    # out negative) or from 0 (Matroska).
    ends = max(ends, ends - seconds[0])
    if stream.frames or stated is None or ends > stated - max(CUT_TOLERANCE_SECONDS, 5 * usual):
        return
    raise _cut(
        f"it lasts {stated:.2f} s by its own word, and ends after frame {len(seconds) - 1}, at "
        f"{ends:.2f} s",
        path,
    )


def _seconds_in(duration: str) -> float | None:
    """Parse Matroska's "00:00:04.070000000" into seconds; None for anything else."""
    try:
        hours, minutes, rest = duration.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(rest)
    except ValueError:
        return None


def _cut(what: str, path: Path) -> InputError:
    return InputError(
        f"the file is cut: {what}",
        where=str(path),
        fix="copy it again from where it came from; if no more is left, make a whole file of the "
        "rest: ffmpeg -i INPUT -c copy OUTPUT.mp4",
    )
