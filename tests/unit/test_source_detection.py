"""A path on the command line becomes the params of the source that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lyra_data.engine.errors import InputError
from lyra_data.media.images import write_png
from lyra_data.sources import SOURCES
from lyra_data.sources.detection import source_params_of, source_params_of_all
from tests.video_samples import coloured_frames


def make(path: Path, *files: str) -> Path:
    """A folder of these files and (names that end in /) folders."""
    path.mkdir()
    for name in files:
        if name.endswith("/"):
            (path / name).mkdir(parents=True)
        elif name.endswith(".png"):
            write_png(coloured_frames(1)[0], path / name)
        else:
            (path / name).write_text("")
    return path


CONTENTS = {
    "vipe": ("rgb/", "pose/", "intrinsics/", "depth/"),
    "nerfstudio": ("images/", "transforms.json"),
    "colmap": ("sparse/0/", "images/"),
    "files": ("image.png", "depth.npy"),
    "video": ("a1.png", "a2.png"),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_folder_is_told_by_what_is_in_it(tmp_path: Path, kind: str) -> None:
    (params,) = source_params_of(make(tmp_path / "my scene", *CONTENTS[kind]))
    assert params["name"] == kind
    assert params["scene_id"] == "my_scene"
    assert SOURCES.create(params, where="test").scene_id == "my_scene"  # complete and valid


def test_a_video_file_is_told_by_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "Dog 1.MP4").write_bytes(b"")
    (params,) = source_params_of(tmp_path / "Dog 1.MP4")
    assert (params["name"], params["scene_id"], params["fps"]) == ("video", "Dog_1", None)


def test_scene_ids_differ_where_names_do_not(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "dog.mp4").write_bytes(b"")
    paths = [tmp_path / "a" / "dog.mp4", tmp_path / "b" / "dog.mp4"]
    assert [params["scene_id"] for params in source_params_of_all(paths)] == ["dog", "dog_2"]
    with pytest.raises(InputError, match="given twice"):
        source_params_of_all([paths[0], paths[0]])


def test_a_rate_that_is_assumed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert source_params_of(make(tmp_path / "frames", "1.png", "2.png"))[0]["fps"] == 24.0
    assert "taken to have 24 frames per second" in caplog.text


@pytest.mark.parametrize("name", ["...", "собака"])
def test_a_name_without_usual_letters_gives_a_valid_scene_id(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.mp4").write_bytes(b"")
    (params,) = source_params_of(tmp_path / f"{name}.mp4")
    assert SOURCES.create(params, where="test").scene_id == "scene"


def test_a_bare_picture_is_a_scene_by_its_own_name(tmp_path: Path) -> None:
    lone = make(tmp_path / "lone", "My photo.png")
    expected = {"name": "picture", "path": str(lone / "My photo.png"), "scene_id": "My_photo"}
    assert source_params_of(lone / "My photo.png") == [expected]
    assert source_params_of(lone) == [expected]  # a folder of one picture is no film
    assert SOURCES.create(expected, where="test").scene_id == "My_photo"


def picture(path: Path, height: int = 32, width: int = 48) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_png(coloured_frames(1, height=height, width=width)[0], path)
    return path


def names_of(path: Path) -> list[tuple[str, str]]:
    return [(params["name"], params["scene_id"]) for params in source_params_of(path)]


def test_pictures_of_several_sizes_are_scenes_of_their_own(tmp_path: Path) -> None:
    picture(tmp_path / "album" / "beach.png")
    picture(tmp_path / "album" / "dog.png", height=64)
    assert names_of(tmp_path / "album") == [("picture", "beach"), ("picture", "dog")]


def test_an_odd_frame_among_numbered_ones_makes_no_album(tmp_path: Path) -> None:
    """It is a fault in a film, and is told where the frames are read."""
    picture(tmp_path / "film" / "frame_1.png")
    picture(tmp_path / "film" / "frame_10.png", height=64)
    assert names_of(tmp_path / "film") == [("video", "film")]


def test_a_picture_and_its_turned_size_are_one_film(tmp_path: Path) -> None:
    picture(tmp_path / "film" / "a.png")
    picture(tmp_path / "film" / "b.png", height=48, width=32)
    assert names_of(tmp_path / "film") == [("video", "film")]


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_a_depth_map_beside_a_picture_makes_an_album_and_is_no_picture(
    tmp_path: Path, suffix: str
) -> None:
    for name in ("a1.png", "a2.png"):
        picture(tmp_path / "album" / name)
    (tmp_path / "album" / f"a1.depth.{suffix}").write_bytes(b"")
    assert names_of(tmp_path / "album") == [("picture", "a1"), ("picture", "a2")]


def test_a_depth_map_among_the_inputs_is_read_with_its_picture(tmp_path: Path) -> None:
    photo = picture(tmp_path / "photo.png")
    depth = picture(tmp_path / "photo.depth.png")
    assert [params["path"] for params in source_params_of_all([depth, photo])] == [str(photo)]
    with pytest.raises(InputError, match=r"the depth map of photo\.png"):
        source_params_of_all([depth])


@pytest.mark.parametrize("name", ["notes.txt", "empty", "missing.mp4", "photo.webp"])
def test_what_no_source_reads_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif not name.startswith("missing"):
        path.write_text("")
    with pytest.raises(InputError) as caught:
        source_params_of(path)
    assert caught.value.where == str(path) and caught.value.fix
