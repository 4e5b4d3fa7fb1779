"""A source of kind `video` gives the frames of a file or a folder, of one shot, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from lyra_data.engine.errors import InputError
from lyra_data.media.images import write_png
from lyra_data.media.video import write_video
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources import SOURCES
from tests.samples import sample
from tests.unit.test_shots import panned
from tests.video_samples import coloured_frames


def read(path: Path, **changes: Any) -> SourceMaterial:
    values = {"name": "video", "path": str(path), "scene_id": "mine", "first": 0, "stride": 1}
    values |= {"max_frames": None, "fps": None, **changes}
    return SOURCES.create(values, where="test").read(Path())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    write_video(coloured_frames(), tmp_path / "film.mp4", fps=24.0, lossless=True)
    return tmp_path / "film.mp4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Frames frame0.png ... frame11.png: in the order of names frame10 comes before frame2."""
    (tmp_path / "frames").mkdir()
    for index, frame in enumerate(coloured_frames()):
        write_png(frame, tmp_path / "frames" / f"frame{index}.png")
    return tmp_path / "frames"


def test_a_file_gives_its_frames_and_nothing_made_up(film: Path) -> None:
    material = read(film)
    assert torch.equal(material.frames, coloured_frames())
    assert material.fps == pytest.approx(24)
    assert (material.cameras, material.depth, material.depth_scale) == (None, None, None)
    assert material.provenance["video"] == "film.mp4"
    assert len(material.provenance["video_sha256"]) == 64


def test_a_folder_gives_its_frames_in_the_order_of_their_numbers(folder: Path) -> None:
    material = read(folder, fps=12.0)
    assert torch.equal(material.frames, coloured_frames())
    assert material.fps == 12.0
    strided = read(folder, fps=12.0, first=1, stride=3, max_frames=2)
    assert torch.equal(strided.frames, coloured_frames()[[1, 4]])
    assert strided.fps == 4.0


def test_what_a_folder_holds_shapes_its_hash(folder: Path) -> None:
    before = read(folder, fps=12.0).provenance["video_sha256"]
    (folder / "frame11.png").rename(folder / "frame12.png")
    assert read(folder, fps=12.0).provenance["video_sha256"] != before


def test_turned_frames_of_a_folder_are_read_upright(folder: Path) -> None:
    for path in folder.iterdir():
        exif = Image.Exif()
        exif[0x0112] = 3  # stored upside down
        with Image.open(path) as image:
            image.rotate(180).save(path, exif=exif)
    assert torch.equal(read(folder, fps=12.0).frames, coloured_frames())


@pytest.mark.parametrize("suffix", ["webp", "tif", "bmp", "jfif"])
def test_frames_of_a_kind_that_is_not_read_are_not_left_out(folder: Path, suffix: str) -> None:
    for number in (3, 6):
        (folder / f"frame{number}.png").rename(folder / f"frame{number}.{suffix}")
    with pytest.raises(InputError, match=f"2 of 12 pictures .* first frame3.{suffix}") as caught:
        read(folder, fps=12.0)
    assert caught.value.where == str(folder)


def test_a_frame_under_two_suffixes_is_not_shown_twice(folder: Path) -> None:
    write_png(coloured_frames()[3], folder / "frame3.PNG")
    with pytest.raises(InputError, match="twice"):
        read(folder, fps=12.0)


def test_a_copy_of_another_kind_beside_its_frame_is_passed_over(folder: Path) -> None:
    (folder / "frame3.webp").write_bytes((folder / "frame3.png").read_bytes())
    assert torch.equal(read(folder, fps=12.0).frames, coloured_frames())


def test_frames_of_sixteen_bit_colours_are_refused(folder: Path) -> None:
    cv2.imwrite(str(folder / "frame3.png"), np.full((48, 64, 3), 4095, np.uint16))
    with pytest.raises(InputError, match="16 bits a channel") as caught:
        read(folder, fps=12.0)
    assert caught.value.where == str(folder / "frame3.png")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fps": 24.0}, "says its own"),
        ({"first": 11}, "only 1 frame"),
        ({"first": 12}, "none at index 12"),
    ],
)
def test_a_file_that_cannot_be_taken_so_is_refused(
    film: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read(film, **changes)
    assert caught.value.where == str(film) and caught.value.fix


def test_one_frame_is_refused_with_what_works(film: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(film, first=11)
    assert "annotate.depth" in str(caught.value.fix)


def test_a_folder_that_cannot_be_a_video_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="how many there are in a second"):
        read(folder)
    with pytest.raises(InputError, match="has 0 frames"):
        (tmp_path / "empty").mkdir()
        read(tmp_path / "empty", fps=24.0)
    Image.new("RGB", (10, 10)).save(folder / "frame5.png")
    with pytest.raises(InputError, match="10x10") as caught:
        read(folder, fps=24.0)
    assert caught.value.where == str(folder / "frame5.png")


def test_a_missing_path_names_the_scene(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as caught:
        read(tmp_path / "nothing.mp4")
    assert "'mine'" in str(caught.value.fix)


def test_two_shots_are_refused_with_a_source_for_each(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    film = torch.cat([panned("astronaut"), panned("coffee")])[:, :, ::2, ::2]
    write_video(film, path, fps=24.0, lossless=True)
    with pytest.raises(InputError, match="another shot at frame 30") as caught:
        read(path)
    assert "{first: 0, max_frames: 30}; {first: 30, max_frames: 30}" in str(caught.value.fix)
    assert len(read(path, first=30, max_frames=30).frames) == 30
    with pytest.raises(InputError, match="another shot at frame 30") as caught:
        read(path, first=2, stride=2)
    assert "{first: 2, max_frames: 14}; {first: 30, max_frames: 15}" in str(caught.value.fix)


def test_a_film_of_many_shots_is_refused_in_few_words(tmp_path: Path) -> None:
    film = torch.cat(
        [panned(name)[:5, :, ::2, ::2] for name in ("astronaut", "coffee", "chelsea")] * 6
    )
    write_video(film, tmp_path / "many.mp4", fps=24.0, lossless=True)
    with pytest.raises(InputError, match=r"frame 5, 10, 15,.* and 5 more") as caught:
        read(tmp_path / "many.mp4")
    assert str(caught.value.fix).endswith("and 6 more")


def test_a_relative_path_outside_of_inputs_is_told(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"name": "video", "path": film.name, "scene_id": "mine", "first": 0, "stride": 1}
    SOURCES.create({**values, "max_frames": None, "fps": None}, where="test").read(film.parent)
    assert "only inputs/ is watched" in caplog.text


def test_a_real_video_is_read_whole() -> None:
    material = read(sample("dog.mp4"))
    assert material.frames.shape == (122, 3, 720, 1280)
    assert material.fps == pytest.approx(29.97, abs=0.01)
