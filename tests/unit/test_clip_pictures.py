"""Pictures of clips: what is shown where, what is marked unknown, and what may be replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from lyra_data.clips.pictures import (
    contact_sheet,
    facts_of,
    is_sheet,
    path_video,
    write_path_video,
    write_sheet,
)
from lyra_data.clips.pictures.camera_path import (
    CURRENT,
    FIRST,
    LAST,
    SIDES,
    CameraPath,
    _round_length,
    draw_path,
)
from lyra_data.clips.pictures.canvas import fitted, text_width
from lyra_data.clips.pictures.panels import MOVING, panels_of
from lyra_data.clips.pictures.sheet import sheet_frames
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from tests.ray_cast import HEIGHT, STILL, WIDTH, clip_of, moving_cameras, still_camera
from tests.ray_cast import MOVING as MOVING_SCENE

VIDEO = clip_of(MOVING_SCENE, moving_cameras(5), "video")
IMAGE = clip_of(STILL, still_camera(), "image")
CONFIDENT = replace(VIDEO, depth_confidence=torch.where(VIDEO.depth_valid, 0.75, 0.0))


def has_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == np.array(colour)).all(axis=-1).any())


@pytest.mark.parametrize("clip", [IMAGE, VIDEO, CONFIDENT], ids=["image", "video", "confident"])
def test_a_page_is_written_the_same_way_twice_and_known_as_ours(clip: Clip, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_sheet(clip, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert is_sheet(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as page:
        assert page.mode == "RGB" and page.width == 1200


def test_no_other_file_is_taken_for_a_page_of_ours(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    (tmp_path / "words.png").write_text("no picture")
    write_sheet(IMAGE, tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-300])
    names = ("photo.png", "words.png", "cut.png", "missing.png")
    assert [is_sheet(tmp_path / name) for name in names] == [False] * 4


def test_a_page_shows_the_first_and_the_last_frame_and_no_frame_twice() -> None:
    assert sheet_frames(1) == [0]
    assert sheet_frames(3) == [0, 1, 2]
    assert sheet_frames(121) == [0, 30, 60, 90, 120]


def test_pages_of_clips_that_are_upright_wide_or_tiny_have_room_for_all() -> None:
    for height, width in ((160, 32), (32, 320), (16, 16)):
        part = VIDEO.frames[:1, :, :1, :1].expand(2, 3, height, width).contiguous()
        depth = torch.full((2, height, width), 2.0)
        cameras = Cameras(
            VIDEO.cameras.camera_to_world[:2],
            torch.tensor([[50.0, 50.0, width / 2, height / 2]]).repeat(2, 1),
            height,
            width,
        )
        clip = Clip("shape", part, cameras, depth, depth > 0, "up_to_scale", 24.0)
        for shown in (clip, clip.taking([0])):
            page = contact_sheet(shown)
            assert page.shape[1] == 1200 and page.shape[0] < 2000
            assert min(path_video(shown).shape[-2:]) > 0


def test_panels_are_those_the_clip_has_values_for_and_name_the_unit() -> None:
    assert [panel.title for panel in panels_of(IMAGE)] == ["frames", "depth (m)"]
    titles = [panel.title for panel in panels_of(replace(CONFIDENT, depth_scale="up_to_scale"))]
    assert titles == ["frames", "depth (units)", "confidence of depth (0 to 1)", "moving things"]


def test_what_moves_is_tinted_and_what_does_not_is_grey() -> None:
    panel = panels_of(VIDEO)[-1]
    picture = panel.draw(2, HEIGHT, WIDTH)
    mask = VIDEO.dynamic_mask[2].numpy()
    assert (np.ptp(picture[~mask], axis=-1) == 0).all()
    assert (np.ptp(picture[mask], axis=-1) > 0.5 * np.ptp(MOVING)).all()


@pytest.mark.parametrize("side", SIDES, ids=["above", "side"])
def test_the_first_last_and_current_camera_have_their_colours(side) -> None:
    path = CameraPath.of(VIDEO)
    plain, marked = (draw_path(path, side, 300, 400, current=now) for now in (None, 2))
    for picture in (plain, marked):
        assert has_colour(picture, FIRST) and has_colour(picture, LAST)
    assert has_colour(marked, CURRENT) and not has_colour(plain, CURRENT)


def test_a_camera_to_the_right_and_up_is_drawn_to_the_right_and_up() -> None:
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[1, :3, 3] = torch.tensor([1.0, -2.0, 3.0])  # right, up, forward
    cameras = Cameras(poses, still_camera().intrinsics.repeat(2, 1), HEIGHT, WIDTH)
    path = CameraPath.of(clip_of(STILL, replace(cameras, camera_to_world=poses * 0.1), "two"))
    for side in SIDES:
        picture = draw_path(path, side, 300, 400)[40:260]  # without the words
        places = {
            colour: np.argwhere((picture == np.array(colour)).all(axis=-1)).mean(axis=0)
            for colour in (FIRST, LAST)
        }
        (row, column), (last_row, last_column) = places[FIRST], places[LAST]
        assert last_column > column and last_row < row


def test_a_camera_that_stands_still_is_drawn_at_the_size_of_the_scene() -> None:
    path = CameraPath.of(VIDEO.taking([0, 0, 0]))
    assert np.ptp(path.pyramids[:, 0], axis=0).max() == 0
    assert has_colour(draw_path(path, SIDES[0], 300, 400, current=1), CURRENT)


@pytest.mark.parametrize(("longest", "length"), [(1.0, 1), (4.9, 2), (0.06, 0.05), (730.0, 500)])
def test_scale_bars_have_round_lengths(longest: float, length: float) -> None:
    assert _round_length(longest) == pytest.approx(length)


def test_a_long_text_is_cut_to_its_room_and_a_short_one_is_not() -> None:
    assert fitted("short", 200) == "short"
    cut = fitted("a very long prompt " * 20, 200)
    assert cut.endswith("...") and text_width(cut) <= 200


def test_a_video_has_every_frame_at_the_clip_s_rate_and_the_same_bytes_again(
    tmp_path: Path,
) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_path_video(CONFIDENT, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate) == pytest.approx(24.0)
    drawn = path_video(CONFIDENT)
    assert len(frames) == len(drawn) == 5
    assert np.abs(frames[3].astype(int) - drawn[3].permute(1, 2, 0).numpy()).mean() < 6


def test_facts_are_those_of_the_clip() -> None:
    facts = facts_of(CONFIDENT)
    assert (facts.num_frames, facts.height, facts.width) == (5, HEIGHT, WIDTH)
    assert facts.path_length == pytest.approx(4 * float(np.linalg.norm([0.03, 0.015, 0.02])))
    assert facts.turn_degrees == pytest.approx(np.degrees(4 * 0.012), rel=1e-3)
    assert facts.step_degrees == pytest.approx(np.degrees(0.012), rel=1e-3)
    assert facts.focal_shortest == 110.0 and facts.focal_longest == pytest.approx(118.8)
    assert facts.confidence == pytest.approx(0.75) and facts.unit == "m"
    assert facts.depth_known == pytest.approx(1 - 24 / (HEIGHT * WIDTH))
    assert facts.source["kind"] == "ray cast"


def test_facts_of_an_image_have_no_path() -> None:
    facts = facts_of(IMAGE)
    assert (facts.path_length, facts.turn_degrees, facts.step_degrees) == (0.0, 0.0, 0.0)
    assert facts.confidence is None and facts.moving is None
