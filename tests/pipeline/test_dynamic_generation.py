"""A video through `lyra-data generate` and `lyra-data package`: twelve views, six of them reversed.

The clip is written by the test, so that its geometry is exact: the ray-cast scene with a moving
ball, filmed by a camera that moves and zooms, and shorter than the views are.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lyra_data.clips.store import write_clip
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.generation.trajectories import CAMERA_PATHS, MULTI_VIEW_TRAJECTORIES
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from stages.generate import run_generate
from tests.pipeline.project import Project
from tests.ray_cast import MOVING, clip_of, moving_cameras
from tests.registration import displacements

SHOWN = [0, 1, 2, 3, 4, 5, 4, 3, 2]
"""Frames of a video of six in views of nine."""


def project_with(clip: Clip, root: Path) -> Project:
    project = Project(root)
    write_clip(clip, root / "outputs" / "clips" / clip.scene_id)
    project.change("generate", "num_frames", to=len(SHOWN))
    project.change("generate", "trajectories", "names", to=list(MULTI_VIEW_TRAJECTORIES))
    return project


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, list[View]]:
    """The clip, and its views as they are read from the dataset."""
    clip = clip_of(MOVING, moving_cameras(6), "video")
    project = project_with(clip, tmp_path_factory.mktemp("video"))
    assert project.cli("generate")["made"] == 12
    project.cli("package")
    return clip, SceneDataset(project.root / "outputs" / "dataset", verify="full").scene("video")


def frames_of(view: View) -> list[int]:
    """Which frame of the video each of the view's frames shows."""
    return SHOWN[::-1] if view.motion_reversed else SHOWN


def test_a_video_has_six_views_and_six_of_its_reversed_motion(packaged) -> None:
    _, views = packaged
    assert [view.trajectory for view in views] == list(MULTI_VIEW_TRAJECTORIES) * 2
    assert [view.motion_reversed for view in views] == [False] * 6 + [True] * 6
    assert [view.view_index for view in views] == list(range(12))


def test_every_row_has_a_distance_and_seeds_of_its_own(packaged) -> None:
    _, views = packaged
    for values in (
        [view.movement_distance for view in views],
        [view.seed for view in views],
        [view.provenance["distance_seed"] for view in views],
    ):
        assert len(set(values)) == 12
    for view in views:
        low, high = CAMERA_PATHS[view.trajectory].distance_range
        assert low <= view.movement_distance <= high


def test_a_short_video_is_mirrored_and_the_rows_say_so(packaged) -> None:
    _, views = packaged
    for view in views:
        assert len(view.frames) == len(SHOWN)
        assert view.provenance["source_frames"] == "0..5, 4..2"


def test_intrinsics_that_vary_are_those_of_the_frame_shown(packaged) -> None:
    clip, views = packaged
    for view in views:
        assert torch.equal(view.cameras.intrinsics, clip.cameras.intrinsics[frames_of(view)])
        assert len(view.cameras.intrinsics.unique(dim=0)) == 6


def test_packaged_frames_lie_where_their_cameras_say(packaged) -> None:
    _, views = packaged
    for view in views:
        seen = MOVING.seen(view.cameras, [float(frame) for frame in frames_of(view)])
        counted = ~view.filled & ~seen.at_edge
        for frame in range(1, len(SHOWN)):
            errors = displacements(view.frames[frame], seen.frames[frame], counted[frame])
            assert len(errors) > 50
            assert float(errors.sort().values[int(0.95 * (len(errors) - 1))]) < 0.5


def test_a_short_video_may_fail_its_views_with_the_reason(tmp_path: Path) -> None:
    project = project_with(clip_of(MOVING, moving_cameras(6), "video"), tmp_path)
    project.change("generate", "frames", "short_clips", to="refuse")
    project.change("generate", "max_failed_fraction", to=0.99)
    folder = project.root / "outputs" / "clips" / "still"
    write_clip(clip_of(MOVING, moving_cameras(1), "still"), folder)
    done = run_generate(project.params_file)
    assert done.facts["made"] == 6
    failures = done.facts["failures"]
    assert len(failures) == 12
    assert all("has 6 frames, and 9 are needed" in str(failure) for failure in failures)
