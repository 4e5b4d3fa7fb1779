"""A video that others wrote is kept to the byte, and any of its frames is read alone."""

from __future__ import annotations

import dataclasses
import io

import av
import numpy as np
import pytest

from lyra_data.packing.original_video import (
    TRAILER,
    all_frames,
    original_file,
    pack_original,
)
from lyra_data.packing.packed import Packed
from lyra_data.packing.video import decode_packets
from tests.factories import make_frames
from tests.lyra_layout import mp4_of

FRAMES = make_frames(19, 64, 96, seed=3).permute(0, 2, 3, 1).numpy()
KINDS = {
    "one group": {},
    "groups of 6": {"g": "6", "sc_threshold": "0"},
    "open groups": {"g": "6", "sc_threshold": "0", "x264-params": "open-gop=1:bframes=3"},
    "no B-frames": {"bf": "0"},
    "header first": {"movflags": "faststart"},
}


@pytest.fixture(scope="module", params=list(KINDS))
def data(request) -> bytes:
    return mp4_of(FRAMES, **KINDS[request.param])


def some_frames(packed: Packed, wanted: list[int]) -> dict[int, np.ndarray]:
    table = packed.table
    parts = {
        packet: packed.data[slice(*table.bounds(table.part_of(packet)))]
        for packet in table.frames_to_decode(wanted)
    }
    return decode_packets(parts, wanted, table)


@pytest.mark.parametrize("backwards", [False, True])
def test_any_frame_alone_is_the_one_that_a_player_shows(data, backwards) -> None:
    packed = pack_original(data, backwards=backwards).packed
    with av.open(io.BytesIO(data)) as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    if backwards:
        shown.reverse()
    for frame in range(19):
        assert np.array_equal(some_frames(packed, [frame])[frame], shown[frame]), frame
    mixed = some_frames(packed, [17, 3, 4, 17])
    assert all(np.array_equal(mixed[frame], shown[frame]) for frame in (17, 3, 4))


def test_the_file_stays_as_it_is_and_parts_cover_it(data) -> None:
    packed = pack_original(data, backwards=False).packed
    table = packed.table
    assert original_file(packed.data, table) == data
    assert table.ends[-1] == len(packed.data) and list(table.ends) == sorted(table.ends)
    assert packed.table.shape == (19, 64, 96, 3)


def test_a_file_that_ends_with_zeros_survives_readers_that_strip_them() -> None:
    data = mp4_of(FRAMES) + b"\x00\x00\x00\x0cfree\x00\x00\x00\x00"
    packed = pack_original(data, backwards=False).packed
    assert packed.data == data + TRAILER
    assert original_file(packed.data, packed.table) == data
    assert len(list(all_frames(packed.data))) == 19


def test_few_packets_are_read_where_groups_are_short() -> None:
    table = pack_original(mp4_of(FRAMES, **KINDS["groups of 6"]), backwards=False).packed.table
    assert table.key_frames == (0, 6, 12, 18)
    assert table.frames_to_decode([12]) == [12]
    assert 0 < len(table.frames_to_decode([13])) <= 6
    long = pack_original(mp4_of(FRAMES), backwards=False).packed.table
    assert long.key_frames == (0,) and 0 in long.frames_to_decode([18])


def test_b_frames_are_stored_out_of_order_here() -> None:
    """Else the tests above would show nothing."""
    table = pack_original(mp4_of(FRAMES), backwards=False).packed.table
    with_b = [table.frames_to_decode([frame]) for frame in range(19)]
    assert any(len(packets) != frame + 1 for frame, packets in enumerate(with_b))


def test_sound_between_the_packets_is_kept_and_not_decoded() -> None:
    data = with_sound(FRAMES)
    packed = pack_original(data, backwards=False).packed
    table = packed.table
    sizes = np.diff([0, *table.ends])
    with av.open(io.BytesIO(data)) as video:
        packets = [packet.size for packet in video.demux(video=0) if packet.size]
    assert sizes[1:-1].sum() > sum(packets), "nothing lies between the packets"
    assert original_file(packed.data, table) == data
    shown = list(all_frames(data))
    assert np.array_equal(some_frames(packed, [11])[11], shown[11])


def with_sound(frames: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        sound = output.add_stream("aac", rate=48000, layout="mono")
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            output.mux(stream.encode(frame))
            tone = av.AudioFrame.from_ndarray(
                np.random.default_rng(number).random((1, 2000), np.float32), "fltp", "mono"
            )
            tone.sample_rate, tone.pts = 48000, 2000 * number
            output.mux(sound.encode(tone))
        output.mux(stream.encode(None))
        output.mux(sound.encode(None))
    return buffer.getvalue()


def test_what_is_no_video_is_refused() -> None:
    data = mp4_of(FRAMES)
    for wrong in (b"", b"no video", data[: len(data) // 2]):
        with pytest.raises(ValueError, match=r"no video|no frames|no moving"):
            pack_original(wrong, backwards=False)


def test_an_altered_order_of_packets_is_refused() -> None:
    packed = pack_original(mp4_of(FRAMES), backwards=False).packed
    for config in (b"", b"{}", b'{"decoder": 1}', packed.table.config[:-3]):
        table = dataclasses.replace(packed.table, config=config)
        with pytest.raises(ValueError):
            table.frames_to_decode([3])
