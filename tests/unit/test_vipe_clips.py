"""ViPE's folders: what is written is read again, and nothing is added to it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lyra_data.clips.formats.vipe import read_vipe, write_vipe
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.media.video import pictures
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from tests import ray_cast
from tests.video_samples import write
from tests.vipe_folders import edit_archive, edit_arrays, exr_of, png_of

NUM_FRAMES = 4
HEIGHT, WIDTH = ray_cast.HEIGHT, ray_cast.WIDTH


@pytest.fixture(scope="module")
def clip() -> Clip:
    return ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(NUM_FRAMES), "ball")


@pytest.fixture
def folder(clip, tmp_path) -> Path:
    write_vipe(clip, tmp_path / "result", "ball")
    return tmp_path / "result"


def test_a_clip_written_and_read_again_is_the_same(clip, folder):
    found = read_vipe(folder)
    assert torch.equal(found.frames, clip.frames)
    assert found.fps == clip.fps
    assert torch.equal(found.cameras.camera_to_world, clip.cameras.camera_to_world)
    assert torch.equal(found.cameras.intrinsics, clip.cameras.intrinsics)
    assert torch.equal(found.depth_valid, clip.depth_valid)
    assert torch.equal(found.depth, clip.depth.half().float())
    assert torch.equal(found.dynamic_mask, clip.dynamic_mask)
    assert not clip.depth_valid.all() and clip.dynamic_mask.any()


def test_depth_loses_no_more_than_a_half_float_rounds(clip, folder):
    relative = (read_vipe(folder).depth - clip.depth).abs() / clip.depth.clamp(min=1e-3)
    assert relative.max() <= 2.0**-11


def test_the_same_clip_gives_the_same_bytes(clip, folder, tmp_path):
    write_vipe(clip, tmp_path / "again", "ball")
    assert sha256_of_files(tmp_path / "again") == sha256_of_files(folder)


def test_odd_sizes_survive(clip, tmp_path):
    cameras = clip.cameras.cropped(0, 0, 33, 47)
    small = replace(
        clip,
        frames=clip.frames[:, :, :33, :47],
        cameras=cameras,
        depth=clip.depth[:, :33, :47],
        depth_valid=clip.depth_valid[:, :33, :47],
        dynamic_mask=None,
        fps=30000 / 1001,
    )
    write_vipe(small, tmp_path / "result", "small")
    found = read_vipe(tmp_path / "result", "small")
    assert torch.equal(found.frames, small.frames) and found.dynamic_mask is None
    assert found.fps == pytest.approx(small.fps, rel=1e-9)


def test_a_clip_that_cannot_be_written_leaves_nothing(clip, folder, tmp_path):
    before = sha256_of_files(folder)
    far = replace(clip, depth=torch.where(clip.depth_valid, 70000.0, 0.0))
    with pytest.raises(InputError, match="70000 does not fit a half float"):
        write_vipe(far, tmp_path / "far", "ball")
    with pytest.raises(InputError, match="cannot name a file"):
        write_vipe(clip, tmp_path / "far", "../ball")
    with pytest.raises(InputError, match="not empty"):
        write_vipe(clip, folder, "ball")
    assert sha256_of_files(folder) == before and not (tmp_path / "far").exists()


def photometric_error(frames, depth, valid, cameras: Cameras, first: int, second: int) -> float:
    """Median colour difference, of 255, of one frame warped onto another by depth and cameras.

    The median passes over what only one of the two sees.
    """
    origin, direction = ray_cast.pixel_rays(cameras[[first]])
    points = origin + depth[first].double()[..., None] * direction
    pose = cameras.camera_to_world[second].double()
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    fx, fy, cx, cy = cameras.intrinsics[second].double()
    column = fx * local[..., 0] / local[..., 2] + cx
    row = fy * local[..., 1] / local[..., 2] + cy
    grid = torch.stack([2 * column / WIDTH - 1, 2 * row / HEIGHT - 1], -1)
    used = valid[first] & (grid.abs() < 1).all(-1)
    assert used.float().mean() > 0.5
    seen = F.grid_sample(frames[second][None].float(), grid[None].float(), align_corners=False)[0]
    return float((seen - frames[first].float()).abs().mean(0)[used].median())


def test_depth_and_cameras_that_are_read_carry_one_frame_onto_another(tmp_path):
    """Axes, direction of poses, pixel centres and z depth at once: the world is one."""
    cameras = ray_cast.moving_cameras(6)
    still = ray_cast.clip_of(ray_cast.STILL, cameras, "still")
    write_vipe(still, tmp_path / "result", "still")
    found = read_vipe(tmp_path / "result")
    frames, depth, valid = found.frames, found.depth, found.depth_valid

    def error(cameras: Cameras) -> float:
        return photometric_error(frames, depth, valid, cameras, 0, 5)

    right = error(found.cameras)
    assert right < 1.3
    turned = replace(found.cameras, camera_to_world=found.cameras.world_to_camera)
    assert error(turned) > 20 * right
    for half_pixel in (-0.5, 0.5):
        shift = torch.tensor([0.0, 0.0, half_pixel, half_pixel])
        off = replace(found.cameras, intrinsics=found.cameras.intrinsics + shift)
        assert error(off) > 1.4 * right


def test_unknown_depth_is_0_and_nothing_fills_it(folder, clip, caplog):
    values = clip.depth[1].half().numpy().copy()
    values[0, :4] = (np.nan, np.inf, -np.inf + np.inf, 0)
    nothing = np.full((HEIGHT, WIDTH), np.nan, np.float16)
    edit_archive(
        folder / "depth/ball.zip", {"00001.exr": exr_of(values), "00002.exr": exr_of(nothing)}
    )
    with caplog.at_level(logging.WARNING):
        found = read_vipe(folder)
    assert not found.depth_valid[1, 0, :4].any() and (found.depth[1, 0, :4] == 0).all()
    assert torch.equal(found.depth[1, 1:], clip.depth[1, 1:].half().float())
    assert not found.depth_valid[2].any()
    assert "no depth is known in frame 2" in caplog.text


def test_depth_in_full_floats_is_read_too(folder, clip):
    edit_archive(folder / "depth/ball.zip", {"00001.exr": exr_of(clip.depth[1].numpy())})
    assert torch.equal(read_vipe(folder).depth[1], clip.depth[1])


def test_the_sky_is_an_instance_that_does_not_move(folder):
    instances = np.zeros((HEIGHT, WIDTH), np.uint8)
    instances[:10], instances[50:60], instances[80:] = 2, 1, 7
    edit_archive(folder / "mask/ball.zip", {"00000.png": png_of(instances)})
    (folder / "mask/ball.txt").write_text("1: person\n2: sky\n")
    moving = read_vipe(folder).dynamic_mask[0].numpy()
    assert np.array_equal(moving, (instances == 1) | (instances == 7))
    (folder / "mask/ball.txt").unlink()  # then nobody knows that 2 is the sky
    assert np.array_equal(read_vipe(folder).dynamic_mask[0].numpy(), instances > 0)


def test_poses_are_found_by_their_frame_numbers(folder, clip):
    order = [2, 0, 3, 1]
    edit_arrays(folder / "pose/ball.npz", data=lambda x: x[order], inds=lambda x: x[order])
    found = read_vipe(folder).cameras.camera_to_world
    assert torch.equal(found, clip.cameras.camera_to_world)


def test_a_video_that_names_no_colour_matrix_is_what_ffmpeg_makes_of_rgb_at_any_size(
    clip, folder, monkeypatch
):
    write(clip.frames, folder / "rgb" / "ball.mp4")  # FFmpeg names no matrix unless it is asked to
    monkeypatch.setattr(pictures, "STANDARD_HEIGHT", HEIGHT - 1)  # as if this were of HD size
    error = (read_vipe(folder).frames.int() - clip.frames.int()).abs().float().mean()
    assert error < 2
