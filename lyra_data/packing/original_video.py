"""Keep videos that others wrote, to the byte: any codec, long groups of pictures, B-frames.

Colours are those of FFmpeg's conversion when it is asked for nothing, as in the programs that the
files were written for.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from lyra_data.packing.packed import Packed, PartTable
from lyra_data.packing.packet_order import PacketOrder

ORIGINAL = "original"
TRAILER = b"\x00\x00\x00\x09free\x01"
"""Follows a file that ends with a zero byte: some readers strip those of binary columns."""


@dataclass(frozen=True)
class OriginalVideo:
    """A file and how it is read frame by frame.

    Attributes:
        fps: frames per second.
    """

    packed: Packed
    fps: float


@dataclass(frozen=True)
class _Packet:
    start: int
    size: int
    time: int
    is_key: bool


def pack_original(data: bytes, *, backwards: bool) -> OriginalVideo:
    """Take a video file as it is; nothing is decoded.

    Args:
        backwards: frame 0 is to be the one that a player shows last.

    Raises:
        ValueError: it is no video, or its packets are stored in a way that single frames cannot
            be read of.
    """
    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
            if not container.streams.video:
                raise ValueError("it has no moving pictures")
            stream = container.streams.video[0]
            context, rate = stream.codec_context, stream.average_rate
            packets = [_checked(packet) for packet in container.demux(stream) if packet.size]
            decoder, extradata = str(context.codec.name), bytes(context.extradata or b"")
            height, width = context.height, context.width
    except FFmpegError as error:
        raise ValueError(f"it is no video that can be read: {error.strerror or error}") from error
    starts = [packet.start for packet in packets]
    ends = [packet.start + packet.size for packet in packets]
    if not packets or not rate:
        raise ValueError("it has no frames, or no frame rate")
    if any(end > start for end, start in zip(ends, starts[1:], strict=False)):
        raise ValueError("its packets are not stored in the order they are decoded in")
    times = [packet.time for packet in packets]
    if len(set(times)) != len(times):
        raise ValueError("two of its packets are shown at one time")
    ranks = np.argsort(np.argsort(times)).tolist()
    order = PacketOrder(
        decoder=decoder,
        extradata=extradata,
        ranks=tuple(ranks),
        sizes=tuple(packet.size for packet in packets),
        num_bytes=len(data),
        backwards=backwards,
    )
    blob = data + TRAILER if data.endswith(b"\x00") else data
    table = PartTable(
        ends=(*starts, ends[-1], len(blob)),
        num_leading=1,
        key_frames=tuple(number for number, packet in enumerate(packets) if packet.is_key),
        shape=(len(packets), height, width, 3),
        codec=ORIGINAL,
        config=order.as_config(),
    )
    return OriginalVideo(Packed(blob, table), float(rate))


def original_file(blob: bytes, table: PartTable) -> bytes:
    """Return the file that `pack_original` was given."""
    return blob[: PacketOrder.of(table.config).num_bytes]


def all_frames(data: bytes) -> Iterator[np.ndarray]:
    """Yield every frame, uint8 [height, width, 3], in the order that a player shows them.

    Raises:
        ValueError: one of them cannot be decoded.
    """
    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except FFmpegError as error:
        raise ValueError(f"a frame cannot be decoded: {error.strerror or error}") from error


def decode_original(
    packets: Mapping[int, bytes], frames: Sequence[int], table: PartTable
) -> dict[int, np.ndarray]:
    """Decode frames, uint8 [height, width, 3], from packets of `table.frames_to_decode(frames)`.

    Raises:
        ValueError: the packets are none of the video's.
    """
    order = PacketOrder.of(table.config)
    frame_of = {order.rank_of(frame): frame for frame in frames}
    decoded: dict[int, np.ndarray] = {}
    try:
        context: Any = av.CodecContext.create(order.decoder, "r")
        context.extradata = order.extradata
        context.thread_count = 1
        for picture in _decoded(context, packets, order):
            if picture.pts in frame_of:
                decoded[frame_of[picture.pts]] = picture.to_ndarray(format="rgb24")
    except FFmpegError as error:
        raise ValueError(f"the video cannot be decoded: {error}") from error
    if missing := sorted(set(frames) - decoded.keys()):
        raise ValueError(f"the video does not show frames {missing}")
    for picture in decoded.values():
        if picture.shape != tuple(table.shape[1:]):
            raise ValueError(f"a frame has shape {picture.shape}, not {tuple(table.shape[1:])}")
    return decoded


def _checked(packet: Any) -> _Packet:
    if packet.is_discard or packet.pts is None or packet.pos is None or packet.pos < 0:
        raise ValueError("it has packets that are not shown, or are nowhere in the file")
    return _Packet(int(packet.pos), int(packet.size), int(packet.pts), bool(packet.is_keyframe))


def _decoded(context: Any, packets: Mapping[int, bytes], order: PacketOrder) -> Iterator[Any]:
    for number in sorted(packets):
        packet = av.Packet(packets[number][: order.sizes[number]])
        packet.pts, packet.dts = order.ranks[number], number - len(order.ranks)
        packet.time_base = Fraction(1, 1)
        yield from context.decode(packet)
    yield from context.decode(None)
