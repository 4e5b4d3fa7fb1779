"""Ground truth in the forms of RealEstate10K, DL3DV and Tanks and Temples, read from disk."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from lyra_data.engine.errors import InputError
from lyra_model.judging.protocols.built_in import find_protocol
from lyra_model.judging.truth.opening import open_truth
from lyra_model.judging.truth.preparing import true_camera, true_picture
from tests.truth_fixtures import (
    covered,
    picture,
    pose,
    seed_of,
    write_chunks,
    write_dl3dv,
    write_pictures,
    write_tanks,
    write_texts,
)

RE10K = find_protocol("re10k-pixelsplat").protocol.pictures
DL3DV = find_protocol("dl3dv-depthsplat-2").protocol.pictures
WORLDMIRROR = find_protocol("dl3dv-worldmirror").protocol.pictures
PLAIN = find_protocol("lyra-views").protocol.pictures
TANKS = replace(PLAIN, truth_format="colmap")


def check_camera(cameras, place: int, *, focal: float, centre: tuple[float, float]) -> None:
    assert np.abs(cameras.camera_to_world[0].numpy() - pose(place)).max() < 1e-6
    fx, fy, cx, cy = cameras.intrinsics[0].tolist()
    assert (fx, fy) == pytest.approx((focal, focal), rel=1e-3)
    assert (cx, cy) == pytest.approx(centre, abs=0.6)


@pytest.mark.parametrize("write", [write_chunks, write_texts])
def test_both_forms_of_realestate10k_give_the_same_frames(tmp_path, write) -> None:
    truth = open_truth(write(tmp_path / "re10k"), RE10K)
    assert {"00aa", "11bb"} <= set(truth.scene_names)
    frame = truth.scene("11bb").frames[3]
    prepared = true_picture(frame, RE10K)
    expected = covered(picture(seed_of("11bb", 3), 360, 640), 256, 256)
    assert torch.equal(prepared.levels, expected)
    camera = true_camera(frame, RE10K, prepared)
    assert (camera.height, camera.width) == (256, 256)
    check_camera(camera, 3, focal=0.6 * 640 * 256 / 360, centre=(128, 128))


def test_dl3dv_frames_are_counted_as_its_file_lists_them(tmp_path) -> None:
    truth = open_truth(write_dl3dv(tmp_path / "dl3dv"), DL3DV)
    frame = truth.scene("00aa").frames[2]
    prepared = true_picture(frame, DL3DV)
    whole = picture(seed_of("00aa", 2), 270, 480)
    assert torch.equal(prepared.levels, whole[:, 7:263, 16:464])  # cropped, never resampled
    camera = true_camera(frame, DL3DV, prepared)
    check_camera(camera, 2, focal=0.6 * 480, centre=(224, 128))


def test_worldmirror_enlarges_the_same_pictures(tmp_path) -> None:
    truth = open_truth(write_dl3dv(tmp_path / "dl3dv"), WORLDMIRROR)
    prepared = true_picture(truth.scene("00aa").frames[0], WORLDMIRROR)
    assert torch.equal(prepared.levels, covered(picture(seed_of("00aa", 0), 270, 480), 378, 518))


def test_tanks_and_temples_is_read_as_colmap_writes_it(tmp_path) -> None:
    truth = open_truth(write_tanks(tmp_path / "tanks"), TANKS)
    frames = truth.scene("11bb").frames
    assert [frame.name for frame in frames] == [f"{number:06d}" for number in range(1, 6)]
    prepared = true_picture(frames[4], TANKS)
    assert torch.equal(prepared.levels, picture(seed_of("11bb", 4), 68, 120))
    check_camera(true_camera(frames[4], TANKS, prepared), 4, focal=72, centre=(60, 34))


def test_a_distorted_lens_has_pictures_and_no_camera(tmp_path) -> None:
    folder = write_tanks(tmp_path / "tanks")
    cameras = folder / "00aa" / "sparse" / "0" / "cameras.txt"
    cameras.write_text("1 SIMPLE_RADIAL 120 68 72 60 34 0.1\n")
    frame = open_truth(folder, TANKS).scene("00aa").frames[0]
    prepared = true_picture(frame, TANKS)
    with pytest.raises(InputError, match="the lens is distorted"):
        true_camera(frame, TANKS, prepared)


def test_plain_pictures_have_no_cameras(tmp_path) -> None:
    truth = open_truth(write_pictures(tmp_path / "plain"), PLAIN)
    assert truth.scene_names == ["00aa", "11bb"]
    frame = truth.scene("00aa").frames[1]
    assert frame.name == "v1"
    with pytest.raises(InputError, match="no cameras"):
        true_camera(frame, PLAIN, true_picture(frame, PLAIN))


def test_one_folder_of_pictures_is_one_scene(tmp_path) -> None:
    truth = open_truth(write_pictures(tmp_path / "plain") / "11bb", PLAIN)
    assert truth.scene_names == ["11bb"]


def test_truth_of_another_size_is_refused_in_words(tmp_path) -> None:
    folder = write_chunks(tmp_path / "re10k", num_frames=1, size=(180, 320))
    frame = open_truth(folder, RE10K).scene("00aa").frames[0]
    with pytest.raises(InputError, match="320x180 pixels, and the protocol is for 640x360"):
        true_picture(frame, RE10K)
    small = replace(PLAIN, height=128, width=128, crop="centre")
    truth = open_truth(write_pictures(tmp_path / "plain"), small)
    with pytest.raises(InputError, match="compares 128x128"):
        true_picture(truth.scene("00aa").frames[0], small)


def test_a_protocol_that_does_not_crop_refuses_what_does_not_fit(tmp_path) -> None:
    square = replace(PLAIN, height=32, width=32, resampling="lanczos")
    truth = open_truth(write_pictures(tmp_path / "plain"), square)
    with pytest.raises(InputError, match="compares 32x32"):
        true_picture(truth.scene("00aa").frames[0], square)
    half = replace(square, width=48)
    assert true_picture(truth.scene("00aa").frames[0], half).levels.shape == (3, 32, 48)


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_no_code_of_a_chunk_is_run(tmp_path, capsys) -> None:
    folder = write_chunks(tmp_path / "re10k", num_frames=1)
    path = folder / "test" / "000000.torch"
    torch.save([{"key": "00aa", "images": [Evil()], "cameras": torch.zeros(1, 18)}], path)
    with pytest.raises(InputError, match="asks for code"):
        open_truth(folder, RE10K).scene("00aa")
    path.write_bytes(pickle.dumps([Evil()]))
    with pytest.raises(InputError, match=r"chunk of RealEstate10K|asks for code"):
        open_truth(folder, RE10K).scene("00aa")
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "example",
    [
        {"key": "../00aa", "images": [], "cameras": torch.zeros(0, 18)},
        {"key": "00aa", "images": [], "cameras": torch.zeros(1, 18)},
        {"key": "00aa", "images": [torch.zeros(3).byte()], "cameras": torch.zeros(1, 17)},
        {"key": "00aa", "images": [torch.zeros(3).byte()], "cameras": torch.zeros(1, 18)},
        {"images": []},
        "text",
    ],
)
def test_a_chunk_that_is_no_list_of_scenes_is_refused(tmp_path, example) -> None:
    folder = write_chunks(tmp_path / "re10k", num_frames=1)
    torch.save([example], folder / "test" / "000000.torch")
    with pytest.raises(InputError):
        open_truth(folder, RE10K).scene("00aa")


def test_a_damaged_picture_of_a_chunk_is_named(tmp_path) -> None:
    folder = write_chunks(tmp_path / "re10k", num_frames=1)
    path = folder / "test" / "000000.torch"
    [example] = torch.load(path, weights_only=True)
    example["images"] = [example["images"][0][:-200]]
    torch.save([example], path)
    frame = open_truth(folder, RE10K).scene("00aa").frames[0]
    with pytest.raises(InputError, match="not a readable picture") as caught:
        true_picture(frame, RE10K)
    assert "00aa, picture 0" in str(caught.value.where)


def test_an_index_leads_to_no_file_outside(tmp_path) -> None:
    folder = write_chunks(tmp_path / "re10k", num_frames=1)
    (folder / "test" / "index.json").write_text(json.dumps({"00aa": "../../secret.torch"}))
    with pytest.raises(InputError, match="no file here"):
        open_truth(folder, RE10K)


def test_chunks_without_an_index_are_found_too(tmp_path) -> None:
    folder = write_chunks(tmp_path / "re10k", num_frames=1)
    (folder / "test" / "index.json").unlink()
    assert open_truth(folder, RE10K).scene_names == ["00aa", "11bb", "33dd"]


def test_a_text_without_its_frames_or_with_a_strange_line_is_refused(tmp_path) -> None:
    folder = write_texts(tmp_path / "re10k", num_frames=2, size=(36, 64))
    next((folder / "00aa").iterdir()).unlink()
    with pytest.raises(InputError, match="no picture of the frame at"):
        open_truth(folder, RE10K).scene("00aa")
    with (folder / "11bb.txt").open("a") as file:
        file.write("12 0.5 0.5\n")
    with pytest.raises(InputError, match="line 4"):
        open_truth(folder, RE10K).scene("11bb")


def test_a_folder_of_another_form_is_refused_with_what_is_expected(tmp_path) -> None:
    write_pictures(tmp_path / "plain")
    for pictures in (RE10K, DL3DV, TANKS):
        with pytest.raises(InputError, match="no scene of form"):
            open_truth(tmp_path / "plain", pictures)
    with pytest.raises(InputError, match="no such folder"):
        open_truth(tmp_path / "nowhere", PLAIN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no picture here"):
        open_truth(tmp_path / "empty", PLAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"frames": None},
        {"frames": [{"file_path": "../x.png", "transform_matrix": np.eye(4).tolist()}]},
        {"frames": [{"file_path": "images/x.png", "transform_matrix": [[1]]}]},
        {"frames": [{"file_path": "images/x.png", "transform_matrix": np.zeros((4, 4)).tolist()}]},
        {"fl_x": "wide"},
    ],
)
def test_a_strange_transforms_json_is_refused(tmp_path, change) -> None:
    folder = write_dl3dv(tmp_path / "dl3dv", num_frames=1, size=(27, 48))
    path = folder / "00aa" / "transforms.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError):
        open_truth(folder, DL3DV).scene("00aa")
