"""A film of several shots becomes several scenes, and a long shot windows that share one world."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lyra_data.annotation.annotate import AnnotateParams, Annotation, annotate_sources
from lyra_data.annotation.annotators.colmap import ColmapAnnotator
from lyra_data.annotation.annotators.framed import framed_clip
from lyra_data.clips.store import read_clip, scene_folders, write_clip
from lyra_data.engine.errors import InputError, ParamsError, ScenesFailedError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.progress import silent
from lyra_data.media.video import write_video
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import SourceMaterial
from lyra_data.scene.similarity import Similarity
from stages.params import load_yaml
from stages.presets import preset_file
from tests.factories import make_clip
from tests.unit.test_shots import panned

HEIGHT, WIDTH = 32, 48
FILM = make_clip("film", 40, HEIGHT, WIDTH)
"""The true cameras and depth of every frame of a film."""

WINDOWS = {"frames": 16, "overlap": 4}
NAMES = [f"film_window00{number}" for number in range(3)]
STARTS = (0, 12, 24)


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Scenes that were solved: each with its first camera as its world, in a unit of its own."""
    names: list[str] = []

    def annotate(self: ColmapAnnotator, material: SourceMaterial) -> Clip:
        names.append(material.scene_id)
        # The film's is as long as its frames are wide; a first window has to find that.
        is_later = re.search(r"window00[1-9]$", material.scene_id) and NAMES[0] in names
        assert material.focal_length == (1.0 if is_later else None)
        first, count = first_frame(material.provenance), len(material.frames)
        true = FILM.taking(list(range(first, first + count)))
        whole = SourceMaterial(
            scene_id=material.scene_id,
            frames=material.frames,
            fps=material.fps,
            cameras=true.cameras,
            depth=true.depth,
            depth_valid=true.depth_valid,
            depth_scale="up_to_scale",
            provenance=material.provenance,
        )
        pose = true.cameras.camera_to_world[0].double()
        scale, turn = 1 + 0.1 * first, pose[:3, :3].T.contiguous()
        own = Similarity(scale, turn, -scale * turn @ pose[:3, 3])
        return framed_clip(whole, self.params, self.fingerprint).moved_by(own)

    monkeypatch.setattr(ColmapAnnotator, "annotate", annotate)
    return names


def first_frame(provenance: dict[str, str]) -> int:
    taken = re.match(r"from frame (\d+),", provenance["taken"])
    assert taken
    return int(taken[1])


def annotate(
    root: Path,
    source: dict[str, Any],
    *,
    shots: str = "split",
    windows: dict[str, int] | None = None,
    annotator: str = "colmap",
    failing: float = 0.0,
    workers: int | None = None,
) -> Annotation:
    values = load_yaml(preset_file("video" if annotator == "colmap" else "demo"))["annotate"]
    values["sources"] = [source]
    values["annotator"] |= {"height": HEIGHT, "width": WIDTH}
    values["parts"] = {"shots": shots, "least_shot_frames": 4, "windows": windows}
    values["max_failed_fraction"] = failing
    return annotate_sources(
        AnnotateParams.parse(values, where="annotate"),
        root=root,
        clips=root / "clips",
        held_out=root / "held_out",
        scratch=root / ".work",
        progress=silent,
        crew=Crew(device="cpu", workers=workers, root=root),
    )


def film(path: Path, frames: torch.Tensor = FILM.frames) -> dict[str, Any]:
    write_video(frames, path, fps=24.0, lossless=True)
    return {
        "name": "video",
        "path": str(path),
        "scene_id": "film",
        "first": 0,
        "stride": 1,
        "max_frames": None,
        "fps": None,
    }


def clips_of(root: Path) -> dict[str, Clip]:
    return {folder.name: read_clip(folder) for folder in scene_folders(root / "clips")}


def two_shots() -> torch.Tensor:
    """30 frames of one picture, 3 of another, 7 of the first, turned over."""
    one, other = (
        torch.nn.functional.interpolate(panned(name).float(), (HEIGHT, WIDTH), mode="area").byte()
        for name in ("astronaut", "coffee")
    )
    return torch.cat([one[:30], other[:3], one[:7].flip(2)])


def test_a_film_of_several_shots_becomes_several_scenes(tmp_path: Path, solved: list[str]) -> None:
    annotation = annotate(tmp_path, film(tmp_path / "film.mp4", two_shots()))
    assert [scene.scene_id for scene in annotation.scenes] == ["film_shot00", "film_shot02"]
    clips = clips_of(tmp_path)
    assert [len(clip) for clip in clips.values()] == [30, 7]  # one of three frames is left out
    source = clips["film_shot02"].source or {}
    assert source["shot"] == "3 of 3: frames 33..39"
    assert len({(clip.source or {})["video_sha256"] for clip in clips.values()}) == 1


def test_shots_are_refused_where_that_is_asked(tmp_path: Path, solved: list[str]) -> None:
    source = film(tmp_path / "film.mp4", two_shots())
    for windows in (None, WINDOWS):
        with pytest.raises(ScenesFailedError, match="cuts to another shot at frame 30, 33"):
            annotate(tmp_path, source, shots="refuse", windows=windows)
    assert solved == []


def test_shots_that_are_all_too_short_are_a_failure(tmp_path: Path, solved: list[str]) -> None:
    source = film(tmp_path / "film.mp4", two_shots()[28:36]) | {"max_frames": 6}
    with pytest.raises(ScenesFailedError, match="none of its 3 shots has 4 frames"):
        annotate(tmp_path, source)


def test_windows_share_the_world_of_the_first(tmp_path: Path, solved: list[str]) -> None:
    annotate(tmp_path, film(tmp_path / "film.mp4"), windows=WINDOWS)
    clips = clips_of(tmp_path)
    assert list(clips) == solved == NAMES
    for (name, clip), first in zip(clips.items(), STARTS, strict=True):
        true = FILM.taking(list(range(first, first + 16)))
        assert torch.equal(clip.frames, true.frames)
        # The film's first camera is the world and has the unit of the first window: what was
        # solved apart is the truth again, but for rounding over two similarities.
        torch.testing.assert_close(
            clip.cameras.camera_to_world, true.cameras.camera_to_world, atol=2e-5, rtol=0
        )
        torch.testing.assert_close(clip.depth, true.depth, atol=2e-5, rtol=2e-5)
        is_first = name == NAMES[0]
        world = (clip.source or {}).get("world")
        assert world == (None if is_first else f"that of scene {NAMES[0]}")


def test_a_video_of_one_part_is_as_it_was_without_parts(tmp_path: Path, solved: list[str]) -> None:
    source = film(tmp_path / "film.mp4")
    annotate(tmp_path, source, shots="refuse")
    before = sha256_of_files(tmp_path / "clips")
    again = annotate(tmp_path, source, windows={"frames": 40, "overlap": 8})
    assert (again.made, again.reused) == (0, 1)
    assert sha256_of_files(tmp_path / "clips") == before
    assert list(clips_of(tmp_path)) == ["film"]


def test_what_is_finished_is_found_again_window_by_window(
    tmp_path: Path, solved: list[str]
) -> None:
    source = film(tmp_path / "film.mp4")
    annotate(tmp_path, source, windows=WINDOWS)
    before = sha256_of_files(tmp_path / "clips")
    again = annotate(tmp_path, source, windows=WINDOWS)
    assert (again.made, again.reused, len(solved)) == (0, 3, 3)
    assert sha256_of_files(tmp_path / "clips") == before


def test_after_a_window_that_fails_another_world_begins(
    tmp_path: Path,
    solved: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = ColmapAnnotator.annotate

    def fail(self: ColmapAnnotator, material: SourceMaterial) -> Clip:
        if material.scene_id == NAMES[1]:
            raise InputError("nothing to see", where="here", fix="look elsewhere")
        return good(self, material)

    monkeypatch.setattr(ColmapAnnotator, "annotate", fail)
    source = film(tmp_path / "film.mp4")
    annotation = annotate(tmp_path, source, windows=WINDOWS, failing=0.5)
    assert [failure.item for failure in annotation.failures] == [NAMES[1]]
    clips = clips_of(tmp_path)
    assert list(clips) == [NAMES[0], NAMES[2]]
    torch.testing.assert_close(clips[NAMES[2]].cameras.camera_to_world[0], torch.eye(4))
    assert "world" not in (clips[NAMES[2]].source or {})


def test_windows_that_disagree_begin_worlds_of_their_own(
    tmp_path: Path, solved: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    unknown = {"frames": 16, "overlap": 4}
    alignment = "lyra_data.annotation.alignment.LEAST_PIXELS"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(alignment, 10**9)
        annotate(tmp_path, film(tmp_path / "film.mp4"), windows=unknown)
    assert caplog.text.count("begins a world of its own") == 2
    assert all("world" not in (clip.source or {}) for clip in clips_of(tmp_path).values())


@pytest.mark.usefixtures("warm_workers")
@pytest.mark.parametrize("workers", [None, 2])
def test_windows_of_a_clip_keep_the_world_that_was_given(
    tmp_path: Path, workers: int | None
) -> None:
    write_clip(FILM, tmp_path / "long")
    source = {"name": "clip", "folder": "long", "scene_id": "film"}
    annotate(tmp_path, source, windows=WINDOWS, annotator="given", workers=workers)
    clips = clips_of(tmp_path)
    assert list(clips) == NAMES
    for clip, first in zip(clips.values(), STARTS, strict=True):
        true = FILM.taking(list(range(first, first + 16)))
        assert torch.equal(clip.frames, true.frames) and torch.equal(clip.depth, true.depth)
        assert torch.equal(clip.cameras.camera_to_world, true.cameras.camera_to_world)


def test_a_window_that_has_the_name_of_another_scene_is_refused(
    tmp_path: Path, solved: list[str]
) -> None:
    source = film(tmp_path / "film.mp4")
    values = load_yaml(preset_file("video"))["annotate"]
    values["sources"] = [source, source | {"scene_id": NAMES[0], "max_frames": 8}]
    values["parts"] = {"shots": "split", "least_shot_frames": 4, "windows": WINDOWS}
    with pytest.raises(ParamsError, match=f"scene id '{NAMES[0]}'"):
        annotate_sources(
            AnnotateParams.parse(values, where="annotate"),
            root=tmp_path,
            clips=tmp_path / "clips",
            held_out=tmp_path / "held_out",
            scratch=tmp_path / ".work",
            progress=silent,
        )
