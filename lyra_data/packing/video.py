"""Encode RGB as MP4, to the same bytes every time, and decode single frames from their packets.

Every file has one video stream whose packets lie side by side behind the header (faststart), no
B-frames, and ends with a `free` box that holds the byte 1, because some readers strip trailing
zero bytes of binary columns.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from lyra_data.engine.atomic import temporary_folder
from lyra_data.media.video.pictures import ACCURATE
from lyra_data.packing.original_video import ORIGINAL, TRAILER, decode_original
from lyra_data.packing.packed import Packed, PartTable

os.environ.setdefault("SVT_LOG", "1")  # else SVT-AV1 prints its settings on stderr
_H264 = {"bf": "0", "sc_threshold": "0", "x264-params": "open-gop=0"}
# CAVLC for CABAC: single frames decode two to three times as fast, for 1.2 times the bytes.
_FAST_H264 = {**_H264, "x264-params": "open-gop=0:cabac=0"}


@dataclass(frozen=True)
class VideoCodec:
    """Settings of the encoder for one kind of video.

    Attributes:
        encoder, decoder: names in FFmpeg.
        pixel_format: rgb24 keeps every value; yuv420p halves the colours' resolution.
        gop: frames from one key frame to the next.
        configuration_box: MP4 box that holds what the decoder must know.
    """

    encoder: str
    decoder: str
    pixel_format: str
    gop: int
    options: Mapping[str, str]
    configuration_box: bytes


VIDEO_CODECS: Mapping[str, VideoCodec] = {
    "lossless": VideoCodec(
        "libx264rgb", "h264", "rgb24", 4, {"qp": "0", "preset": "fast", **_FAST_H264}, b"avcC"
    ),
    "train": VideoCodec(
        "libsvtav1",
        "libdav1d",
        "yuv420p",
        2,
        {"crf": "12", "preset": "10", "svtav1-params": "lp=1"},
        b"av1C",
    ),
    "compat": VideoCodec(
        "libx264",
        "h264",
        "yuv420p",
        4,
        {"crf": "14", "tune": "fastdecode", **_FAST_H264},  # no deblocking either
        b"avcC",
    ),
    "preview": VideoCodec("libx264", "h264", "yuv420p", 24, {"crf": "26", **_H264}, b"avcC"),
}


def pack_video(frames: Iterable[np.ndarray], fps: float, codec: str) -> Packed:
    """Encode RGB frames, uint8 [height, width, 3], one at a time."""
    settings = VIDEO_CODECS[codec]
    with temporary_folder() as folder:
        path = folder / "video.mp4"
        num_frames, height, width = _encode(frames, fps, settings, path)
        packets, data = _packets(path), path.read_bytes() + TRAILER
    assert len(packets) == num_frames, (len(packets), num_frames)
    starts = [position for position, _, _ in packets]
    ends = [position + size for position, size, _ in packets]
    assert starts[1:] == ends[:-1], "the packets do not lie side by side"
    key_frames = tuple(frame for frame, (_, _, is_key) in enumerate(packets) if is_key)
    return Packed(
        data,
        PartTable(
            ends=(starts[0], *ends, len(data)),
            num_leading=1,
            key_frames=key_frames,
            shape=(num_frames, height, width, 3),
            codec=codec,
            config=_configuration(data[: starts[0]], settings.configuration_box),
        ),
    )


def decode_packets(
    packets: Mapping[int, bytes], frames: Sequence[int], table: PartTable
) -> dict[int, np.ndarray]:
    """Decode frames, uint8 [height, width, 3], from packets of `table.frames_to_decode(frames)`.

    Raises:
        ValueError: the packets are none of the codec's.
    """
    if table.codec == ORIGINAL:
        return decode_original(packets, frames, table)
    settings = VIDEO_CODECS.get(table.codec)
    if settings is None:
        raise ValueError(f"unknown video codec {table.codec!r}")
    needed, decoded = set(frames), {}
    try:
        context: Any = av.CodecContext.create(settings.decoder, "r")
        context.extradata = table.config
        context.thread_count = 1
        for frame in _decoded(context, packets):
            if frame.pts in needed:
                decoded[frame.pts] = _to_rgb(frame, settings)
    except FFmpegError as error:
        raise ValueError(f"the video cannot be decoded: {error}") from error
    if missing := needed - decoded.keys():
        raise ValueError(f"the video does not show frames {sorted(missing)}")
    for frame in decoded.values():
        if frame.shape != tuple(table.shape[1:]):
            raise ValueError(f"a frame has shape {frame.shape}, not {tuple(table.shape[1:])}")
    return decoded


def _encode(
    frames: Iterable[np.ndarray], fps: float, settings: VideoCodec, path: Path
) -> tuple[int, int, int]:
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    number, height, width = 0, 0, 0
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream: Any = None
        for number, picture in enumerate(frames, start=1):
            if stream is None:
                height, width = picture.shape[:2]
                stream = _add_stream(container, settings, fps, height, width)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if settings.pixel_format != "rgb24":
                frame = frame.reformat(
                    format=settings.pixel_format, dst_colorspace="itu709", dst_color_range="MPEG"
                )
            frame.pts = number - 1
            container.mux(stream.encode(frame))
        assert stream is not None, "a video has at least one frame"
        container.mux(stream.encode(None))
    return number, height, width


def _add_stream(container: Any, settings: VideoCodec, fps: float, height: int, width: int) -> Any:
    rate = Fraction(fps).limit_denominator(1001)
    stream = container.add_stream(settings.encoder, rate=rate, options=dict(settings.options))
    stream.width, stream.height, stream.pix_fmt = width, height, settings.pixel_format
    stream.gop_size = settings.gop
    stream.codec_context.thread_count = 1  # the same bytes on any number of cores
    if settings.pixel_format != "rgb24":
        stream.codec_context.colorspace = 1  # ITU-R BT.709
        stream.codec_context.color_primaries = 1
        stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1  # limited
    return stream


def _packets(path: Path) -> list[tuple[int, int, bool]]:
    """Return position, size and whether it is a key frame, of every packet."""
    with av.open(str(path), metadata_errors="replace") as container:
        return [
            (int(packet.pos or 0), packet.size, packet.is_keyframe)
            for packet in container.demux(video=0)
            if packet.size
        ]


def _configuration(header: bytes, box: bytes) -> bytes:
    """Return the content of an MP4 box: its size (4 bytes, big-endian, itself and name included)
    stands before its name (4 bytes), its content behind."""
    name = header.index(box)
    size = int.from_bytes(header[name - 4 : name], "big")
    return header[name + 4 : name - 4 + size]


def _decoded(context: Any, packets: Mapping[int, bytes]) -> Iterable[Any]:
    for number in sorted(packets):
        packet = av.Packet(packets[number])
        packet.pts = packet.dts = number
        packet.time_base = Fraction(1, 1)
        yield from context.decode(packet)
    yield from context.decode(None)


def _to_rgb(frame: Any, settings: VideoCodec) -> np.ndarray:
    if settings.pixel_format == "rgb24":
        return frame.to_ndarray(format="rgb24")
    return frame.to_ndarray(
        format="rgb24",
        src_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=ACCURATE,
        threads=1,  # waiting for helping threads takes longer than the work on a busy machine
    )
