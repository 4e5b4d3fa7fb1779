"""Reading a video file: 8-bit RGB frames at a constant rate, with every doubt an InputError."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import torch
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import Colorspace
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.media.images import readable
from lyra_data.media.video.leading import decoded, pictures_without_reference
from lyra_data.media.video.pictures import (
    check_frame,
    check_kind,
    check_packets,
    facts_of,
    rgb,
    upright,
)
from lyra_data.media.video.timing import Selection, frame_times, select

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (
    ".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts",
    ".3gp", ".wmv", ".flv", ".ogv",
)  # fmt: skip

MAX_BYTES = 12 * 2**30
"""Limit on decoded frames: more are refused before they are decoded. A minute of 1080p has 10.4
GiB."""


@dataclass(frozen=True)
class VideoFrames:
    """Frames of a video, upright, at a constant rate.

    Attributes:
        frames: RGB, 0..255.
        fps: of these frames; a stride divides it.
        seconds: when each of them is shown in the file; empty where that is not known.
        facts: what a user would want to know of the reading: rate, rotation, colours.
    """

    frames: UInt8[Tensor, "frame 3 height width"]
    fps: float
    seconds: tuple[float, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def read_video(
    path: Path,
    *,
    first: int = 0,
    stride: int = 1,
    max_frames: int | None = None,
    unnamed: Colorspace | None = None,
) -> VideoFrames:
    """Read every stride-th frame from `first` on, at most `max_frames`.

    Args:
        unnamed: colour matrix of a file that names none, where it is known what wrote it; None: the
            usual one of its size.

    Raises:
        InputError: the file is missing, no video, cut or damaged, interlaced, HDR, partly
            transparent, has pixels that are not square, has no frame `first`, or more frames than
            memory is given to.
    """
    with readable(path):
        path.open("rb").close()  # a missing file is told as every other missing file
    with _refused(path), av.open(str(path), metadata_errors="replace") as container:
        stream = _stream(container, path)
        packets = [packet for packet in container.demux(stream) if packet.size]
        check_packets(packets, stream, path)
        left_out = pictures_without_reference(packets, stream)
        kept = [packet for number, packet in enumerate(packets) if number not in left_out]
        times = frame_times(container, stream, kept, path, num_left_out=len(left_out))
    selection = select(times, path, first=first, stride=stride, max_frames=max_frames)
    with _refused(path), av.open(str(path), metadata_errors="replace") as container:
        stream = _stream(container, path)
        check_kind(stream, path)
        stream.thread_type = "AUTO"
        pictures = decoded(container, stream, left_out)
        frames, facts = _decode(pictures, selection, len(times.seconds), path, unnamed)
    if left_out:
        facts["left_out"] = (
            f"first pictures: {len(left_out)}, which cannot be shown without frames from before "
            "the cut"
        )
        log.warning("%s: left out %s", path, facts["left_out"])
    return VideoFrames(frames, selection.fps, selection.seconds, selection.facts | facts)


def check_memory(num_frames: int, height: int, width: int, where: Path) -> None:
    """Refuse frames that memory is not given to, before they are read.

    Raises:
        InputError: they would take more than MAX_BYTES.
    """
    num_bytes = num_frames * 3 * height * width
    if num_bytes > MAX_BYTES:
        raise InputError(
            f"{num_frames} frames of {width}x{height} would take {num_bytes / 2**30:.1f} GiB of "
            f"memory, and the limit is {MAX_BYTES / 2**30:.1f}",
            where=str(where),
            fix=f"set `max_frames` to {MAX_BYTES // (3 * height * width)} or less, take a larger "
            "`stride`, or make the pictures smaller",
        )


def _stream(container: InputContainer, path: Path) -> av.VideoStream:
    """Return the first track of moving pictures; the cover of a piece of music is none."""
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise InputError(
                "its pictures are of a kind that nothing here decodes, or its header is damaged",
                where=str(path),
                fix="copy the file again, or convert it to H.264",
            )
        return stream
    raise InputError(
        "this file has no moving pictures" + (", only sound" if container.streams.audio else ""),
        where=str(path),
        fix="give a video",
    )


def _decode(
    decoded: Iterator[av.VideoFrame],
    selection: Selection,
    num_frames: int,
    path: Path,
    unnamed: Colorspace | None,
) -> tuple[UInt8[Tensor, "frame 3 height width"], dict[str, str]]:
    """Decode the selected frames as RGB, upright, and say what there is to say of their colours."""
    positions: dict[int, list[int]] = {}
    for position, index in enumerate(selection.indices):
        positions.setdefault(index, []).append(position)
    frames, facts, size = None, {}, (0, 0)
    for index in range(selection.indices[-1] + 1):
        try:
            frame = next(decoded)
        except StopIteration:
            raise _damaged(path, index, num_frames, "the file ends there") from None
        except FFmpegError as error:
            raise _damaged(path, index, num_frames, str(error.strerror or error)) from None
        if frame.is_corrupt:
            raise _damaged(path, index, num_frames, "its data are damaged")
        if index == 0:
            size, facts = (frame.width, frame.height), facts_of(frame, unnamed)
            check_memory(len(selection.indices), frame.height, frame.width, path)
        check_frame(frame, index, path, width=size[0], height=size[1])
        if index in positions:
            picture = torch.from_numpy(upright(rgb(frame, unnamed), frame, path).transpose(2, 0, 1))
            if frames is None:
                frames = torch.empty((len(selection.indices), *picture.shape), dtype=torch.uint8)
            frames[positions[index]] = picture
    assert frames is not None
    return frames, facts


def _damaged(path: Path, index: int, num_frames: int, why: str) -> InputError:
    return InputError(
        f"frame {index} of {num_frames} cannot be decoded: {why}",
        where=str(path),
        fix="copy the file again"
        + (f", or set `max_frames` so that only frames before {index} are read" if index else ""),
    )


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn FFmpeg's refusal of a file into an InputError."""
    try:
        yield
    except (FFmpegError, UnicodeDecodeError) as error:
        empty = path.stat().st_size == 0
        reason = "it is empty" if empty else getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"this is no video that can be read: {reason}",
            where=str(path),
            fix="give a whole video file (MP4, MOV, MKV, WebM, ...), or a folder of frames; an MP4 "
            "that is cut cannot be read at all: copy it again",
        ) from None
