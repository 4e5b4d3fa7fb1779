"""Parts of a video or a clip are the frames that reading all of it gives, read without the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lyra_data.annotation.finished_scenes import content_of
from lyra_data.clips.store import read_clip, write_clip
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.media.images import write_png
from lyra_data.media.video import each_frame, read_video, reading, write_video
from lyra_data.sources import SOURCES
from lyra_data.sources.base import Source
from lyra_data.sources.parts import Extent, Part, Span
from tests.factories import make_clip, make_frames
from tests.samples import sample
from tests.unit.test_shots import panned
from tests.video_samples import coloured_frames, write


def source(path: Path, **changes: Any) -> Source:
    values = {"name": "video", "path": str(path), "scene_id": "mine", "first": 0, "stride": 1}
    return SOURCES.create(values | {"max_frames": None, "fps": None, **changes}, where="test")


def part(first: int, num_frames: int) -> Part:
    return Part("mine_window001", Span(first, num_frames), "0" * 64, (("window", "2 of 9"),))


@pytest.mark.parametrize("group", [1, 7, 250])
@pytest.mark.parametrize("between", [0, 3])
def test_a_part_of_a_file_is_what_the_whole_holds_there(
    tmp_path: Path, group: int, between: int
) -> None:
    options = {"g": str(group), "bf": str(between), "x264-params": "open-gop=1"}
    path = write(make_frames(40, 32, 48), tmp_path / "film.mkv", options=options)
    whole = read_video(path)
    for first, stride, count in ((0, 1, 5), (1, 1, 9), (7, 1, 1), (20, 3, 6), (33, 1, 7)):
        taken = read_video(path, first=first, stride=stride, max_frames=count, seeks=True)
        assert torch.equal(taken.frames, whole.frames[first : first + stride * count : stride])


def test_a_part_is_decoded_from_the_keyframe_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(make_frames(60, 32, 48), tmp_path / "film.mp4", options={"g": "10"})
    entered: list[int] = []
    near = reading.decoded_near

    def watch(*arguments: Any) -> Any:
        found = near(*arguments)
        assert found is not None
        entered.append(found[0])
        return found

    monkeypatch.setattr(reading, "decoded_near", watch)
    frames = read_video(path, first=37, max_frames=4, seeks=True).frames
    assert entered == [30]
    monkeypatch.undo()
    assert torch.equal(frames, read_video(path, first=37, max_frames=4).frames)


def test_a_real_video_is_the_same_in_parts() -> None:
    path = sample("dog.mp4")
    whole = read_video(path).frames
    for first in (50, 97):
        taken = read_video(path, first=first, max_frames=5, seeks=True).frames
        assert torch.equal(taken, whole[first : first + 5])


def test_frames_come_one_at_a_time_as_they_are_read(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", coloured_frames())
    assert torch.equal(torch.stack(list(each_frame(path))), coloured_frames())
    chosen = torch.stack(list(each_frame(path, first=1, stride=4, max_frames=2)))
    assert torch.equal(chosen, coloured_frames()[[1, 5]])


def test_the_extent_of_a_film_has_its_shots(tmp_path: Path) -> None:
    film = torch.cat([panned("astronaut")[:9], panned("coffee")[:6]])[:, :, ::2, ::2]
    path = write_film(tmp_path / "two.mp4", film)
    extent = source(path).extent(Path(), may_cut=True)
    assert extent.shots == (Span(0, 9), Span(9, 6))
    with pytest.raises(InputError, match="another shot at frame 9") as caught:
        source(path).extent(Path(), may_cut=False)
    assert "annotate.parts.shots to split" in str(caught.value.fix)
    later = source(path, first=3, stride=2).extent(Path(), may_cut=True)
    assert later.shots == (Span(0, 3), Span(3, 3))


def test_a_part_of_a_strided_film_is_counted_in_the_frames_that_are_taken(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", coloured_frames())
    strided = source(path, first=1, stride=2)
    material = strided.read_part(Path(), part(2, 3))
    assert torch.equal(material.frames, coloured_frames()[[5, 7, 9]])
    assert material.scene_id == "mine_window001" and material.provenance["window"] == "2 of 9"
    assert material.provenance["taken"] == "from frame 5, every 2, to 3 frames"


def test_a_folder_has_parts_as_a_file_has(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(coloured_frames()):
        write_png(frame, folder / f"frame{index}.png")
    frames = source(folder, fps=24.0)
    assert frames.extent(Path(), may_cut=False).shots == (Span(0, 12),)
    assert torch.equal(frames.read_part(Path(), part(4, 5)).frames, coloured_frames()[4:9])


def test_a_film_of_one_part_is_the_same_material_as_ever(tmp_path: Path) -> None:
    film = source(write_film(tmp_path / "film.mp4", coloured_frames()))
    extent = film.extent(Path(), may_cut=True)
    whole = film.read_part(Path(), Part("mine", extent.shots[0], extent.sha256))
    assert content_of(whole) == content_of(film.read(Path()))


def test_one_frame_has_no_extent(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", coloured_frames())
    with pytest.raises(InputError, match="only 1 frame"):
        source(path, first=11).extent(Path(), may_cut=True)


def test_a_part_of_a_clip_is_what_the_whole_holds_there(tmp_path: Path) -> None:
    write_clip(make_clip("walk", 9), tmp_path / "walk")
    clip = source_of_clip(tmp_path / "walk")
    extent = clip.extent(Path(), may_cut=False)
    assert extent == Extent((Span(0, 9),), extent.sha256)
    material, whole = clip.read_part(Path(), part(3, 4)), read_clip(tmp_path / "walk")
    chosen = whole.taking([3, 4, 5, 6])
    assert material.cameras is not None and material.depth is not None
    assert torch.equal(material.frames, chosen.frames)
    assert torch.equal(material.depth, chosen.depth)
    assert torch.equal(material.cameras.camera_to_world, chosen.cameras.camera_to_world)


def test_a_part_of_a_clip_reads_no_other_frame_and_checks_its_own(tmp_path: Path) -> None:
    write_clip(make_clip("walk", 9), tmp_path / "walk")
    clip = source_of_clip(tmp_path / "walk")
    (tmp_path / "walk" / "frames" / "00001.png").write_bytes(b"damaged")
    assert len(clip.read_part(Path(), part(3, 4)).frames) == 4
    with pytest.raises(CorruptDataError, match="cut or was altered"):
        clip.read_part(Path(), part(0, 4))
    (tmp_path / "walk" / "depth.npy").write_bytes(b"damaged")
    with pytest.raises(CorruptDataError, match="cut or was altered"):
        clip.read_part(Path(), part(3, 4))


def source_of_clip(folder: Path) -> Source:
    return SOURCES.create({"name": "clip", "folder": str(folder), "scene_id": "mine"}, where="test")


def write_film(path: Path, frames: torch.Tensor) -> Path:
    write_video(frames, path, fps=24.0, lossless=True)
    return path
