"""The colmap annotator finds the cameras and the depth of a ray-cast set, or says why it cannot."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.annotators.colmap import (
    ColmapAnnotator,
    ColmapAnnotatorParams,
    _check_parallax,
)
from lyra_data.annotation.annotators.framed import focal_length_of, framed_clip
from lyra_data.annotation.structure_from_motion.sparse_scene import SparseScene
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView, SourceMaterial
from tests.ray_cast import Seen
from tests.textured_scene import (
    BALL,
    FOCAL,
    HEIGHT,
    MOVING_SET,
    STILL_SET,
    WIDTH,
    material_of,
    pose_errors,
    walking_cameras,
)

NUM_FRAMES = 10
VALUES = {
    "name": "colmap",
    "height": HEIGHT,
    "width": WIDTH,
    "framing": "centred",
    "fps": 24,
    "solve_height": HEIGHT,
    "mapper": "incremental",
    "num_features": 1200,
    "overlap": 8,
    "num_neighbours": 4,
    "least_correlation": 0.5,
    "least_agreeing": 2,
    "seed": 0,
}


def annotator(**changes: object) -> ColmapAnnotator:
    return ColmapAnnotator(ColmapAnnotatorParams.model_validate({**VALUES, **changes}))


def times(num_frames: int) -> list[float]:
    return [float(index) for index in range(num_frames)]


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return walking_cameras(NUM_FRAMES)


@pytest.fixture(scope="module")
def still(cameras: Cameras) -> Seen:
    return STILL_SET.seen(cameras, times(NUM_FRAMES))


@pytest.fixture(scope="module")
def moving(cameras: Cameras) -> Seen:
    return MOVING_SET.seen(cameras, times(NUM_FRAMES))


@pytest.fixture(scope="module")
def still_clip(still: Seen) -> Clip:
    return annotator().annotate(material_of(still))


@pytest.fixture(scope="module")
def moving_clip(moving: Seen) -> Clip:
    return annotator().annotate(material_of(moving))


def relative_errors(clip: Clip, seen: Seen, scale: float) -> torch.Tensor:
    return (clip.depth * scale - seen.depth).abs() / seen.depth


def test_every_frame_is_posed_where_its_camera_was(still_clip: Clip, cameras: Cameras) -> None:
    errors = pose_errors(still_clip.cameras, cameras)
    assert len(still_clip) == NUM_FRAMES
    assert errors.rotation_degrees < 0.3
    assert errors.direction_degrees < 1
    assert float(still_clip.cameras.intrinsics[0, 0]) == pytest.approx(FOCAL, rel=0.03)


def test_known_depth_is_right_and_most_depth_is_known(
    still_clip: Clip, still: Seen, cameras: Cameras
) -> None:
    known = still_clip.depth_valid
    scale = pose_errors(still_clip.cameras, cameras).scale
    errors = relative_errors(still_clip, still, scale)[known]
    assert float(known.float().mean()) > 0.6
    assert float(errors.median()) < 0.03
    assert float(errors.quantile(0.9)) < 0.06


def test_confidence_is_told_of_known_depth_alone(still_clip: Clip) -> None:
    confidence = still_clip.depth_confidence
    assert confidence is not None
    assert bool((confidence[~still_clip.depth_valid] == 0).all())
    assert bool((confidence[still_clip.depth_valid] > 0).all())
    assert float(confidence.max()) <= 1


def test_the_first_camera_is_the_world_and_its_points_lie_around_depth_one(
    still_clip: Clip,
) -> None:
    assert torch.equal(still_clip.cameras.camera_to_world[0], torch.eye(4))
    depth = still_clip.depth[0][still_clip.depth_valid[0]]
    assert float(depth.median()) == pytest.approx(1, abs=0.15)
    assert still_clip.depth_scale == "up_to_scale"


@pytest.mark.slow
def test_a_moving_ball_does_not_spoil_poses_and_its_depth_is_hardly_ever_wrong(
    moving_clip: Clip, moving: Seen, cameras: Cameras
) -> None:
    errors = pose_errors(moving_clip.cameras, cameras)
    assert errors.rotation_degrees < 0.3
    wrong = relative_errors(moving_clip, moving, errors.scale) > 0.1
    on_ball = moving.surface == BALL
    assert float((wrong & moving_clip.depth_valid)[on_ball].float().mean()) < 0.1


def test_the_clip_says_how_it_was_solved(still_clip: Clip) -> None:
    source = still_clip.source
    assert source is not None
    assert source["frames_posed"] == f"{NUM_FRAMES} of {NUM_FRAMES} by the mapper, 0 afterwards"
    assert f"px of {WIDTH}x{HEIGHT}" in source["reprojection_error"]
    assert float(source["depth_share"]) == pytest.approx(
        float(still_clip.depth_valid.float().mean()), abs=1e-3
    )
    assert int(source["sparse_points"]) > 100
    assert source["annotator"] == annotator().fingerprint


def test_given_cameras_stay_and_depth_has_their_unit(still: Seen, cameras: Cameras) -> None:
    few = [0, 2, 4, 6, 8]
    material = replace(material_of(still), frames=still.frames[few], cameras=cameras[few])
    clip = annotator(least_agreeing=1).annotate(material)
    assert torch.allclose(clip.cameras.camera_to_world, cameras[few].camera_to_world)
    assert torch.allclose(clip.cameras.intrinsics, cameras[few].intrinsics)
    errors = (clip.depth - still.depth[few]).abs() / still.depth[few]
    assert float(errors[clip.depth_valid].median()) < 0.01
    assert clip.source is not None
    assert clip.source["poses"].startswith("given")


@pytest.mark.slow
def test_the_same_frames_give_the_same_bytes() -> None:
    cameras = walking_cameras(6, height=128, width=176)
    material = material_of(STILL_SET.seen(cameras, times(6)))
    small = annotator(height=128, width=176, solve_height=128, least_agreeing=1, num_features=800)
    one, other = small.annotate(material), small.annotate(material)
    assert torch.equal(one.depth, other.depth)
    assert torch.equal(one.cameras.camera_to_world, other.cameras.camera_to_world)
    assert torch.equal(one.cameras.intrinsics, other.cameras.intrinsics)
    assert one.source == other.source


@pytest.mark.slow
def test_a_focal_length_that_is_known_stays() -> None:
    """Also one that is off: windows of one video are to agree about it."""
    seen = STILL_SET.seen(walking_cameras(6, height=128, width=176), times(6))
    small = annotator(height=128, width=176, solve_height=128, num_features=800)
    focal_length = 1.04 * (FOCAL * 128 / HEIGHT) / 176
    solved = small._solve(material_of(seen, focal_length=focal_length), "here")
    assert solved.cameras.intrinsics[:, 0].tolist() == pytest.approx([focal_length * 176] * 6)


def test_the_focal_length_of_a_framed_clip_is_that_of_its_pictures() -> None:
    cameras = walking_cameras(2, height=90, width=200)
    depth = torch.ones(2, 90, 200)
    material = SourceMaterial(
        scene_id="set",
        frames=torch.zeros(2, 3, 90, 200, dtype=torch.uint8),
        cameras=cameras,
        depth=depth,
        depth_valid=depth > 0,
        depth_scale="metric",
    )
    params = ColmapAnnotatorParams.model_validate({**VALUES, "height": 32, "width": 48})
    clip = framed_clip(material, params, "test")
    expected = float(cameras.intrinsics[0, 0]) / 200
    assert focal_length_of(clip, material, params) == pytest.approx(expected)


def test_pycolmap_is_never_loaded_beside_pillow(still_clip: Clip) -> None:
    """It brings its own zlib, on which Pillow may crash or hang."""
    assert len(still_clip) and "pycolmap" not in sys.modules


def test_a_single_frame_is_refused_with_what_works(still: Seen) -> None:
    material = replace(material_of(still), frames=still.frames[:1])
    with pytest.raises(InputError, match="a single frame has no parallax") as caught:
        annotator().annotate(material)
    assert "longer video" in str(caught.value)
    assert "moge" in str(caught.value)


def test_blank_frames_are_refused(still: Seen) -> None:
    blank = torch.full_like(still.frames[:4], 90)
    with pytest.raises(InputError, match=r"too little to recognise: .* in frames 0\.\.3"):
        annotator().annotate(replace(material_of(still), frames=blank))


def test_a_camera_that_only_turns_is_refused() -> None:
    cameras = walking_cameras(6, height=128, width=176)
    poses = cameras.camera_to_world.clone()
    poses[:, :3, 3] = 0
    seen = STILL_SET.seen(replace(cameras, camera_to_world=poses), times(6))
    with pytest.raises(InputError, match="parallax") as caught:
        annotator(height=128, width=176, solve_height=128).annotate(material_of(seen))
    assert "vipe" in str(caught.value)
    angle = re.search(r"([\d.]+) degrees", caught.value.what)
    assert angle is not None and float(angle[1]) < 1.5, caught.value.what


@pytest.mark.parametrize(("baseline", "is_refused"), [(0.02, True), (0.2, False)])
def test_points_seen_under_too_small_an_angle_are_no_depth(
    baseline: float, is_refused: bool
) -> None:
    """The bound itself: a solver may find structure where parallax is 0.6 degrees, not 6."""
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, 0, 3] = -baseline
    scene = SparseScene(
        world_to_camera=poses,
        intrinsics=np.tile([100.0, 100.0, 64.0, 48.0], (2, 1)),
        points=np.array([[0.0, 0.0, 2.0], [0.1, 0.0, 2.0]]),
        observed_frame=np.array([0, 1, 0, 1], np.int32),
        observed_point=np.array([0, 0, 1, 1], np.int32),
        error_pixels=np.zeros(4),
        by_mapper=np.ones(2, bool),
    )
    if not is_refused:
        return _check_parallax(scene, "film.mp4")
    with pytest.raises(InputError, match=r"too little parallax: .* 0\.57 degrees") as caught:
        _check_parallax(scene, "film.mp4")
    assert caught.value.where == "film.mp4" and "vipe" in str(caught.value.fix)


@pytest.mark.slow
def test_frames_of_another_shot_are_named(still: Seen) -> None:
    noise = torch.randint(0, 256, (2, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))
    frames = torch.cat([still.frames[::2], noise.to(torch.uint8)])
    with pytest.raises(InputError, match=r"2 of 7 frames cannot be posed: 5\.\.6") as caught:
        annotator().annotate(replace(material_of(still), frames=frames))
    assert "split the video at cuts" in str(caught.value)


def test_depth_without_cameras_is_refused(still: Seen) -> None:
    material = material_of(still, depth=still.depth, depth_valid=still.depth > 0)
    with pytest.raises(InputError, match="depth is given without cameras"):
        annotator().annotate(material)


def test_a_clip_higher_than_what_is_solved_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"height \(192\) is more than solve_height \(128\)"):
        ANNOTATORS.create({**VALUES, "solve_height": 128}, where="annotate.annotator")


def test_a_clip_wider_than_what_is_solved_is_refused(still: Seen) -> None:
    wide = annotator(height=96, width=256, solve_height=96)
    with pytest.raises(ParamsError, match=r"256x96.*128x96, from solve_height 96"):
        wide.annotate(material_of(still))


def test_more_agreement_than_neighbours_is_refused() -> None:
    with pytest.raises(ParamsError, match="no depth could ever be known"):
        ANNOTATORS.create({**VALUES, "least_agreeing": 5}, where="annotate.annotator")


@pytest.mark.parametrize(
    "change",
    [
        {"solve_height": 200},
        {"num_features": 900},
        {"overlap": 5},
        {"num_neighbours": 3},
        {"least_correlation": 0.6},
        {"least_agreeing": 1},
        {"seed": 1},
        {"height": 96},
        {"framing": "reference"},
    ],
)
def test_the_fingerprint_names_every_setting(change: dict[str, object]) -> None:
    assert annotator(**change).fingerprint != annotator().fingerprint


def test_held_out_views_are_left_out_where_poses_were_solved(
    still: Seen, cameras: Cameras, caplog: pytest.LogCaptureFixture
) -> None:
    held_out = (HeldOutView("right", still.frames[3], cameras[[3]]),)
    solved = material_of(still, held_out=held_out)
    assert annotator().frame_held_out(solved) == []
    assert "another unit" in caplog.text
    assert len(annotator().frame_held_out(replace(solved, cameras=cameras))) == 1
