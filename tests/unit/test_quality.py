"""Quality tells broken views from good ones; what is beyond a limit is dropped, with its reason.

Long because its cases share the views of one real photo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from lyra_data.annotation.annotators.given import GivenAnnotator
from lyra_data.cache3d import Cache3D
from lyra_data.dataset.packaging import worker
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_views
from lyra_data.engine.errors import CorruptDataError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.assembly import nothing_kept
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.quality import assemble_scene
from lyra_data.generation.quality.contrast import local_contrast
from lyra_data.generation.quality.displacement import median_displacement
from lyra_data.generation.quality.measuring import measure_view, sampled_frames
from lyra_data.generation.quality.photometry import psnr_db
from lyra_data.generation.quality.siblings import compared_frames, sibling_agreements
from lyra_data.generation.quality_limits import QualityParams, shortfalls
from lyra_data.generation.rollout import CacheRollout
from lyra_data.generation.view_making import ViewMaker
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.scene.clip import Clip
from lyra_data.scene.quality import MAX_PSNR_DB, NUMBERS, ViewQuality
from lyra_data.scene.view import View
from lyra_data.sources.motorcycle import MotorcycleParams, MotorcycleSource
from lyra_data.views.dropped import DroppedView, read_dropped, record_dropped
from lyra_data.views.fields import row_from_view
from lyra_data.views.store import read_row, read_view, view_files, write_view
from tests.factories import make_quality, make_view
from tests.goldens import REPOSITORY

HEIGHT, WIDTH, FRAMES = 96, 144, 17
NAMES = ("right", "zoom_in", "clockwise")
VALUES = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
COMMITTED = ("params.yaml", "stages/presets/gen3c.yaml")


def make_params(**quality: float | None) -> GenerateParams:
    values = VALUES["generate"]
    trajectories = {**values["trajectories"], "names": list(NAMES)}
    changes = {"trajectories": trajectories, "quality": {**values["quality"], **quality}}
    return GenerateParams.parse({**values, **changes, "num_frames": FRAMES}, where="generate")


def limits(**changes: float | None) -> dict[str, float | None]:
    return make_params(**changes).quality.model_dump()


@dataclass(frozen=True)
class Made:
    """A view, and what the cache showed in its cameras."""

    view: View
    pictures: torch.Tensor
    known: torch.Tensor

    def with_frames(self, frames: np.ndarray) -> View:
        """The view with other frames [frame, height, width, 3], measured."""
        tensor = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
        quality = measure_view(tensor, self.view.filled, pictures=self.pictures, known=self.known)
        return replace(self.view, frames=tensor, quality=quality)

    @property
    def frames(self) -> np.ndarray:
        return self.view.frames.permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def clip() -> Clip:
    settings = {**VALUES["annotate"]["annotator"], "height": HEIGHT, "width": WIDTH}
    material = MotorcycleSource(MotorcycleParams(name="motorcycle")).read(Path())
    return GivenAnnotator(GivenAnnotator.Params.model_validate(settings)).annotate(material)


@pytest.fixture(scope="module")
def made(clip: Clip) -> dict[str, Made]:
    params = make_params()
    maker = ViewMaker(params, Placement("cpu"))
    views = {}
    for job in plan_jobs(clip, params.trajectories, seed=42):
        view = maker.make(clip, job)
        shown = Cache3D.from_clip(clip, params.cache).render(view.cameras).merged()
        pictures = ((shown.frames[:, 0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        views[job.trajectory] = Made(view, pictures, shown.known[:, 0])
    return views


def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda frames: np.stack([change(frame) for frame in frames])


def shifted(frames: np.ndarray, by: int) -> np.ndarray:
    return frames[np.clip(np.arange(len(frames)) + by, 0, len(frames) - 1)]


def repainted(frames: np.ndarray) -> np.ndarray:
    """As a video model might paint them: softer, flatter and noisy, but where they belong."""
    soft = each(lambda frame: cv2.GaussianBlur(frame, (0, 0), 0.6))(frames).astype(float)
    noise = np.random.default_rng(0).normal(0.0, 5.0, soft.shape)
    return np.clip(0.9 * soft + 10.0 + noise, 0, 255).astype(np.uint8)


def rolled(frame: np.ndarray) -> np.ndarray:
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 5.0, 1.0)
    return cv2.warpAffine(frame, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def failed(view: View, **changes: float | None) -> set[str]:
    """Names of the numbers by which a view is dropped."""
    reasons = shortfalls(row_from_view(view), limits(**changes))
    return {reason.partition(" ")[0] for reason in reasons}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("look", [lambda frames: frames, repainted])
def test_frames_that_lie_where_their_cameras_say_pass_the_pose_check(made, name, look) -> None:
    view = made[name].with_frames(look(made[name].frames))
    assert view.quality.pose_error_frames == 0.0
    assert view.quality.cache_displacement_pixels < 0.5
    assert failed(view) == set()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("look", [lambda frames: frames, repainted])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda frames: frames[::-1],
        lambda frames: shifted(frames, 2),
        lambda frames: shifted(frames, -2),
        lambda frames: frames[np.arange(len(frames)) // 2],
        lambda frames: frames[:1].repeat(len(frames), 0),
        lambda frames: frames[:, :, ::-1],
        lambda frames: frames[:, ::-1, ::-1],
    ],
    ids=["reversed", "early", "late", "half_speed", "still", "mirrored", "upside_down"],
)
def test_frames_that_do_not_lie_where_their_cameras_say_fail_the_pose_check(
    made, name, look, wrong
) -> None:
    view = made[name].with_frames(look(wrong(made[name].frames)))
    assert "pose_error_frames" in failed(view)


def test_the_pose_error_is_the_number_of_frames_that_the_video_is_shifted_by(made) -> None:
    frames = shifted(made["right"].frames, 1)
    assert 0.8 <= made["right"].with_frames(frames).quality.pose_error_frames <= 1.0
    mirrored = made["right"].with_frames(made["right"].frames[:, :, ::-1])
    assert mirrored.quality.pose_error_frames == FRAMES  # it fits no camera of the path


def test_frames_of_another_path_fail_the_pose_check(made) -> None:
    view = made["right"].with_frames(made["zoom_in"].frames)
    assert {"pose_error_frames", "cache_displacement_pixels"} <= failed(view)


def test_frames_rolled_by_a_few_degrees_are_displaced(made) -> None:
    view = made["right"].with_frames(each(rolled)(made["right"].frames))
    assert "cache_displacement_pixels" in failed(view)


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda frames: (0.5 * frames).astype(np.uint8), "luminance_drift"),
        (lambda frames: np.clip(1.7 * frames, 0, 255).astype(np.uint8), "clipped_excess"),
        (each(lambda frame: cv2.GaussianBlur(frame, (0, 0), 2.0)), "sharpness_ratio"),
        (lambda frames: 255 - frames, "cache_psnr_db"),
    ],
    ids=["darker", "overexposed", "blurred", "inverted"],
)
def test_a_picture_of_the_wrong_look_fails_by_the_number_named_after_it(
    made, change, number
) -> None:
    view = made["right"].with_frames(change(made["right"].frames))
    assert number in failed(view)
    if number != "cache_psnr_db":
        assert "pose_error_frames" not in failed(view)  # it is where it belongs


def test_numbers_say_which_way_a_picture_changed(made) -> None:
    frames = made["right"].frames
    same = made["right"].with_frames(frames).quality
    assert same == made["right"].view.quality  # measured from the same pictures when it was made
    assert same.cache_psnr_db == pytest.approx(58.92, abs=0.01)
    assert (same.sharpness_ratio, same.luminance_drift) == (1.0, 0.0)
    darker = made["right"].with_frames(frames // 2).quality
    assert darker.luminance_drift < -0.1 and darker.sharpness_ratio < 0.6
    brighter = made["right"].with_frames(np.minimum(frames, 127) * 2).quality
    assert brighter.luminance_drift > 0.1 and brighter.sharpness_ratio > 1.0


def test_sharpness_of_invented_pixels_is_told_apart_from_that_of_the_others(made) -> None:
    one = made["right"]
    noise = np.random.default_rng(0).integers(0, 256, one.frames.shape, dtype=np.uint8)
    painted = np.where(one.view.filled[..., None].numpy(), noise, one.frames)
    view = one.with_frames(painted)
    assert view.quality.filled_sharpness_ratio > 2.0 > one.view.quality.filled_sharpness_ratio
    assert view.quality.sharpness_ratio == 1.0


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_painted_where_the_photo_shows_nothing_changes_no_number_of_the_rest(
    made, name: str, colour: int
) -> None:
    one = made[name]
    hidden = ~one.known[..., None].numpy()
    painted = one.with_frames(np.where(hidden, np.uint8(colour), one.frames)).quality
    unaffected = one.view.quality.filled_sharpness_ratio
    assert replace(painted, filled_sharpness_ratio=unaffected) == one.view.quality
    frames = repainted(one.frames)
    before = one.with_frames(frames).quality
    after = one.with_frames(np.where(hidden, np.uint8(colour), frames)).quality
    for number in ("cache_psnr_db", "sharpness_ratio", "luminance_drift", "clipped_excess"):
        assert getattr(after, number) == getattr(before, number)
    assert after.pose_error_frames == before.pose_error_frames == 0.0
    assert after.cache_displacement_pixels == pytest.approx(
        before.cache_displacement_pixels, abs=0.1
    )


def test_a_white_sky_without_depth_drops_no_view(made) -> None:
    """MoGe tells no depth of sky, so the cache does not show it; in the photo it is white too."""
    one = made["right"]
    known = one.known.clone()
    known[:, : HEIGHT // 3] = False
    frames = one.view.frames.clone()
    frames[:, :, : HEIGHT // 3] = 255
    pictures = one.pictures.clone()
    pictures[:, :, : HEIGHT // 3] = 0
    quality = measure_view(frames, ~known, pictures=pictures, known=known)
    assert quality.clipped_excess == 0.0
    assert failed(replace(one.view, quality=quality)) == set()


def test_the_numbers_do_not_depend_on_the_number_of_threads(made) -> None:
    one = made["clockwise"]
    threads = cv2.getNumThreads(), torch.get_num_threads()
    try:
        found = []
        for number in (1, 2, 5):
            cv2.setNumThreads(number)
            torch.set_num_threads(number)
            found.append(one.with_frames(repainted(one.frames)).quality)
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])
    assert found[0] == found[1] == found[2]


def test_what_cannot_be_measured_is_none_and_drops_nothing(made) -> None:
    one = made["right"]
    nothing = torch.zeros_like(one.known)
    quality = measure_view(one.view.frames, ~nothing, pictures=one.pictures, known=nothing)
    assert quality == ViewQuality.unmeasured()
    flat = torch.full_like(one.view.frames, 90)
    quality = measure_view(flat, one.view.filled, pictures=flat, known=one.known)
    assert quality.cache_displacement_pixels is None and quality.pose_error_frames is None
    assert quality.cache_psnr_db == pytest.approx(58.92, abs=0.01)
    assert failed(replace(one.view, quality=ViewQuality.unmeasured())) == set()


def test_a_moving_scene_is_compared_with_what_it_shows_at_each_time(clip: Clip) -> None:
    """The picture pans, so that every time looks different; reversed motion must pass too."""
    times = range(FRAMES)
    moving = replace(
        clip.taking([0] * FRAMES),
        frames=torch.stack([clip.frames[0].roll(2 * time, dims=2) for time in times]),
        depth=torch.stack([clip.depth[0].roll(2 * time, dims=1) for time in times]),
        depth_valid=torch.stack([clip.depth_valid[0].roll(2 * time, dims=1) for time in times]),
    )
    params = make_params()
    maker = ViewMaker(params, Placement("cpu"))
    jobs = plan_jobs(moving, params.trajectories, seed=42)
    for job in (jobs[0], jobs[len(NAMES)]):
        view = maker.make(moving, job)
        assert view.motion_reversed == (job is not jobs[0])
        assert view.quality.pose_error_frames == 0.0 and failed(view) == set()
        wrong = replace(view, frames=view.frames.flip(0))
        rollout = rollout_of(moving.reversed_in_time() if job.motion_reversed else moving, view)
        rollout.first()
        quality = measure_view(
            wrong.frames, view.filled, pictures=rollout.pictures, known=rollout.depth > 0
        )
        assert "pose_error_frames" in failed(replace(view, quality=quality))


def rollout_of(clip: Clip, view: View, segment_frames: int | None = None) -> CacheRollout:
    return CacheRollout(
        Cache3D.from_clip(clip, make_params().cache),
        view.cameras,
        segment_frames=segment_frames,
        estimator=DEPTH_ESTIMATORS.create(make_params().extension.depth, where="test"),
        alignment="rigid",
    )


def test_segments_keep_one_picture_a_frame(clip: Clip, made) -> None:
    still = clip.taking([0] * FRAMES)
    whole, parts = (rollout_of(still, made["right"].view, size) for size in (None, 9))
    whole.first(), parts.first()
    parts.next(torch.zeros(3, HEIGHT, WIDTH))
    assert torch.equal(parts.pictures, whole.pictures)
    assert torch.equal(parts.depth, whole.depth)


def test_sampled_frames_are_spread_and_leave_out_the_source(made) -> None:
    assert sampled_frames(25) == [3, 6, 9, 12, 15, 18, 21, 24]
    assert sampled_frames(121) == [15, 30, 45, 60, 75, 90, 105, 120]
    assert sampled_frames(9) == list(range(1, 9))
    assert sampled_frames(1) == [0]


@pytest.mark.parametrize("shift", [(0, 0), (3, 2), (-7, 4), (0, -11)])
def test_a_shifted_picture_is_displaced_by_its_shift(clip: Clip, shift: tuple[int, int]) -> None:
    photo = clip.frames[:1].numpy()
    moved = np.roll(photo, shift, axis=(2, 3))
    (one,), (known,) = local_contrast(photo)
    (other,), _ = local_contrast(moved)
    inside = np.zeros_like(known)
    inside[15:-15, 15:-15] = True
    assert median_displacement(one, inside, other) == pytest.approx(np.hypot(*shift), abs=0.05)


def test_pixels_are_the_view_s_where_pictures_are_reduced_first(clip: Clip) -> None:
    large = cv2.resize(clip.frames[0].permute(1, 2, 0).numpy(), (1296, 864))
    frames = torch.from_numpy(np.stack([large, np.roll(large, 9, axis=1)])).permute(0, 3, 1, 2)
    pictures = frames[:1].expand(2, -1, -1, -1).contiguous()
    known = torch.zeros(2, 864, 1296, dtype=torch.bool)
    known[:, 100:-100, 100:-100] = True
    quality = measure_view(frames.contiguous(), ~known, pictures=pictures, known=known)
    assert quality.cache_displacement_pixels == pytest.approx(9.0, abs=0.3)


def test_local_contrast_is_that_of_a_darker_and_flatter_copy(clip: Clip) -> None:
    photo = clip.frames[:1].numpy()
    (one,), _ = local_contrast(photo)
    (other,), _ = local_contrast((0.6 * photo + 20).astype(np.uint8))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98


def store(folder: Path, views: list[View]) -> list[Path]:
    paths = [folder / f"{view.view_index}" / "view.parquet" for view in views]
    for path, view in zip(paths, views, strict=True):
        write_view(path, view)
    return paths


@pytest.fixture(scope="module")
def stored(made, tmp_path_factory) -> list[Path]:
    """Two good views, and one whose frames are reversed against its poses."""
    wrong = made["clockwise"].with_frames(made["clockwise"].frames[::-1])
    views = [made["right"].view, made["zoom_in"].view, wrong]
    return store(tmp_path_factory.mktemp("scratch"), views)


def test_a_view_beyond_a_limit_is_dropped_with_its_reason(stored, tmp_path: Path) -> None:
    (dropped,) = assemble_scene(stored, tmp_path, make_params())
    assert (dropped.scene_id, dropped.view_index, dropped.trajectory) == (
        "motorcycle",
        2,
        "clockwise",
    )
    assert any(
        reason.startswith("pose_error_frames = ") and reason.endswith("max_pose_error_frames is 1")
        for reason in dropped.reasons
    )
    assert [read_view(path).trajectory for path in view_files(tmp_path)] == ["right", "zoom_in"]


def test_kept_views_are_what_was_made_and_now_know_their_siblings(stored, tmp_path: Path) -> None:
    assemble_scene(stored, tmp_path, make_params())
    across = {"sibling_psnr_db", "sibling_displacement_pixels"}
    for before, after in zip(stored, view_files(tmp_path), strict=False):
        one, other = read_row(before), read_row(after)
        assert {name for name in one if one[name] != other[name]} == across
        assert one["sibling_psnr_db"] is None and other["sibling_psnr_db"] > 15


def test_assembly_gives_the_same_bytes_again(stored, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assemble_scene(stored, tmp_path / name, make_params())
    first, second = (view_files(tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_limit_of_null_drops_nothing(stored, tmp_path: Path) -> None:
    off = dict.fromkeys(QualityParams.model_fields)
    assert assemble_scene(stored, tmp_path, make_params(**off)) == []
    assert len(view_files(tmp_path)) == 3


def test_a_scene_without_a_good_view_fails_with_every_reason(stored, tmp_path: Path) -> None:
    dropped = assemble_scene(stored, tmp_path / "views", make_params(min_known_fraction=1.0))
    assert len(dropped) == len(stored)
    for part in (
        "scene motorcycle",
        "right: ",
        "clockwise: ",
        "known_fraction",
        "generate.quality",
    ):
        assert part in str(nothing_kept(dropped))
    assert not (tmp_path / "views").exists()


def test_a_single_view_has_no_siblings_to_agree_with(stored, tmp_path: Path) -> None:
    assert assemble_scene(stored[:1], tmp_path, make_params()) == []
    quality = read_view(view_files(tmp_path)[0]).quality
    assert quality.sibling_psnr_db is None and quality.sibling_displacement_pixels is None


def test_views_of_one_scene_agree_and_a_wrong_one_agrees_with_none(made) -> None:
    wrong = made["right"].with_frames(made["right"].frames[::-1])
    good = [made[name].view for name in NAMES]
    views = [compared_frames(row_from_view(view)) for view in (*good, wrong)]
    *agreeing, odd = sibling_agreements(views)
    assert min(one.psnr_db for one in agreeing) > odd.psnr_db + 5
    assert max(one.displacement_pixels for one in agreeing) < 1.0 < odd.displacement_pixels


@pytest.fixture
def with_a_bad_view(made, tmp_path: Path) -> Callable[[int], list[Path]]:
    """Stores a scene of so many views, of which the first is mirrored."""

    def stored_scene(num_views: int) -> list[Path]:
        views = [made[name].view for name in (NAMES + NAMES)[:num_views]]
        views[0] = made[NAMES[0]].with_frames(made[NAMES[0]].frames[:, :, ::-1])
        return store(
            tmp_path / "scratch",
            [replace(view, view_index=index) for index, view in enumerate(views)],
        )

    return stored_scene


def by_siblings() -> GenerateParams:
    """Only the limits of agreement with siblings, as committed."""
    names = QualityParams.model_fields
    return make_params(**{name: None for name in names if "sibling" not in name})


@pytest.mark.parametrize("num_views", [3, 4, 6])
def test_one_bad_view_of_a_scene_drops_itself_and_no_other(
    with_a_bad_view, tmp_path: Path, num_views: int
) -> None:
    folder = tmp_path / "views"
    dropped = assemble_scene(with_a_bad_view(num_views), folder, by_siblings())
    assert [view.view_index for view in dropped] == [0]
    assert {reason.partition(" ")[0] for reason in dropped[0].reasons} == {
        "sibling_psnr_db",
        "sibling_displacement_pixels",
    }
    kept = [read_view(path).quality for path in view_files(folder)]
    assert len(kept) == num_views - 1
    assert min(quality.sibling_psnr_db for quality in kept) > 25.0  # that of the bad one has 11
    assert max(quality.sibling_displacement_pixels for quality in kept) < 1.0


def with_sky(view: View) -> View:
    """Its upper third white and, as MoGe tells it, without depth."""
    known = view.depth_valid.clone()
    known[:, : HEIGHT // 3] = False
    frames = torch.where(known[:, None], view.frames, 255).to(torch.uint8)
    return replace(view, frames=frames, depth=view.depth * known, depth_valid=known)


def test_of_two_views_none_is_dropped_by_the_other(with_a_bad_view, tmp_path: Path) -> None:
    folder = tmp_path / "views"
    assert assemble_scene(with_a_bad_view(2), folder, by_siblings()) == []
    for path in view_files(folder):
        quality = read_view(path).quality
        assert quality.sibling_psnr_db is None and quality.sibling_displacement_pixels is None


def test_views_with_a_white_sky_without_depth_agree_where_both_have_depth(made) -> None:
    views = [with_sky(made[name].view) for name in NAMES]
    for one in sibling_agreements([compared_frames(row_from_view(view)) for view in views]):
        assert one.psnr_db > 30.0 and one.displacement_pixels < 0.2


def test_a_reversed_view_is_compared_at_the_same_times(made) -> None:
    view = made["right"].view
    parts = {name: getattr(view, name).flip(0) for name in ("frames", "depth", "depth_valid")}
    backwards = replace(
        view, **parts, cameras=view.cameras.reversed_in_time(), motion_reversed=True
    )
    one, other, again = sibling_agreements(
        [compared_frames(row_from_view(part)) for part in (view, backwards, view)]
    )
    assert one == other == again and one.psnr_db == pytest.approx(58.92, abs=0.01)


def test_every_number_has_a_limit_and_every_limit_a_number() -> None:
    limited = {key.partition("_")[2] for key in QualityParams.model_fields}
    assert limited == {*NUMBERS, "known_fraction"}
    assert {key.partition("_")[0] for key in QualityParams.model_fields} == {"min", "max"}


@pytest.mark.parametrize("file", COMMITTED)
def test_the_committed_limits_keep_a_good_view_and_drop_what_is_beyond(file: str) -> None:
    committed = committed_limits(file)
    row = {**row_from_view(make_view()), "known_fraction": 0.9}
    assert shortfalls(row, committed) == ()
    assert committed["min_filled_sharpness_ratio"] is None  # sky and walls are rightly smooth
    for key, limit in committed.items():
        side, _, name = key.partition("_")
        if limit is None:
            assert shortfalls({**row, name: 0.0}, committed) == ()
            continue
        assert shortfalls({**row, name: limit}, committed) == ()
        beyond = 1.01 * limit if side == "max" else 0.99 * limit
        for value in (beyond, -beyond) if name == "luminance_drift" else (beyond,):
            (reason,) = shortfalls({**row, name: value}, committed)
            assert reason.startswith(f"{name} = ") and reason.endswith(f"{key} is {limit:g}")


@pytest.mark.parametrize("file", COMMITTED)
def test_the_committed_limits_drop_a_view_that_is_elsewhere_and_of_another_look(file: str) -> None:
    """Numbers as benchmarks/quality.py finds them, of a mirrored, blurred, overexposed view."""
    bad = make_quality(
        cache_psnr_db=11.0,
        cache_displacement_pixels=231.0,
        pose_error_frames=25.0,
        sharpness_ratio=0.09,
        luminance_drift=0.22,
        clipped_excess=0.3,
    )
    reasons = shortfalls(row_from_view(replace(make_view(), quality=bad)), committed_limits(file))
    named = {reason.partition(" ")[0] for reason in reasons}
    good = make_quality()
    assert named == {name for name in NUMBERS if getattr(bad, name) != getattr(good, name)}


def committed_limits(file: str) -> dict[str, float | None]:
    values = yaml.safe_load((REPOSITORY / file).read_text())["generate"]["quality"]
    return QualityParams.parse(values, where="generate.quality").model_dump()


def test_a_limit_itself_is_kept_and_a_reason_tells_value_and_limit() -> None:
    row = row_from_view(make_view())
    assert shortfalls(row, {"min_cache_psnr_db": 31.5, "max_luminance_drift": 0.01}) == ()
    told = shortfalls(row, {"min_cache_psnr_db": 31.6, "max_luminance_drift": 0.009})
    assert told == (
        "cache_psnr_db = 31.5, min_cache_psnr_db is 31.6",
        "luminance_drift = -0.01, max_luminance_drift is 0.009",
    )


def test_an_unknown_limit_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParamsError, match="min_cache_psnr_db"):
        make_params(min_cache_psnr=20.0)


@pytest.mark.parametrize("limit", ["min_cache_psnr_db", "min_sibling_psnr_db"])
def test_a_limit_that_no_view_can_reach_is_refused(limit: str) -> None:
    equal = np.zeros((1, 3, 8, 8), np.uint8)
    best = psnr_db(equal, equal, np.ones((1, 8, 8), bool))
    assert limits(**{limit: MAX_PSNR_DB})[limit] <= best < MAX_PSNR_DB + 0.01
    for value in (MAX_PSNR_DB + 0.01, 99.0):
        with pytest.raises(ParamsError, match=f"{limit} = {value:g}.* 58.92"):
            make_params(**{limit: value})


def test_every_view_is_read_whole_once_to_be_packaged(stored, tmp_path: Path, monkeypatch) -> None:
    for path in stored:
        target = tmp_path / "views" / "motorcycle" / f"00{path.parent.name}_path.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    read = []
    monkeypatch.setattr(worker, "read_row", lambda path: read.append(path) or read_row(path))
    params = PackageParams(**VALUES["package"])
    folders = {name: tmp_path / name for name in ("views", "dataset", "scratch")}
    package_views(params, **folders, progress=silent)
    assert read == view_files(tmp_path / "views")


def test_dropped_views_are_listed_in_the_manifest_of_the_dataset(stored, tmp_path: Path) -> None:
    dropped = assemble_scene(stored, tmp_path / "views", make_params())
    record_dropped(dropped, tmp_path / "views")
    assert read_dropped(tmp_path / "views") == dropped
    folders = {name: tmp_path / name for name in ("views", "dataset", "scratch")}
    params = PackageParams(**VALUES["package"])
    with_dropped = package_views(params, **folders, progress=silent)
    assert with_dropped.dropped == tuple(dropped)
    (tmp_path / "views" / "dropped.json").unlink()
    without = package_views(params, **folders, progress=silent)
    assert without.dropped == () and without.dataset_hash == with_dropped.dataset_hash


def test_a_cut_list_of_dropped_views_is_refused(tmp_path: Path) -> None:
    record_dropped([DroppedView("a", 0, "left", False, ("why",))], tmp_path)
    path = tmp_path / "dropped.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptDataError, match="lyra-data generate"):
        read_dropped(tmp_path)


def test_the_guide_explains_every_number_and_every_limit() -> None:
    text = (REPOSITORY / "docs" / "quality.md").read_text()
    names = [*NUMBERS, "known_fraction", *QualityParams.model_fields]
    assert [name for name in names if f"`{name}`" not in text] == []
