"""Video files come out as plain upright frames in their own colours and rhythm, or are refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from lyra_data.engine.errors import InputError, StorageError
from lyra_data.media.video import read_video, reading, write_video
from tests.video_samples import (
    MIRRORED,
    coloured_frames,
    mark_display,
    mark_spherical,
    turn_clockwise,
    write,
    write_flat,
    write_sound,
)


def corner_colours(frame: torch.Tensor) -> list[int]:
    """The strongest channel of top left, top right and bottom left."""
    _, height, width = frame.shape
    places = ((height // 4, width // 4), (height // 4, -width // 4), (-height // 4, width // 4))
    return [int(frame[:, row, column].argmax()) for row, column in places]


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.int() - other.int()).abs().float().mean())


def test_a_lossless_video_gives_back_every_pixel(tmp_path: Path) -> None:
    frames = coloured_frames(5, 33, 47)
    write_video(frames, tmp_path / "a.mp4", fps=23.976, lossless=True)
    video = read_video(tmp_path / "a.mp4")
    assert torch.equal(video.frames, frames)
    assert video.fps == pytest.approx(23.976, rel=1e-5)


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_a_video_for_players_keeps_colours(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = coloured_frames(5, *size)
    write_video(frames, tmp_path / "a.mp4", fps=24.0, lossless=False)
    assert difference(read_video(tmp_path / "a.mp4").frames, frames) < 3


def test_a_video_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_video(coloured_frames(2), tmp_path / "file" / "a.mp4", fps=24.0, lossless=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("size", [(48, 64), (34, 46)])
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = torch.randint(
        0, 256, (8, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    written = set()
    for index in range(6):
        write_video(frames, tmp_path / f"{index}.mp4", fps=24.0, lossless=False)
        written.add((tmp_path / f"{index}.mp4").read_bytes())
    assert len(written) == 1


LUMA_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Of red and blue, by FFmpeg's number of the matrix: BT.709, 601 (twice), 2020."""


def decoded_by_hand(
    values: tuple[int, int, int], *, matrix: int, is_full: bool, bits: int
) -> torch.Tensor:
    """RGB, 0..255, of luma and chroma, after ITU-T H.273."""
    unit, top = 2 ** (bits - 8), 2**bits - 1
    luma, blue, red = (float(value) for value in values)
    if is_full:
        luma, blue, red = luma / top, (blue - 128 * unit) / top, (red - 128 * unit) / top
    else:
        luma = (luma / unit - 16) / 219
        blue, red = (blue / unit - 128) / 224, (red / unit - 128) / 224
    weight_red, weight_blue = LUMA_WEIGHTS[matrix]
    r, b = luma + 2 * (1 - weight_red) * red, luma + 2 * (1 - weight_blue) * blue
    g = (luma - weight_red * r - weight_blue * b) / (1 - weight_red - weight_blue)
    return 255 * torch.tensor([r, g, b])


@pytest.mark.parametrize("matrix", LUMA_WEIGHTS)
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv420p", 8), ("yuv420p10le", 10)])
def test_colours_are_those_of_the_standard_that_the_file_names(
    tmp_path: Path, matrix: int, is_full: bool, pixel_format: str, bits: int
) -> None:
    unit = 2 ** (bits - 8)
    values = (150 * unit + unit // 2, 105 * unit, 160 * unit)
    write_flat(values, tmp_path / "a.mkv", pixel_format, matrix=matrix, is_full=is_full)
    read = read_video(tmp_path / "a.mkv").frames[0].float()
    expected = decoded_by_hand(values, matrix=matrix, is_full=is_full, bits=bits)
    # FFmpeg brings 10 bits of full range to 8 by a shift, which is 1/1023 too little.
    assert float((read - expected[:, None, None]).abs().max()) < (1.4 if is_full else 0.7)


@pytest.mark.parametrize(("height", "name"), [(48, "ITU601"), (578, "ITU709")])
def test_a_matrix_that_no_file_names_is_taken_from_the_size_and_told(
    tmp_path: Path, height: int, name: str
) -> None:
    video = read_video(write(coloured_frames(2, height, 64), tmp_path / "a.mp4"))
    assert video.facts["colour_matrix"] == f"{name} (taken: the file names none)"


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuvj420p", "yuv422p"])
def test_colours_come_out_alike_from_every_pixel_format(tmp_path: Path, pixel_format: str) -> None:
    frames = coloured_frames()
    video = read_video(write(frames, tmp_path / "a.mp4", pixel_format=pixel_format))
    assert video.frames.dtype == torch.uint8
    assert difference(video.frames, frames) < 4
    assert video.facts["pixel_format"] == pixel_format


def test_a_video_marked_as_turned_is_read_upright(tmp_path: Path) -> None:
    frames = coloured_frames()
    path = write(frames, tmp_path / "a.mp4")
    assert corner_colours(read_video(path).frames[0]) == [0, 1, 2]
    turn_clockwise(path)
    video = read_video(path)
    assert video.frames.shape == (12, 3, 64, 48)
    # Clockwise: what was bottom left is top left, what was top left is top right.
    assert corner_colours(video.frames[0])[:2] == [2, 0]
    assert difference(video.frames, frames.rot90(-1, (2, 3))) < 3
    assert "rotation_degrees" in video.facts


def test_a_video_marked_as_mirrored_is_read_mirrored(tmp_path: Path) -> None:
    frames = coloured_frames()
    path = write(frames, tmp_path / "a.mp4")
    mark_display(path, MIRRORED)
    assert difference(read_video(path).frames, frames.flip(3)) < 3


def test_a_video_to_be_shown_aslant_is_refused(tmp_path: Path) -> None:
    path = write(coloured_frames(), tmp_path / "a.mp4")
    mark_display(path, (0.8, 0.6, 0, -0.6, 0.8, 0, 0, 0, 1 << 14))
    with pytest.raises(InputError, match="turned by"):
        read_video(path)


def test_frames_are_taken_from_first_on_in_steps(tmp_path: Path) -> None:
    frames = coloured_frames(20)
    path = write(frames, tmp_path / "a.mp4")
    video = read_video(path, first=3, stride=4, max_frames=3)
    assert difference(video.frames, frames[[3, 7, 11]]) < 3
    assert video.fps == pytest.approx(6.0)
    assert video.seconds == pytest.approx([3 / 24, 7 / 24, 11 / 24], abs=1e-3)
    with pytest.raises(InputError, match="none at index 20"):
        read_video(path, first=20)


def test_a_variable_rate_becomes_a_constant_one_of_nearest_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = coloured_frames(10)
    times = [0, 1, 2, 3, 4, 8, 9, 10, 11, 12]  # three frames' time passes without one
    video = read_video(write(frames, tmp_path / "a.mkv", times=times))
    assert video.fps == pytest.approx(24.0, rel=0.02)
    assert len(video.frames) == 13
    nearest = [0, 1, 2, 3, 4, 4, 4, 5, 5, 6, 7, 8, 9]
    pairs = zip(video.frames, nearest, strict=True)
    matching = [difference(made, frames[index]) for made, index in pairs]
    assert sum(value < 3 for value in matching) >= 12  # the middle one is as near to either
    assert "variable" in video.facts["rate"]
    assert "variable frame rate" in caplog.text


def test_times_rounded_to_milliseconds_are_no_variable_rate(tmp_path: Path) -> None:
    video = read_video(write(coloured_frames(20), tmp_path / "a.mkv"))
    assert video.fps == 24
    assert "rate" not in video.facts


def test_a_long_pause_between_frames_is_refused(tmp_path: Path) -> None:
    path = write(coloured_frames(6), tmp_path / "a.mkv", times=[0, 1, 2, 3, 4, 5000])
    with pytest.raises(InputError, match="spread over"):
        read_video(path)


def write_vpx(path: Path, codec: str, *, tags: dict[str, str]) -> Path:
    """Two frames with a track of transparency beside their pictures."""
    frames = coloured_frames(2)
    options = {"auto-alt-ref": "0"}
    return write(frames, path, codec=codec, pixel_format="yuva420p", options=options, tags=tags)


REFUSED = {
    "no video": ("a.mp4", lambda path: path.write_text("hello"), "no video that can be read"),
    "empty": ("a.mp4", lambda path: path.write_bytes(b""), "no video that can be read"),
    "sound": ("a.mp4", write_sound, "only sound"),
    "HDR": ("a.mkv", lambda path: write(coloured_frames(), path, transfer=16), r"HDR \(PQ\)"),
    "HLG": ("a.mkv", lambda path: write(coloured_frames(), path, transfer=18), r"HDR \(HLG\)"),
    "wide pixels": (
        "a.mp4",
        lambda path: write(coloured_frames(), path, pixel_aspect=Fraction(4, 3)),
        "not square",
    ),
    "transparent": (
        "a.mkv",
        lambda path: write(
            coloured_frames(), path, codec="ffv1", pixel_format="yuva420p", options={}
        ),
        "transparent",
    ),
    "transparent VP8": (
        "a.webm",
        lambda path: write_vpx(path, "libvpx", tags={"alpha_mode": "1"}),
        "can be transparent",
    ),
    "transparent VP9 with no word of it": (
        "a.mkv",
        lambda path: write_vpx(path, "libvpx-vp9", tags={}),
        "can be transparent",
    ),
    "panorama": (
        "a.mp4",
        lambda path: mark_spherical(write(coloured_frames(), path), b"equi"),
        r"a panorama \(equirectangular\)",
    ),
    "panorama on a cube": (
        "a.mp4",
        lambda path: mark_spherical(write(coloured_frames(), path), b"cbmp"),
        r"a panorama \(cube map\)",
    ),
    "panorama by a tag": (
        "a.mkv",
        lambda path: write(coloured_frames(), path, tags={"SPHERICAL-VIDEO": "<rdf/>"}),
        "a panorama",
    ),
    "two eyes in the container": (
        "a.mkv",
        lambda path: write(coloured_frames(), path, tags={"stereo_mode": "left_right"}),
        r"two eyes \(side by side\)",
    ),
    "two eyes in the stream": (
        "a.mp4",
        lambda path: write(coloured_frames(), path, options={"x264-params": "frame-packing=4"}),
        r"two eyes \(one above the other\)",
    ),
    "unknown matrix": (
        "a.mkv",
        lambda path: write_flat((150, 105, 160), path, "yuv444p", matrix=8, is_full=False),
        "matrix 8",
    ),
    "interlaced": (
        "a.mkv",
        lambda path: write(
            coloured_frames(), path, pixel_format="yuv420p", options={"x264-params": "tff=1"}
        ),
        "interlaced",
    ),
}


def test_a_stereo_mark_of_one_picture_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = write(coloured_frames(), tmp_path / "a.mp4", options={"x264-params": "frame-packing=6"})
    assert difference(read_video(path).frames, coloured_frames()) < 3


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_rightly_is_refused(tmp_path: Path, kind: str) -> None:
    name, make, reason = REFUSED[kind]
    make(tmp_path / name)
    with pytest.raises(InputError, match=reason) as caught:
        read_video(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)
    assert caught.value.fix


def test_a_missing_file_is_told_as_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_video(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file_is_refused_with_the_frame_that_was_reached(
    tmp_path: Path, share: float
) -> None:
    noise = torch.randint(0, 255, (24, 3, 64, 64), dtype=torch.uint8)
    path = write(noise, tmp_path / "a.mp4", options={"movflags": "faststart", "g": "4"})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError):
        read_video(path)


def test_a_cut_matroska_is_refused_though_it_counts_no_frames(tmp_path: Path) -> None:
    noise = torch.randint(0, 255, (48, 3, 64, 64), dtype=torch.uint8)
    path = write(noise, tmp_path / "a.mkv", options={"g": "4"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="by its own word, and ends after frame 2"):
        read_video(path)


def test_frames_before_a_damaged_part_can_be_read(tmp_path: Path) -> None:
    noise = torch.randint(0, 255, (24, 3, 64, 64), dtype=torch.uint8)
    path = write(noise, tmp_path / "a.mkv", options={"g": "4", "bf": "0"})
    content = bytearray(path.read_bytes())
    middle = int(0.7 * len(content))
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError):
        read_video(path)
    assert len(read_video(path, max_frames=8).frames) == 8


def cut_at_second_keyframe(path: Path, target: Path) -> None:
    """Copy the stored packets from the second keyframe on, as `ffmpeg -ss ... -c copy` does."""
    with av.open(str(path)) as source, av.open(str(target), "w") as output:
        stream = source.streams.video[0]
        copied = output.add_stream_from_template(stream)
        keyframes = 0
        for packet in source.demux(stream):
            keyframes += packet.size > 0 and packet.is_keyframe
            if packet.size and keyframes > 1:
                packet.stream = copied
                output.mux(packet)


@pytest.mark.parametrize(
    ("codec", "options", "first"),
    [
        ("mpeg2video", {"g": "9", "bf": "2", "qmin": "1", "qmax": "1", "flags": "-cgop"}, 9),
        ("libx264", {"x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:b-adapt=0"}, 8),
    ],
)
def test_a_film_cut_out_of_an_open_group_gives_the_frames_that_can_be_shown(
    tmp_path: Path, codec: str, options: dict[str, str], first: int, caplog: Any
) -> None:
    path = write(
        varied_frames(), tmp_path / "a.mkv", codec=codec, options=options, pixel_format="yuv420p"
    )
    whole = read_video(path).frames
    # Headers of H.264 lie beside its packets in Matroska, and would not come along elsewhere.
    cut = tmp_path / ("cut.mkv" if codec == "libx264" else "cut.ts")
    cut_at_second_keyframe(path, cut)
    video = read_video(cut)
    number = len(video.frames)
    assert first <= 24 - number < 24
    assert torch.equal(video.frames, whole[24 - number :])
    assert "first pictures" in video.facts["left_out"] and "left out" in caplog.text


def varied_frames() -> torch.Tensor:
    """Frames that differ much, without a cut."""
    return (coloured_frames(1).int() + 4 * torch.arange(24).reshape(-1, 1, 1, 1)).byte()


def test_time_stamps_that_pass_their_end_are_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write(coloured_frames(), path, options={"bf": "0"})
    wrapped = tmp_path / "a.ts"
    half_way = 2**33 - 6 * 90_000 // 24
    with av.open(str(path)) as source, av.open(str(wrapped), "w") as output:
        copied = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                ticks = round(packet.pts * packet.time_base * 90_000) + half_way
                packet.time_base, packet.pts, packet.dts = Fraction(1, 90_000), ticks, ticks
                packet.stream = copied
                output.mux(packet)
    assert len(read_video(wrapped).frames) == 12


def test_more_frames_than_memory_are_refused_with_a_number_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(coloured_frames(), tmp_path / "a.mp4")
    monkeypatch.setattr(reading, "MAX_BYTES", 3 * 48 * 64 * 5)
    with pytest.raises(InputError, match="of memory") as caught:
        read_video(path)
    assert "`max_frames` to 5" in str(caught.value.fix)
    assert len(read_video(path, max_frames=5).frames) == 5
