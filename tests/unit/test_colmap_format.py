"""COLMAP datasets: what is written is read again, and means what pycolmap takes it for.

pycolmap runs in processes of its own: lyra_data/clips/formats/colmap_process.py says why.
Long because its cases share how a dataset is written and spoiled.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lyra_data.clips.formats.colmap import write_colmap
from lyra_data.clips.formats.colmap_lenses import DISTORTION, LENSES
from lyra_data.clips.formats.undistortion import distorted
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_folder
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources import SOURCES
from tests.ray_cast import BACKGROUND, MOVING, clip_of, moving_cameras, pixel_rays

CLIP = clip_of(MOVING, moving_cameras(5), "video")
HEIGHT, WIDTH = CLIP.cameras.height, CLIP.cameras.width


def read(folder: Path) -> SourceMaterial:
    values = {"name": "colmap", "folder": folder.name, "scene_id": "mine", "fps": 12.0}
    return SOURCES.create(values, where="test").read(folder.parent)


def refused(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder)
    assert caught.value.where and caught.value.fix
    return caught.value


def by_pycolmap(code: str, *arguments: object) -> Any:
    """What code prints as JSON, run where pycolmap may be loaded."""
    head = "import json, sys\nimport numpy as np\nimport pycolmap\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole, right dataset."""
    folder = tmp_path_factory.mktemp("written") / "dataset"
    write_colmap(CLIP, folder)
    return folder


@pytest.fixture
def dataset(written: Path, tmp_path: Path) -> Path:
    """A copy of it, for tests to spoil."""
    return shutil.copytree(written, tmp_path / "dataset")


# What is written


def test_a_clip_comes_back_as_it_was_written(written: Path) -> None:
    material = read(written)
    assert torch.equal(material.frames, CLIP.frames)
    assert material.cameras is not None
    torch.testing.assert_close(
        material.cameras.camera_to_world, CLIP.cameras.camera_to_world, atol=1e-6, rtol=0
    )
    assert torch.equal(material.cameras.intrinsics, CLIP.cameras.intrinsics)
    assert torch.equal(material.depth, CLIP.depth)  # type: ignore[arg-type]
    assert torch.equal(material.depth_valid, CLIP.depth_valid)  # type: ignore[arg-type]
    assert torch.equal(material.dynamic_mask, CLIP.dynamic_mask)  # type: ignore[arg-type]
    assert (material.depth_scale, material.fps) == ("metric", 12.0)
    assert material.provenance["frames_posed"] == "5 of 5"
    assert str(written.parent) not in json.dumps(material.provenance)


def test_pycolmap_projects_what_a_pixel_shows_to_that_pixels_centre(
    written: Path, tmp_path: Path
) -> None:
    points = []
    for index in range(len(CLIP)):
        origin, direction = pixel_rays(CLIP.cameras[[index]])
        points.append(origin + CLIP.depth[index].double()[..., None] * direction)
    np.save(tmp_path / "points.npy", torch.stack(points).numpy())
    code = """
model = pycolmap.Reconstruction(sys.argv[1])
points = np.load(sys.argv[2])
places = []
for image in sorted(model.images.values(), key=lambda image: image.name):
    seen = points[len(places)][::7, ::7].reshape(-1, 3)
    found = [image.project_point(point) for point in seen]
    places.append([[-1, -1] if place is None else place.tolist() for place in found])
print(json.dumps(places))
"""
    places = by_pycolmap(code, written / "sparse" / "0", tmp_path / "points.npy")
    rows, columns = np.mgrid[:HEIGHT:7, :WIDTH:7]
    centres = np.stack([columns + 0.5, rows + 0.5], -1).reshape(-1, 2)
    for index, found in enumerate(np.array(places)):
        known = CLIP.depth_valid[index].numpy()[::7, ::7].reshape(-1)
        np.testing.assert_allclose(found[known], centres[known], atol=1e-3)


def test_points_lie_on_what_stands_still_where_their_frames_see_them(written: Path) -> None:
    code = """
model = pycolmap.Reconstruction(sys.argv[1])
points = list(model.points3D.values())
print(json.dumps({
    "positions": [point.xyz.tolist() for point in points],
    "lengths": [point.track.length() for point in points],
    "errors": [point.error for point in points],
    "cameras": sorted(camera.model.name for camera in model.cameras.values()),
}))
"""
    found = by_pycolmap(code, written / "sparse" / "0")
    positions = np.array(found["positions"])
    off = np.stack([np.abs(positions @ np.array(p.normal) - p.offset) for p in BACKGROUND])
    assert len(positions) > 1000 and off.min(0).max() < 1e-3
    assert max(found["errors"]) < 1e-3
    assert np.mean(np.array(found["lengths"]) >= 3) > 0.5  # COLMAP's viewer hides shorter tracks
    assert found["cameras"] == ["PINHOLE"] * 5


def test_the_same_clip_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_colmap(CLIP, tmp_path / "again")
    assert sha256_of_folder(tmp_path / "again") == sha256_of_folder(written)


def test_depth_that_is_nowhere_known_stays_so(tmp_path: Path) -> None:
    depth = CLIP.depth.clone()
    depth[3] = 0
    clip = replace(CLIP, depth=depth, depth_valid=depth > 0, depth_scale="up_to_scale")
    write_colmap(clip, tmp_path / "dataset")
    material = read(tmp_path / "dataset")
    assert torch.equal(material.depth, depth)  # type: ignore[arg-type]
    assert material.depth_scale == "up_to_scale"


def test_a_clip_without_depth_gives_cameras_alone(tmp_path: Path) -> None:
    none = torch.zeros_like(CLIP.depth)
    write_colmap(
        replace(CLIP, depth=none, depth_valid=none > 0, dynamic_mask=None), tmp_path / "dataset"
    )
    material = read(tmp_path / "dataset")
    assert (material.depth, material.depth_valid, material.depth_scale) == (None, None, None)
    assert material.dynamic_mask is None and material.cameras is not None


def test_nothing_of_the_users_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        write_colmap(CLIP, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["mine.txt"]


# What COLMAP writes


IMAGES = """# Image list with two lines of data per image:
7 0.7071067811865476 0 0.7071067811865476 0 1 2 3 4 frame10.png

2 1 0 0 0 0.5 0 0 4 frame2.png

"""
"""frame10 looks along the world's -x: its x is the world's z, its z the world's -x."""


@pytest.fixture
def by_hand(dataset: Path) -> Path:
    """A text model as it is documented, of two pictures, without depth or masks."""
    for name in ("depth", "masks", "sparse"):
        shutil.rmtree(dataset / name)
    for index, name in enumerate(("frame2", "frame10")):
        (dataset / "images" / f"0000{index}.png").rename(dataset / "images" / f"{name}.png")
    (dataset / "sparse").mkdir()
    (dataset / "sparse" / "cameras.txt").write_text(f"4 PINHOLE {WIDTH} {HEIGHT} 110 112 63 49\n")
    (dataset / "sparse" / "images.txt").write_text(IMAGES)
    (dataset / "sparse" / "points3D.txt").write_text("")
    return dataset


def camera_line(dataset: Path, model: str, *params: float) -> None:
    values = " ".join(map(str, params))
    (dataset / "sparse" / "cameras.txt").write_text(f"4 {model} {WIDTH} {HEIGHT} {values}\n")


def test_a_text_model_is_read_as_it_is_documented(
    by_hand: Path, caplog: pytest.LogCaptureFixture
) -> None:
    material = read(by_hand)
    assert torch.equal(material.frames, CLIP.frames[:2])  # frame2 comes before frame10
    assert material.cameras is not None and material.depth is None
    first, second = material.cameras.camera_to_world
    assert first[:3, 3].tolist() == [-0.5, 0, 0]
    # The axes of the camera in the world are the columns: x, y and z.
    torch.testing.assert_close(
        second[:3, :3], torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(second[:3, 3], torch.tensor([3.0, -2, -1]), atol=1e-6, rtol=0)
    assert material.cameras.intrinsics.tolist() == [[110, 112, 63, 49]] * 2
    assert "3 of 5 pictures have no pose" in caplog.text
    assert material.provenance["frames_posed"] == "2 of 5"


def test_a_text_model_says_what_a_binary_one_says(dataset: Path) -> None:
    before = read(dataset)
    code = """
from pathlib import Path
model = pycolmap.Reconstruction(sys.argv[1])
for path in Path(sys.argv[1]).iterdir(): path.unlink()
model.write_text(sys.argv[1])
print(1)
"""
    by_pycolmap(code, dataset / "sparse" / "0")
    assert (dataset / "sparse" / "0" / "images.txt").is_file()
    after = read(dataset)
    assert after.cameras is not None and before.cameras is not None
    assert torch.equal(after.cameras.camera_to_world, before.cameras.camera_to_world)


def test_points_of_a_text_model_are_not_needed(by_hand: Path) -> None:
    points = by_hand / "sparse" / "points3D.txt"
    points.write_text("1 0.1 0.2 3.5 200 100 50 0 1 7 2 9\n")  # tracks that lead nowhere
    before = read(by_hand)
    assert before.provenance["sparse_points"] == "1"
    points.unlink()
    assert torch.equal(read(by_hand).frames, before.frames)


def test_names_may_be_relative_to_the_model_and_hold_blanks(by_hand: Path) -> None:
    before = read(by_hand)
    assert before.cameras is not None
    for name in ("cameras.txt", "images.txt", "points3D.txt"):
        (by_hand / "sparse" / name).rename(by_hand / name)
    (by_hand / "sparse").rmdir()
    text = (by_hand / "images.txt").read_text()
    for name in ("frame2", "frame10"):
        spaced = name.replace("frame", "my frame ")
        (by_hand / "images" / f"{name}.png").rename(by_hand / "images" / f"{spaced}.png")
        text = text.replace(f"{name}.png", f"images/{spaced}.png")
    (by_hand / "images.txt").write_text(text)
    after = read(by_hand)
    assert after.cameras is not None and torch.equal(after.frames, before.frames)
    assert torch.equal(after.cameras.camera_to_world, before.cameras.camera_to_world)


@pytest.mark.parametrize(
    ("model", "number", "params"),
    [("SIMPLE_DIVISION", 12, [110, 63, 49, 0.1]), ("EQUIRECTANGULAR", 17, [128, 96])],
)
def test_a_binary_model_with_a_newer_lens_is_refused_by_its_name(
    dataset: Path, model: str, number: int, params: list[float]
) -> None:
    path = dataset / "sparse" / "0" / "cameras.bin"
    data = path.read_bytes()
    # A number of cameras; then of each its id, model, size, and the 4 parameters of a PINHOLE.
    head, rest = data[:12], data[8 + 24 + 32 :]
    size = struct.pack("<QQ", WIDTH, HEIGHT)
    values = struct.pack(f"<{len(params)}d", *params)
    path.write_bytes(head + struct.pack("<i", number) + size + values + rest)
    assert f"camera model {model}" in refused(dataset).what
    path.write_bytes(head + struct.pack("<i", 18) + size + values + rest)
    assert "number 18 is newer" in refused(dataset).what


def test_one_focal_length_is_that_of_both_axes(by_hand: Path) -> None:
    camera_line(by_hand, "SIMPLE_PINHOLE", 120, 63, 49)
    cameras = read(by_hand).cameras
    assert cameras is not None and cameras.intrinsics[1].tolist() == [120, 120, 63, 49]


@pytest.mark.parametrize("model", LENSES)
def test_a_lens_means_what_pycolmap_takes_it_for(model: str) -> None:
    typical = {"f": 110, "fx": 110, "fy": 112, "cx": 63, "cy": 49, "k1": -0.1, "k2": 0.02}
    typical |= {"p1": 0.003, "p2": -0.002, "k3": 0.01, "k4": 0.05, "k5": -0.02, "k6": 0.004}
    values = {key: typical[key] for key in LENSES[model]}
    code = """
model, params = sys.argv[1], json.loads(sys.argv[2])
camera = pycolmap.Camera(model=model, width=128, height=96, params=params)
print(json.dumps([camera.img_from_cam(np.array([x, y, 2.0])).tolist()
                  for x in (-0.9, 0.1, 1.0) for y in (-0.7, 0.6)]))
"""
    found = by_pycolmap(code, model, json.dumps(list(values.values())))
    x, y = (torch.tensor([-0.9, 0.1, 1.0]), torch.tensor([-0.7, 0.6]))
    grid = torch.cartesian_prod(x.double(), y.double()) / 2
    column, row = distorted(*grid.T, tuple(values.get(key, 0.0) for key in DISTORTION))
    fx, fy = (values.get(key, values.get("f")) for key in ("fx", "fy"))
    assert fx is not None and fy is not None
    ours = torch.stack([fx * column + 63, fy * row + 49], -1)
    np.testing.assert_allclose(ours.numpy(), found, atol=1e-6)


def test_pictures_of_a_distorted_lens_are_straightened_and_it_is_said(by_hand: Path) -> None:
    camera_line(by_hand, "SIMPLE_RADIAL", 110, 63, 49, -0.08)
    material = read(by_hand)
    assert not torch.equal(material.frames, CLIP.frames[:2])
    assert material.provenance["undistorted"].startswith("2 pictures: k1, k2, p1, p2, k3.. = -0.08")


@pytest.mark.parametrize(
    ("model", "params"),
    [("OPENCV_FISHEYE", [110, 112, 63, 49, 0, 0, 0, 0]), ("FOV", [110, 112, 63, 49, 0.5])],
)
def test_a_lens_that_is_no_pinhole_is_refused(
    by_hand: Path, model: str, params: list[float]
) -> None:
    camera_line(by_hand, model, *params)
    error = refused(by_hand)
    assert model in error.what and "image_undistorter" in str(error.fix)


# What is wrong


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: camera_line(folder, "PINHOLE", 110, 112, 63), "cannot read"),
        (lambda folder: camera_line(folder, "PINHOLE", -110, 112, 63, 49), "fx = -110"),
        (lambda folder: camera_line(folder, "PINHOLE", 110, 112, 63, 490), "cy = 490"),
        (lambda folder: camera_line(folder, "NO_LENS", 1), "cannot read"),
        (lambda folder: (folder / "sparse" / "images.txt").write_text("x y z\n\n"), "cannot read"),
        (lambda folder: (folder / "sparse" / "images.txt").write_text(""), "poses no picture"),
        (lambda folder: (folder / "sparse" / "images.txt").unlink(), "no such file"),
        (lambda folder: shutil.rmtree(folder / "sparse"), "no COLMAP model"),
        (lambda folder: shutil.rmtree(folder / "images"), "no such folder"),
        (lambda folder: (folder / "images" / "frame2.png").unlink(), "no such file"),
        (lambda folder: (folder / "depth").mkdir(), "no such file"),
        (lambda folder: (folder / "masks").mkdir(), "no such file"),
    ],
)
def test_a_missing_or_damaged_part_is_refused(
    by_hand: Path, change: Callable[[Path], object], named: str
) -> None:
    change(by_hand)
    assert named in refused(by_hand).what


def test_a_camera_of_another_size_is_refused(by_hand: Path) -> None:
    (by_hand / "sparse" / "cameras.txt").write_text("4 PINHOLE 64 48 55 56 31 24\n")
    assert "64x48 pixels, the picture has 128x96" in refused(by_hand).what


@pytest.mark.parametrize("name", ["cameras", "images", "points3D", "rigs", "frames"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 1.1])
def test_a_binary_file_of_another_length_is_refused_before_pycolmap_reads_it(
    dataset: Path, name: str, kept: float
) -> None:
    path = dataset / "sparse" / "0" / f"{name}.bin"
    data = path.read_bytes()
    path.write_bytes((data + data)[: int(len(data) * kept)])
    error = refused(dataset)
    assert error.where == str(path)
    assert "cut or damaged" in error.what or "should end" in error.what


def test_separate_models_are_refused(dataset: Path) -> None:
    shutil.copytree(dataset / "sparse" / "0", dataset / "sparse" / "1")
    assert "2 separate models (0, 1)" in refused(dataset).what


@pytest.mark.parametrize(
    "text", ["", "[]", '{"depth_scale": "feet", "unknown": []}', '{"depth_scale": "metric"}']
)
def test_depth_that_does_not_say_its_scale_is_refused(dataset: Path, text: str) -> None:
    (dataset / "depth" / "depth.json").write_text(text)
    assert refused(dataset).where == str(dataset / "depth" / "depth.json")


def test_a_missing_depth_map_is_refused(dataset: Path) -> None:
    (dataset / "depth" / "00002.png.npy").unlink()
    assert refused(dataset).where == str(dataset / "depth" / "00002.png.npy")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "nowhere").what
