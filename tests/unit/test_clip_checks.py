"""Checks of clips: each rule finds what it is for, and good clips pass."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.clips.checks import RULES, SEVERITIES, check_clip, check_clip_folder, find_clips
from lyra_data.clips.checks.poses import rotation_steps, sudden
from lyra_data.clips.store import CLIP_INDEX, write_clip, write_index
from lyra_data.engine.errors import InputError
from lyra_data.engine.findings import Finding
from lyra_data.engine.hashing import sha256_of_folder
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from tests.goldens import REPOSITORY
from tests.ray_cast import HEIGHT, MOVING, STILL, WIDTH, clip_of, moving_cameras, still_camera

Change = Callable[[Clip], Clip]


def hand_held(num_frames: int, *, amount: float = 1.0, seed: int = 0) -> Cameras:
    """A camera that shakes and speeds up: no two steps are alike."""
    draws = np.random.default_rng(seed)
    time = np.arange(num_frames) / 24
    waves = [
        sum(np.sin(2 * np.pi * (f * time + draws.random())) / f for f in draws.uniform(0.5, 4, 3))
        for _ in range(6)
    ]
    turn, tilt, *shift = (amount * wave for wave in waves[:5])
    pose = torch.eye(4).repeat(num_frames, 1, 1)
    around_y, around_x = (torch.from_numpy(0.02 * angle).float() for angle in (turn, tilt))
    pose[:, :3, :3] = _rotations(around_y, 1) @ _rotations(around_x, 0)
    pose[:, 0, 3] = torch.from_numpy(0.5 * amount * time**1.5 + 0.03 * shift[0])
    pose[:, 1, 3] = torch.from_numpy(0.03 * shift[1])
    pose[:, 2, 3] = torch.from_numpy(0.1 * amount * time + 0.03 * shift[2])
    intrinsics = torch.tensor([110.0, 112.0, 63.0, 49.0]).repeat(num_frames, 1)
    return Cameras(pose, intrinsics, HEIGHT, WIDTH)


def _rotations(angles: torch.Tensor, axis: int) -> torch.Tensor:
    one, other = [index for index in range(3) if index != axis]
    rotation = torch.eye(3).repeat(len(angles), 1, 1)
    rotation[:, one, one] = rotation[:, other, other] = torch.cos(angles)
    sign = 1.0 if axis == 1 else -1.0
    rotation[:, one, other], rotation[:, other, one] = (
        sign * torch.sin(angles),
        -sign * torch.sin(angles),
    )
    return rotation


GOOD = clip_of(MOVING, moving_cameras(9), "video")
SHAKEN = clip_of(MOVING, hand_held(17), "shaken")


def rules_of(findings: list[Finding] | tuple[Finding, ...], *severities: str) -> set[str]:
    return {found.rule for found in findings if found.severity in (severities or SEVERITIES)}


def with_poses(clip: Clip, poses: torch.Tensor) -> Clip:
    return replace(clip, cameras=replace(clip.cameras, camera_to_world=poses))


def with_intrinsics(clip: Clip, *scales: float) -> Clip:
    scaled = clip.cameras.intrinsics * torch.tensor(scales)
    return replace(clip, cameras=replace(clip.cameras, intrinsics=scaled))


def at_frame(values: torch.Tensor, frame: int, change: Callable) -> torch.Tensor:
    """The values with one frame's changed."""
    changed = values.clone()
    changed[frame] = change(values[frame])
    return changed


def pose_change(frame: int | None, change: Callable) -> Change:
    """Poses of one frame, or of all, changed."""

    def changed(clip: Clip) -> Clip:
        poses = clip.cameras.camera_to_world
        if frame is not None:
            return with_poses(clip, at_frame(poses, frame, change))
        return with_poses(clip, torch.stack([change(pose) for pose in poses]))

    return changed


def moved_by(x: float) -> torch.Tensor:
    move = torch.eye(4)
    move[0, 3] = x
    return move


def zoomed_at_once(clip: Clip) -> Clip:
    """The second half of the frames cut out of the middle, as if the lens had jumped."""
    cameras = clip.cameras
    scales = torch.where(torch.arange(len(clip)) < 5, 1.0, 1.3)[:, None]
    wider = cameras.intrinsics * torch.cat([scales, scales, scales**0, scales**0], dim=1)
    seen = clip_of(MOVING, replace(cameras, intrinsics=wider), clip.scene_id)
    return seen


def frames_of(change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return lambda clip: replace(clip, frames=change(clip.frames.clone()))


def blank_frame(frames: torch.Tensor) -> torch.Tensor:
    frames[4] = 30
    return frames


def frozen_frame(frames: torch.Tensor) -> torch.Tensor:
    frames[4] = frames[3]
    return frames


def repeated_frame(frames: torch.Tensor) -> torch.Tensor:
    frames[7] = frames[2]
    return frames


def depth_known(clip: Clip, known: torch.Tensor) -> Clip:
    return replace(clip, depth=clip.depth * known, depth_valid=clip.depth_valid & known)


def little_known(clip: Clip) -> Clip:
    known = torch.ones_like(clip.depth_valid)
    known[3] = False
    known[3, :2] = True
    return depth_known(clip, known)


def far_away(clip: Clip) -> Clip:
    """Everything in millimetres that are called metres."""
    poses = clip.cameras.camera_to_world.clone()
    poses[:, :3, 3] *= 1000
    return with_poses(replace(clip, depth=clip.depth * 1000), poses)


def with_confidence(clip: Clip, known: float, unknown: float = 0.0) -> Clip:
    confidence = torch.where(clip.depth_valid, known, unknown)
    return replace(clip, depth_confidence=confidence)


def flickering(clip: Clip) -> Clip:
    scale = torch.tensor([1.0, 1.12]).repeat(9)[: len(clip), None, None]
    return replace(clip, depth=clip.depth * scale)


def scaled(pose: torch.Tensor) -> torch.Tensor:
    return pose @ torch.diag(torch.tensor([1.02, 1.02, 1.02, 1.0]))


def turned(angle: float) -> torch.Tensor:
    transform = torch.eye(4)
    transform[:3, :3] = _rotations(torch.tensor([angle]), 1)[0]
    return transform


NOT_A_NUMBER = torch.full((4, 4), math.nan)
MIRROR = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))
LAST_ROW = torch.tensor([[0.0] * 4] * 3 + [[0.1, 0.0, 0.0, 0.0]])

BROKEN: dict[str, Change] = {
    "frame-rate": lambda clip: replace(clip, fps=0.0),
    "pose-finite": pose_change(4, lambda pose: NOT_A_NUMBER),
    "pose-last-row": pose_change(4, lambda pose: pose + LAST_ROW),
    "pose-rotation": pose_change(4, scaled),
    "pose-mirrored": pose_change(None, lambda pose: pose @ MIRROR),
    "translation-jump": pose_change(4, lambda pose: moved_by(1.5) @ pose),
    "rotation-jump": pose_change(4, lambda pose: pose @ turned(0.4)),
    "principal-point": lambda clip: with_intrinsics(clip, 1, 1, 3, 1),
    "focal-length": lambda clip: with_intrinsics(clip, 0.01, 0.01, 1, 1),
    "focal-ratio": lambda clip: with_intrinsics(clip, 1, 1.12, 1, 1),
    "zoom-jump": zoomed_at_once,
    "depth-known": little_known,
    "depth-range": far_away,
    "depth-confidence": lambda clip: with_confidence(clip, 1.5),
    "moving-share": lambda clip: replace(
        clip, dynamic_mask=torch.ones_like(clip.depth_valid).index_fill(0, torch.arange(5), False)
    ),
    "blank-frames": frames_of(blank_frame),
    "frozen-frames": frames_of(frozen_frame),
    "duplicate-frames": frames_of(repeated_frame),
    "reprojection": pose_change(None, torch.linalg.inv),
    "reprojection-places": pose_change(4, lambda pose: pose @ turned(0.12)),
    "depth-agreement": flickering,
    "reprojection-unknown": lambda clip: clip.taking([0] * 9),
}


@pytest.mark.parametrize("rule", list(BROKEN))
def test_a_clip_that_breaks_one_rule_is_found_by_it_and_by_no_other_error(rule: str) -> None:
    findings = check_clip(BROKEN[rule](GOOD))
    assert rule in rules_of(findings)
    assert rules_of(findings, "error") <= {rule}


def resealed(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """An array of a stored clip changed, and the index told so."""
    index = json.loads((folder / CLIP_INDEX).read_text())
    (folder / CLIP_INDEX).unlink()
    np.save(folder / name, change(np.load(folder / name)))
    write_index(index["facts"], folder, CLIP_INDEX)


def not_numbers(depth: np.ndarray) -> np.ndarray:
    depth[2, 5, 5] = np.nan
    return depth


STORED: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "frame-counts": ("depth.npy", lambda depth: depth[:-1]),
    "array-shapes": ("dynamic_mask.npy", lambda mask: mask[:, :-1]),
    "depth-values": ("depth.npy", not_numbers),
}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_clip(GOOD, tmp_path / "video")
    return tmp_path / "video"


@pytest.mark.parametrize("rule", list(STORED))
def test_arrays_that_make_no_clip_are_found_in_its_folder(rule: str, stored: Path) -> None:
    name, change = STORED[rule]
    resealed(stored, name, change)
    assert rules_of(check_clip_folder(stored).findings) == {rule}


def test_masks_of_numbers_are_found(stored: Path) -> None:
    resealed(stored, "dynamic_mask.npy", lambda mask: mask.astype(np.float32))
    (found,) = check_clip_folder(stored).findings
    assert found.rule == "array-shapes" and "dynamic_mask holds float32" in found.message


@pytest.mark.parametrize("name", ["frames/00003.png", "depth.npy", CLIP_INDEX])
@pytest.mark.parametrize("is_cut", [True, False])
def test_a_cut_or_altered_file_is_a_finding_that_names_it(
    stored: Path, name: str, is_cut: bool
) -> None:
    path = stored / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] if is_cut else whole[:-40] + b"?" + whole[-39:])
    checked = check_clip_folder(stored)
    (found,) = checked.findings
    assert (found.rule, found.severity) == ("stored-files", "error") and name in found.message
    assert (checked.clip, checked.num_frames, checked.worst) == ("video", None, "error")


def test_a_missing_file_is_a_finding(stored: Path) -> None:
    (stored / "intrinsics.npy").unlink()
    (found,) = check_clip_folder(stored).findings
    assert found.rule == "stored-files" and "intrinsics.npy: this file is missing" in found.message


def test_every_rule_has_a_clip_that_breaks_it() -> None:
    assert {*BROKEN, *STORED, "stored-files"} == set(RULES)


@pytest.mark.parametrize(
    "clip",
    [
        GOOD,
        SHAKEN,
        clip_of(STILL, moving_cameras(9), "still"),
        clip_of(STILL, still_camera(), "image"),
        clip_of(MOVING, hand_held(13, amount=2.5, seed=3), "fast"),
        replace(GOOD, dynamic_mask=None),
        replace(clip_of(MOVING, hand_held(13, amount=2.0, seed=4), "unmasked"), dynamic_mask=None),
        replace(GOOD, depth_scale="up_to_scale"),
        with_confidence(GOOD, 0.8),
        GOOD.taking([0, 1]),
        SHAKEN.reversed_in_time(),
    ],
    ids=lambda clip: clip.scene_id,
)
def test_a_good_clip_passes(clip: Clip) -> None:
    assert rules_of(check_clip(clip), "error", "warning") == set()


def test_a_good_clip_passes_from_its_folder_and_is_not_touched(stored: Path) -> None:
    before = sha256_of_folder(stored)
    checked = check_clip_folder(stored)
    assert checked.findings == () and checked.num_frames == 9 and checked.worst is None
    assert sha256_of_folder(stored) == before


def test_things_that_move_unmasked_in_a_still_picture_are_no_error() -> None:
    still = still_camera()
    cameras = Cameras.concatenate([still] * 9)
    clip = replace(clip_of(MOVING, cameras, "tripod"), dynamic_mask=None)
    assert rules_of(check_clip(clip), "error", "warning") == set()


def noisy(clip: Clip) -> Clip:
    """As a camera and an estimator would give it: noise, and depth off by 3 % here and there."""
    draws = torch.Generator().manual_seed(0)
    noise = 5 * torch.randn(clip.frames.shape, generator=draws)
    frames = (clip.frames + noise).round().clamp(0, 255).to(torch.uint8)
    error = 0.03 * torch.randn(len(clip), 1, 4, 5, generator=draws)
    wide = torch.nn.functional.interpolate(error, (HEIGHT, WIDTH), mode="bicubic")[:, 0]
    return replace(clip, frames=frames, depth=clip.depth * wide.exp(), dynamic_mask=None)


def test_a_noisy_clip_with_uneven_depth_passes() -> None:
    assert rules_of(check_clip(noisy(SHAKEN)), "error", "warning") == set()


def transposed(pose: torch.Tensor) -> torch.Tensor:
    changed = pose.clone()
    changed[:3, :3] = pose[:3, :3].T
    return changed


def shifted(clip: Clip, frames: int) -> Clip:
    """Every frame with the camera of the frame so many later; the last have the last one's."""
    indices = (torch.arange(len(clip)) + frames).clamp(0, len(clip) - 1)
    return replace(clip, cameras=clip.cameras[indices])


OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
SWAPPED = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]])


def far_positions(clip: Clip) -> Clip:
    poses = clip.cameras.camera_to_world.clone()
    poses[:, :3, 3] *= 2
    return with_poses(clip, poses)


WRONG: dict[str, tuple[Change, str]] = {
    "inverted": (pose_change(None, torch.linalg.inv), "poses are world-to-camera"),
    "transposed": (pose_change(None, transposed), "rotations are transposed"),
    "axes": (pose_change(None, lambda pose: pose @ OPENGL), "axes are OpenGL's"),
    "swapped": (pose_change(None, lambda pose: pose @ SWAPPED), ""),
    "reversed": (
        lambda clip: replace(clip, cameras=clip.cameras.reversed_in_time()),
        "run in reverse order",
    ),
    "early": (lambda clip: shifted(clip, 1), "cameras come 1 frame early"),
    "late": (lambda clip: shifted(clip, -2), "cameras come 2 frames late"),
    "long": (lambda clip: with_intrinsics(clip, 1.2, 1.2, 1, 1), "1.25 times the true ones"),
    "short": (lambda clip: with_intrinsics(clip, 0.8, 0.8, 1, 1), "0.8 times the true ones"),
    "unmoved": (lambda clip: with_poses(clip, torch.eye(4).repeat(len(clip), 1, 1)), ""),
    "scaled": (far_positions, "positions are 2 times"),
}


@pytest.mark.parametrize("name", list(WRONG))
@pytest.mark.parametrize("clip", [SHAKEN, replace(SHAKEN, dynamic_mask=None)], ids=["masked", "no"])
def test_wrong_cameras_are_found_in_the_pictures_and_named(clip: Clip, name: str) -> None:
    change, cause = WRONG[name]
    findings = check_clip(change(clip))
    assert rules_of(findings, "error") == {"reprojection"}
    (found,) = (found for found in findings if found.rule == "reprojection")
    assert cause in found.message


@pytest.mark.parametrize("name", ["inverted", "reversed", "unmoved", "swapped", "late"])
def test_wrong_cameras_are_found_in_noisy_clips(name: str) -> None:
    findings = check_clip(WRONG[name][0](noisy(SHAKEN)))
    assert rules_of(findings, "error") == {"reprojection"}


def test_poses_are_held_against_pictures_where_only_few_pixels_have_depth() -> None:
    known = torch.rand(SHAKEN.depth.shape, generator=torch.Generator().manual_seed(0)) < 0.06
    sparse = depth_known(SHAKEN, known)
    assert check_clip(sparse) == []
    findings = check_clip(WRONG["inverted"][0](sparse))
    assert rules_of(findings) == {"reprojection"}


def test_the_same_clip_has_the_same_findings_on_any_number_of_threads() -> None:
    clip = WRONG["early"][0](SHAKEN)
    threads = torch.get_num_threads()
    first = check_clip(clip)
    try:
        torch.set_num_threads(1)
        assert check_clip(clip) == first
    finally:
        torch.set_num_threads(threads)


def test_a_finding_tells_value_bound_and_remedy_and_is_plain_json() -> None:
    (found,) = check_clip(BROKEN["rotation-jump"](GOOD))[:1]
    assert found.frames == (4, 5) and found.where == "frames 4-5"
    assert found.value == pytest.approx(math.degrees(0.4), abs=1.0)
    assert "degrees" in found.message and "10 degrees" in found.bound and found.remedy
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["frames"] == [4, 5]
    assert replace(found, value=math.inf).as_json()["value"] is None


def test_a_slow_pan_of_any_size_is_no_jump_and_one_step_out_of_it_is() -> None:
    angles = torch.arange(20) * 0.05
    poses = torch.eye(4).repeat(20, 1, 1)
    poses[:, :3, :3] = _rotations(angles, 1)
    steps = rotation_steps(poses)
    assert steps.tolist() == pytest.approx([math.degrees(0.05)] * 19, abs=1e-3)
    assert sudden(steps, 1.0) == []
    steps[7] = 30.0
    assert sudden(steps, 10.0) == [8]


def test_a_folder_of_clips_is_all_of_them_and_one_without_is_refused(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_clip(GOOD.taking([0]), tmp_path / "clips" / name)
    (tmp_path / "clips" / ".partial-0").mkdir()
    assert [folder.name for folder in find_clips(tmp_path / "clips")] == ["a", "b"]
    assert find_clips(tmp_path / "clips" / "a") == [tmp_path / "clips" / "a"]
    for wrong in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="outputs/clips"):
            find_clips(wrong)
    with pytest.raises(InputError, match=CLIP_INDEX):
        check_clip_folder(tmp_path)


def test_the_guide_lists_every_rule_as_the_code_has_it() -> None:
    text = (REPOSITORY / "docs" / "checks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.M)
    stated = [
        (rule.name, rule.severity, rule.meaning, rule.bound, rule.remedy) for rule in RULES.values()
    ]
    assert rows == [tuple(cell.replace("|", r"\|") for cell in row) for row in stated]
