"""Leading pictures: those at the start of a cut film that need frames from before the cut.

A film of open groups of pictures (broadcast, discs, HEVC of most encoders) that is cut at a
keyframe without being encoded again still holds the pictures that are shown before this keyframe
and stored after it. They refer to frames that the cut left out. No later frame refers to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import av
from av.container import InputContainer
from av.error import FFmpegError


class PacketFacts(NamedTuple):
    """The facts of a packet that are of use without its data; as av.Packet names them."""

    pts: int | None
    is_keyframe: bool
    is_discard: bool


def listed(packets: Iterable[av.Packet]) -> list[av.Packet | PacketFacts]:
    """Return the packets, those after the first keyframe and its leading pictures as their facts
    alone: a film's data would fill the memory."""
    kept: list[av.Packet | PacketFacts] = []
    key: av.Packet | None = None
    is_head = True
    for packet in packets:
        facts = PacketFacts(packet.pts, packet.is_keyframe, packet.is_discard)
        kept.append(packet if is_head else facts)
        if key is not None and is_head:
            is_head = _is_before(packet, key)
        if key is None and packet.is_keyframe:
            key = packet
    return kept


def pictures_without_reference(
    packets: Sequence[av.Packet | PacketFacts], stream: av.VideoStream
) -> frozenset[int]:
    """Return which of the packets, as `listed`, by number hold pictures that no decoder can show.

    These are all packets before the first keyframe and its leading pictures, where not every one of
    them decodes; else none.
    """
    first_key = next((n for n, packet in enumerate(packets) if packet.is_keyframe), None)
    if first_key is None or packets[first_key].pts is None:
        return frozenset()
    last = first_key
    while last + 1 < len(packets) and _is_before(packets[last + 1], packets[first_key]):
        last += 1
    doubtful = frozenset(range(last + 1)) - {first_key}
    if not doubtful or last + 1 == len(packets):
        return frozenset()
    head = [packet for packet in packets[: last + 1] if isinstance(packet, av.Packet)]
    assert len(head) == last + 1
    return frozenset() if _all_decode(head, stream) else doubtful


def decoded(
    container: InputContainer, stream: av.VideoStream, left_out: frozenset[int]
) -> Iterator[av.VideoFrame]:
    """Decode a stream without the packets that `pictures_without_reference` named."""
    number = 0
    for packet in container.demux(stream):
        is_left_out = packet.size > 0 and number in left_out
        number += packet.size > 0
        if not is_left_out:
            yield from packet.decode()


def _is_before(packet: av.Packet | PacketFacts, key: av.Packet | PacketFacts) -> bool:
    """Return whether a packet is shown before the keyframe; one without a time, in between, is."""
    return packet.pts is None or key.pts is None or packet.pts < key.pts


def _all_decode(packets: Sequence[av.Packet], stream: av.VideoStream) -> bool:
    """Return whether every packet gives a whole picture, in a decoder of its own."""
    context = av.CodecContext.create(stream.codec_context.name, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.extradata = stream.codec_context.extradata
    context.thread_count = 1  # one error is told once, at its own packet
    try:
        frames = [frame for packet in [*packets, None] for frame in context.decode(packet)]  # type: ignore[attr-defined]
    except FFmpegError:
        return False
    return len(frames) >= len(packets) and not any(frame.is_corrupt for frame in frames)
