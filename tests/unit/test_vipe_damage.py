"""What is wrong with a folder of ViPE's is said, naming the file; it is never mended."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from lyra_data.clips.formats.vipe import read_vipe, write_vipe
from lyra_data.media.video import write_video
from lyra_data.scene.clip import Clip
from tests import ray_cast
from tests.vipe_folders import edit_archive, edit_arrays, exr_of, png_of, refused

NUM_FRAMES = 4
HEIGHT, WIDTH = ray_cast.HEIGHT, ray_cast.WIDTH


@pytest.fixture(scope="module")
def clip() -> Clip:
    return ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(NUM_FRAMES), "ball")


@pytest.fixture
def folder(clip, tmp_path) -> Path:
    write_vipe(clip, tmp_path / "result", "ball")
    return tmp_path / "result"


@pytest.mark.parametrize("name", ["pose", "intrinsics"])
def test_a_frame_without_a_camera_is_named(folder, name):
    edit_arrays(
        folder / name / "ball.npz", data=lambda x: x[[0, 1, 3]], inds=lambda x: x[[0, 1, 3]]
    )
    refused(folder, f"{name}/ball.npz", f"no {name} of frame 2", "0 to 3")


ARRAY_DEFECTS = {
    "no rotation": (
        "pose",
        {"data": lambda x: x * np.array([[1.1] * 3 + [1]] * 3 + [[1] * 4], np.float32)},
        ("frame 0", "rotation off by 0.2"),
    ),
    "mirror": (
        "pose",
        {"data": lambda x: x * np.array([-1, 1, 1, 1], np.float32)},
        ("it mirrors",),
    ),
    "last row": (
        "pose",
        {"data": lambda x: x + np.eye(4, k=-3, dtype=np.float32)},
        ("last row [1.0,",),
    ),
    "NaN": (
        "pose",
        {"data": lambda x: np.where(np.arange(4)[:, None, None] == 2, np.nan, x)},
        ("pose of frame 2 is not finite",),
    ),
    "twice": (
        "pose",
        {"data": lambda x: x[[0, 1, 2, 3, 3]], "inds": lambda x: x[[0, 1, 2, 3, 3]]},
        ("5 entries for 4 frames: some frame has two",),
    ),
    "too many": (
        "pose",
        {"data": lambda x: x[[0, 1, 2, 3, 3]], "inds": lambda _: np.arange(5)},
        ("pose of frame 4", "does not have"),
    ),
    "no numbers": ("pose", {"inds": lambda x: x[:3]}, ("3 frame numbers for 4 entries",)),
    "rows": ("pose", {"data": lambda x: x[:, :3]}, ("poses of shape [3, 4]",)),
    "kind": ("pose", {"data": lambda x: x.astype(np.int32)}, ("data int32",)),
    "distortion": (
        "intrinsics",
        {"data": lambda x: np.concatenate([x, x[:, :1] * 0], 1)},
        ("[5] intrinsics a frame", "distortion", "undistort"),
    ),
    "zeros": ("intrinsics", {"data": lambda x: x * 0}, ("impossible for", "panorama")),
    "fractions": ("intrinsics", {"data": lambda x: x / 128}, ("frame 0", "impossible for")),
    "centre": (
        "intrinsics",
        {"data": lambda x: x + np.array([0, 0, 200, 0], np.float32)},
        ("impossible for a picture of 128x96",),
    ),
}


@pytest.mark.parametrize("defect", ARRAY_DEFECTS)
def test_impossible_cameras_are_refused(folder, defect):
    name, changes, words = ARRAY_DEFECTS[defect]
    edit_arrays(folder / name / "ball.npz", **changes)
    refused(folder, f"{name}/ball.npz", *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0: MEI\n1: MEI\n2: MEI\n3: MEI\n", ("of kind MEI", "undistort")),
        ("0: PANORAMA\n", ("of kind PANORAMA",)),
        ("0: PINHOLE\n1: PINHOLE\n", ("2 lines, the video 4 frames",)),
        ("0: PINHOLE\nfisheye\n", ("line 2 is 'fisheye'", "known: PINHOLE")),
    ],
)
def test_other_lenses_than_pinholes_are_refused(folder, text, words):
    (folder / "intrinsics/ball_camera.txt").write_text(text)
    refused(folder, "ball_camera.txt", *words)


def test_a_result_that_names_no_lens_is_read_as_vipe_reads_it(folder):
    (folder / "intrinsics/ball_camera.txt").unlink()
    assert "the result names none" in read_vipe(folder).facts["camera_type"]


GREY = np.zeros((HEIGHT, WIDTH), np.uint8)
NEGATIVE = np.full((HEIGHT, WIDTH), -1.5, np.float16)
ARCHIVE_DEFECTS = {
    "gap": ("depth", {"00002.exr": None}, ("no depth map of 1 of 4 frames, first 00002.exr",)),
    "longer": ("depth", {"00004.exr": exr_of(NEGATIVE)}, ("'00004.exr' belongs to no frame",)),
    "foreign": ("depth", {"notes.txt": b""}, ("'notes.txt' is nothing ViPE writes",)),
    "unreadable": ("depth", {"00001.exr": b"no EXR"}, ("00001.exr", "cannot be read")),
    "empty": ("depth", {"00001.exr": b""}, ("00001.exr", "cannot be read")),
    "channel": ("depth", {"00001.exr": exr_of(NEGATIVE, "Y")}, ("a channel Z", "found Y")),
    "negative": ("depth", {"00001.exr": exr_of(NEGATIVE)}, ("negative depth", "-1.5")),
    "size": ("depth", {"00001.exr": exr_of(NEGATIVE[:40])}, ("128x40 pixels, the video 128x96",)),
    "bomb": ("depth", {"00001.exr": bytes(1 << 22)}, ("unpacks to 4194304 bytes",)),
    "mask gap": ("mask", {"00000.png": None}, ("no mask of 1 of 4 frames",)),
    "mask size": ("mask", {"00003.png": png_of(GREY[:, :64])}, ("64x96 pixels, the video",)),
    "mask colours": ("mask", {"00003.png": png_of(np.stack([GREY] * 3, -1))}, ("has 3 channels",)),
    "mask unreadable": ("mask", {"00003.png": b"no PNG"}, ("00003.png", "cannot be read")),
}


@pytest.mark.parametrize("defect", ARCHIVE_DEFECTS)
def test_damaged_maps_are_refused(folder, defect):
    name, changes, words = ARCHIVE_DEFECTS[defect]
    edit_archive(folder / name / "ball.zip", changes)
    refused(folder, f"{name}/ball.zip", *words)


def test_no_depth_anywhere_is_refused(folder):
    nothing = exr_of(np.zeros((HEIGHT, WIDTH), np.float16))
    edit_archive(folder / "depth/ball.zip", {f"{i:05d}.exr": nothing for i in range(NUM_FRAMES)})
    refused(folder, "no depth is known in any of the 4 frames")


@pytest.mark.parametrize(
    "name", ["pose/ball.npz", "depth/ball.zip", "mask/ball.zip", "rgb/ball.mp4"]
)
def test_a_file_cut_in_half_is_refused(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(folder, name)


@pytest.mark.parametrize("name", ["pose/ball.npz", "intrinsics/ball.npz", "depth/ball.zip"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, name, "is incomplete", "`lyra`")


def test_a_damaged_file_of_phrases_is_refused(folder):
    (folder / "mask/ball.txt").write_text("person\n")
    refused(folder, "mask/ball.txt", "a line is 'person'")


def test_a_pickled_array_is_not_opened(folder):
    np.savez(folder / "pose/ball.npz", data=np.array([{}], dtype=object), inds=np.arange(1))
    refused(folder, "pose/ball.npz")


def test_a_video_of_another_run_is_refused(folder, clip):
    write_video(clip.frames[:3], folder / "rgb/ball.mp4", fps=24.0, lossless=True)
    refused(folder, "ball_camera.txt", "4 lines, the video 3 frames")
    (folder / "intrinsics/ball_camera.txt").unlink()
    refused(folder, "pose of frame 3", "the video of 3 frames")


def test_a_variable_rate_is_refused_for_frames_would_not_fit_poses(folder, clip):
    with av.open(str(folder / "rgb/ball.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for index, picture in enumerate(clip.frames.permute(0, 2, 3, 1).contiguous().numpy()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index + (4 if index > 1 else 0)
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode())
    refused(folder, "rgb/ball.mp4", "variable frame rate")


def test_which_clip_is_meant_must_be_clear(folder, tmp_path):
    (folder / "rgb/other.mp4").write_bytes(b"")
    refused(folder, "which of its 2 clips", "ball, other")
    refused(folder, "no clip 'bal'", "ball, other", name="bal")
    refused(tmp_path / "nowhere", "no such folder")
    refused(tmp_path, "holds no clip")
    assert len(read_vipe(folder, "ball").frames) == NUM_FRAMES


def test_the_info_pickle_is_not_opened(folder):
    (folder / "vipe").mkdir()
    (folder / "vipe/ball_info.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    assert read_vipe(folder).facts["info"] == "not read: it is a pickle"
