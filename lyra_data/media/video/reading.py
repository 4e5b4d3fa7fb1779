"""Reading a video file: 8-bit RGB frames at a constant rate, with every doubt an InputError."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

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
from lyra_data.media.video.leading import decoded, listed, pictures_without_reference
from lyra_data.media.video.pictures import (
    check_frame,
    check_kind,
    checked_packets,
    facts_of,
    rgb,
    upright,
)
from lyra_data.media.video.seeking import decoded_near
from lyra_data.media.video.timing import FrameTimes, Selection, frame_times, select

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
    seeks: bool = False,
) -> VideoFrames:
    """Read every stride-th frame from `first` on, at most `max_frames`.

    Args:
        unnamed: colour matrix of a file that names none, where it is known what wrote it; None: the
            usual one of its size.
        seeks: begin at the last keyframe before `first`, where the file allows it, so that a part
            of a long film takes no longer than of a short one. Frames before it are not checked.

    Raises:
        InputError: the file is missing, no video, cut or damaged, interlaced, HDR, partly
            transparent, has pixels that are not square, has no frame `first`, or more frames than
            memory is given to.
    """
    listing = _listed(path)
    selection = select(listing.times, path, first=first, stride=stride, max_frames=max_frames)
    frames, facts = None, {}
    for position, decoded_frame in enumerate(_decode(listing, selection, path, unnamed, seeks)):
        picture, facts = decoded_frame
        if frames is None:
            frames = torch.empty((len(selection.indices), *picture.shape), dtype=torch.uint8)
        frames[position] = picture
    assert frames is not None
    if listing.left_out:
        facts["left_out"] = (
            f"first pictures: {len(listing.left_out)}, which cannot be shown without frames from "
            "before the cut"
        )
        log.warning("%s: left out %s", path, facts["left_out"])
    return VideoFrames(frames, selection.fps, selection.seconds, selection.facts | facts)


def each_frame(
    path: Path, *, first: int = 0, stride: int = 1, max_frames: int | None = None
) -> Iterator[UInt8[Tensor, "3 height width"]]:
    """Yield the frames that `read_video` returns, one at a time.

    Raises:
        InputError: as `read_video`, but for memory.
    """
    listing = _listed(path)
    selection = select(listing.times, path, first=first, stride=stride, max_frames=max_frames)
    for picture, _ in _decode(listing, selection, path, None, seeks=False, is_kept=False):
        yield picture


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


@dataclass(frozen=True)
class _Listing:
    """Facts of a file that its packets state, without any of them being decoded.

    Attributes:
        left_out: numbers of the packets that no decoder can show.
    """

    times: FrameTimes
    left_out: frozenset[int]


def _listed(path: Path) -> _Listing:
    with readable(path):
        path.open("rb").close()  # a missing file is told as every other missing file
    with _refused(path), av.open(str(path), metadata_errors="replace") as container:
        stream = _stream(container, path)
        pictured = (packet for packet in container.demux(stream) if packet.size)
        packets = listed(checked_packets(pictured, stream, path))
        left_out = pictures_without_reference(packets, stream)
        kept = [packet for number, packet in enumerate(packets) if number not in left_out]
        times = frame_times(container, stream, kept, path, num_left_out=len(left_out))
    return _Listing(times, left_out)


class _Decoded(NamedTuple):
    """A picture, upright, and what there is to say of the file's colours."""

    picture: UInt8[Tensor, "3 height width"]
    facts: dict[str, str]


def _decode(
    listing: _Listing,
    selection: Selection,
    path: Path,
    unnamed: Colorspace | None,
    seeks: bool,
    *,
    is_kept: bool = True,
) -> Iterator[_Decoded]:
    """Yield the selected frames as RGB; one that repeats comes again.

    Args:
        is_kept: all of them are to be in memory at once.
    """
    positions = Counter(selection.indices)
    num_frames, last = len(listing.times.seconds), selection.indices[-1]
    with ExitStack() as opened:
        opened.enter_context(_refused(path))
        start, decoded_frames = _entered(listing, selection, path, opened, seeks=seeks)
        size, facts = None, {}
        for index in range(start, last + 1):
            try:
                frame = next(decoded_frames)
            except StopIteration:
                raise _damaged(path, index, num_frames, "the file ends there") from None
            except FFmpegError as error:
                raise _damaged(path, index, num_frames, str(error.strerror or error)) from None
            if frame.is_corrupt or (start and frame.pts != listing.times.stamps[index]):
                raise _damaged(path, index, num_frames, "its data are damaged")
            if size is None:
                size, facts = (frame.width, frame.height), facts_of(frame, unnamed)
                if is_kept:
                    check_memory(len(selection.indices), frame.height, frame.width, path)
            check_frame(frame, index, path, width=size[0], height=size[1])
            if positions[index]:
                pixels = upright(rgb(frame, unnamed), frame, path).transpose(2, 0, 1)
                for _ in range(positions[index]):
                    yield _Decoded(torch.from_numpy(pixels), facts)


def _entered(
    listing: _Listing, selection: Selection, path: Path, opened: ExitStack, *, seeks: bool
) -> tuple[int, Iterator[av.VideoFrame]]:
    """Return the index of the frame that decoding begins with, and the frames from there on.

    Args:
        opened: closes the file at its end.
    """
    stamps, target = listing.times.stamps, selection.indices[0]
    if seeks and target and stamps and not listing.left_out and len(set(stamps)) == len(stamps):
        container, stream = _opened(path, opened)
        if (near := decoded_near(container, stream, stamps, target)) is not None:
            return near
    container, stream = _opened(path, opened)
    return 0, decoded(container, stream, listing.left_out)


def _opened(path: Path, opened: ExitStack) -> tuple[InputContainer, av.VideoStream]:
    container = opened.enter_context(av.open(str(path), metadata_errors="replace"))
    stream = _stream(container, path)
    check_kind(stream, path)
    stream.thread_type = "AUTO"
    return container, stream


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
