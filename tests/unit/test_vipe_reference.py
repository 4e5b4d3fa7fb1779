"""The reference's loader of ViPE clips, on cases that its published numbers do not hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lyra_data.clips.formats.vipe import write_vipe
from lyra_data.clips.formats.vipe_reference import ReferenceSettings, load_as_reference
from lyra_data.engine.errors import InputError
from tests import ray_cast
from tests.vipe_folders import edit_archive, edit_arrays

NUM_FRAMES = 4
HEIGHT, WIDTH = ray_cast.HEIGHT, ray_cast.WIDTH

AS_IT_IS = ReferenceSettings(0, NUM_FRAMES, (HEIGHT, WIDTH), (HEIGHT, WIDTH), True)


@pytest.fixture(scope="module")
def clip():
    return ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(NUM_FRAMES), "ball")


@pytest.fixture
def folder(clip, tmp_path):
    write_vipe(clip, tmp_path / "result", "ball")
    return tmp_path / "result"


def test_at_its_own_size_a_clip_is_loaded_as_it_is(clip, folder):
    loaded = load_as_reference(folder, AS_IT_IS)
    assert torch.allclose(127.5 * (loaded.image + 1), clip.frames.float(), atol=1e-3)
    assert torch.equal(loaded.depth[:, 0], clip.depth.half().float())
    assert torch.equal(loaded.mask[:, 0].bool(), clip.dynamic_mask)
    assert torch.allclose(loaded.world_to_camera, clip.cameras.world_to_camera, atol=1e-6)
    assert torch.equal(loaded.intrinsic_matrices, clip.cameras.intrinsic_matrices)


def test_a_video_path_and_its_folder_give_the_same(folder):
    of_folder = load_as_reference(folder, AS_IT_IS)
    of_video = load_as_reference(folder / "rgb/ball.mp4", AS_IT_IS)
    assert torch.equal(of_folder.image, of_video.image)


@pytest.mark.parametrize(
    ("start", "num_frames", "taken"),
    [(2, 4, [2, 3, 3, 3]), (99, 2, [3, 3]), (1, 2, [1, 2]), (0, 6, [0, 1, 2, 3, 3, 3])],
)
def test_the_last_frame_is_repeated_and_stands_for_what_is_beyond(folder, start, num_frames, taken):
    settings = AS_IT_IS._replace(start=start, num_frames=num_frames)
    loaded, whole = load_as_reference(folder, settings), load_as_reference(folder, AS_IT_IS)
    assert torch.equal(loaded.image, whole.image[taken])
    assert torch.equal(loaded.depth, whole.depth[taken])
    assert torch.equal(loaded.mask, whole.mask[taken])
    assert torch.equal(loaded.world_to_camera, whole.world_to_camera[taken])
    assert torch.equal(loaded.intrinsic_matrices, whole.intrinsic_matrices[taken])


def test_a_crop_larger_than_the_picture_cuts_and_adds_nothing(folder):
    loaded = load_as_reference(folder, AS_IT_IS._replace(resize=(48, 64), crop=(60, 50)))
    assert loaded.image.shape[-2:] == (48, 50)
    whole = load_as_reference(folder, AS_IT_IS._replace(resize=(48, 64), crop=(48, 64)))
    assert torch.equal(loaded.image, whole.image[..., 7:57])
    shift = whole.intrinsic_matrices - loaded.intrinsic_matrices
    assert torch.equal(shift[0], torch.tensor([[0.0, 0, 7], [0, 0, 0], [0, 0, 0]]))


def test_masks_are_everything_unless_asked_for_and_there(folder):
    assert (load_as_reference(folder, AS_IT_IS._replace(read_mask=False)).mask == 1).all()
    edit_archive(folder / "mask/ball.zip", {"00001.png": None})
    loaded = load_as_reference(folder, AS_IT_IS)
    assert (loaded.mask[1] == 1).all() and not (loaded.mask[0] == 1).all()
    (folder / "mask/ball.zip").unlink()
    assert (load_as_reference(folder, AS_IT_IS).mask == 1).all()


def test_depth_is_mixed_across_holes_as_the_reference_mixes_it(folder, clip):
    """The hole of columns 90..95 leaks into its neighbours, which native loading never lets it."""
    loaded = load_as_reference(folder, AS_IT_IS._replace(resize=(HEIGHT, WIDTH * 2)))
    row = loaded.depth[0, 0, 22]
    beside = clip.depth[0, 22, 89]
    assert 0 < row[90 * 2 - 32 * 2 - 1] < 0.8 * beside


def test_matrices_of_intrinsics_and_flat_poses_are_read(folder, clip):
    matrices = clip.cameras.intrinsic_matrices.numpy()
    edit_arrays(folder / "intrinsics/ball.npz", data=lambda _: matrices)
    edit_arrays(folder / "pose/ball.npz", data=lambda x: x.reshape(-1, 16))
    loaded = load_as_reference(folder, AS_IT_IS)
    assert torch.equal(loaded.intrinsic_matrices, clip.cameras.intrinsic_matrices)
    assert torch.allclose(loaded.world_to_camera, clip.cameras.world_to_camera, atol=1e-6)


def test_of_several_clips_the_first_is_taken(folder, clip, tmp_path):
    other = replace(clip, frames=255 - clip.frames)
    write_vipe(other, tmp_path / "other", "aaa")
    for path in (tmp_path / "other").rglob("aaa*"):
        path.rename(folder / path.relative_to(tmp_path / "other"))
    loaded = load_as_reference(folder, AS_IT_IS)
    assert torch.allclose(127.5 * (loaded.image + 1), other.frames.float(), atol=1e-3)


def test_a_frame_that_is_loaded_needs_a_camera(folder):
    edit_arrays(folder / "pose/ball.npz", data=lambda x: x[:3], inds=lambda x: x[:3])
    assert len(load_as_reference(folder, AS_IT_IS._replace(num_frames=3)).image) == 3
    with pytest.raises(InputError, match="nothing is known of frame 3"):
        load_as_reference(folder, AS_IT_IS)
    edit_arrays(folder / "intrinsics/ball.npz", data=lambda x: np.concatenate([x, x[:, :1]], 1))
    with pytest.raises(InputError, match=r"shape \[5\]"):
        load_as_reference(folder, AS_IT_IS._replace(num_frames=3))


def test_poses_of_another_form_are_refused_and_not_cut_anew(folder):
    """Four of 3x4 hold as many numbers as three of 4x4."""
    edit_arrays(folder / "pose/ball.npz", data=lambda x: x[:, :3])
    with pytest.raises(InputError, match=r"poses of shape \[3, 4\]"):
        load_as_reference(folder, AS_IT_IS)
