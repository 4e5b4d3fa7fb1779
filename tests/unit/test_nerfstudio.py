"""nerfstudio datasets: what is written is read again, and means what nerfstudio takes it for.

Long because its cases share how a dataset is written and spoiled.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import tests.ray_cast as ray_cast
from lyra_data.clips.formats.nerfstudio import write_nerfstudio
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_folder
from lyra_data.media.images import write_png
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources import SOURCES
from tests.ray_cast import MOVING, STILL, clip_of, moving_cameras, pixel_rays, still_camera

CLIP = clip_of(MOVING, moving_cameras(5), "video")
HEIGHT, WIDTH = CLIP.cameras.height, CLIP.cameras.width


def read(folder: Path) -> SourceMaterial:
    values = {"name": "nerfstudio", "folder": folder.name, "scene_id": "mine", "fps": 12.0}
    return SOURCES.create(values, where="test").read(folder.parent)


def refused(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder)
    assert caught.value.where and caught.value.fix
    return caught.value


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole, right dataset."""
    folder = tmp_path_factory.mktemp("written") / "dataset"
    write_nerfstudio(CLIP, folder)
    return folder


@pytest.fixture
def dataset(written: Path, tmp_path: Path) -> Path:
    """A copy of it, for tests to spoil."""
    return shutil.copytree(written, tmp_path / "dataset")


def edit(dataset: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = dataset / "transforms.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def shared_camera(values: dict[str, Any]) -> None:
    """The first frame's intrinsics, for all frames."""
    for key in ("fl_x", "fl_y", "cx", "cy"):
        values[key] = values["frames"][0][key]
        for frame in values["frames"]:
            del frame[key]


# What is written


def test_a_clip_comes_back_as_it_was_written(dataset: Path) -> None:
    material = read(dataset)
    assert torch.equal(material.frames, CLIP.frames)
    assert material.cameras is not None and material.depth is not None
    assert torch.equal(material.cameras.camera_to_world, CLIP.cameras.camera_to_world)
    assert torch.equal(material.cameras.intrinsics, CLIP.cameras.intrinsics)
    torch.testing.assert_close(material.depth, CLIP.depth, atol=0, rtol=3e-7)
    assert torch.equal(material.depth_valid, CLIP.depth_valid)  # type: ignore[arg-type]
    assert torch.equal(material.dynamic_mask, CLIP.dynamic_mask)  # type: ignore[arg-type]
    assert (material.depth_scale, material.fps) == ("metric", 12.0)
    assert material.provenance["kind"] == "nerfstudio"
    assert str(dataset.parent) not in json.dumps(material.provenance)


def test_opengl_projection_of_what_a_pixel_shows_leads_back_to_that_pixels_centre(
    dataset: Path,
) -> None:
    values = json.loads((dataset / "transforms.json").read_text())
    for index, frame in enumerate(values["frames"]):
        origin, direction = pixel_rays(CLIP.cameras[[index]])
        points = (origin + CLIP.depth[index].double()[..., None] * direction).numpy()
        world_to_camera = np.linalg.inv(np.array(frame["transform_matrix"]))
        x, y, z = np.moveaxis(points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3], -1, 0)
        known = CLIP.depth_valid[index].numpy()
        assert (z[known] < 0).all()  # OpenGL looks along -z
        column = values_of(frame, "cx") + values_of(frame, "fl_x") * x[known] / -z[known]
        row = values_of(frame, "cy") - values_of(frame, "fl_y") * y[known] / -z[known]
        rows, columns = np.nonzero(known)
        np.testing.assert_allclose(column, columns + 0.5, atol=1e-4)
        np.testing.assert_allclose(row, rows + 0.5, atol=1e-4)
        stored = np.load(dataset / frame["depth_file_path"])
        np.testing.assert_allclose(stored[known] * 0.001, -z[known], rtol=1e-5)


def values_of(frame: dict[str, Any], key: str) -> float:
    return float(frame[key])


def test_masks_are_black_where_nerfstudio_is_to_look_away(dataset: Path) -> None:
    assert CLIP.dynamic_mask is not None
    mask = np.array(Image.open(dataset / "masks" / "00002.png"))
    assert np.array_equal(mask == 0, CLIP.dynamic_mask[2].numpy())
    assert set(np.unique(mask)) == {0, 255}


def test_points_lie_on_what_stands_still(dataset: Path) -> None:
    lines = (dataset / "sparse_pc.ply").read_text().split("end_header\n")[1].splitlines()
    points = torch.tensor([[float(value) for value in line.split()[:3]] for line in lines])
    assert len(points) > 1000
    off = torch.stack(
        [(points @ torch.tensor(p.normal) - p.offset).abs() for p in ray_cast.BACKGROUND]
    )
    assert float(off.amin(0).max()) < 1e-3


def test_the_same_clip_gives_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    write_nerfstudio(CLIP, tmp_path / "again")
    assert sha256_of_folder(tmp_path / "again") == sha256_of_folder(dataset)


def test_an_image_has_one_camera_for_all_no_masks_and_no_rate(tmp_path: Path) -> None:
    write_nerfstudio(clip_of(STILL, still_camera(), "image"), tmp_path / "image")
    values = json.loads((tmp_path / "image" / "transforms.json").read_text())
    assert values["fl_y"] == 112.0 and "fl_y" not in values["frames"][0]
    material = read(tmp_path / "image")
    assert (material.fps, material.dynamic_mask) == (None, None)


def test_a_frame_whose_depth_is_nowhere_known_stays_so(tmp_path: Path) -> None:
    depth = CLIP.depth.clone()
    depth[3] = 0
    clip = replace(CLIP, depth=depth, depth_valid=depth > 0, depth_scale="up_to_scale")
    write_nerfstudio(clip, tmp_path / "dataset")
    material = read(tmp_path / "dataset")
    assert material.depth_scale == "up_to_scale" and material.depth_valid is not None
    assert torch.equal(material.depth_valid, clip.depth_valid)


def test_a_clip_without_any_depth_is_written_without_depth(tmp_path: Path) -> None:
    none = torch.zeros_like(CLIP.depth)
    write_nerfstudio(replace(CLIP, depth=none, depth_valid=none > 0), tmp_path / "dataset")
    material = read(tmp_path / "dataset")
    assert (material.depth, material.depth_valid, material.depth_scale) == (None, None, None)
    assert material.cameras is not None


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_nothing_of_the_users_is_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError):
        write_nerfstudio(CLIP, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["target"]


# What others write


def test_a_blender_dataset_has_an_angle_names_without_suffix_and_no_size(dataset: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        frames = [
            {
                "file_path": frame["file_path"].removesuffix(".png"),
                "transform_matrix": frame["transform_matrix"],
                "rotation": 0.1,
            }
            for frame in values["frames"]
        ]
        values.clear()
        values.update(camera_angle_x=2 * math.atan(0.5), frames=frames)

    edit(dataset, change)
    cameras = read(dataset).cameras
    assert cameras is not None
    torch.testing.assert_close(
        cameras.intrinsics[3], torch.tensor([WIDTH, WIDTH, WIDTH / 2, HEIGHT / 2])
    )


def test_what_a_frame_says_comes_before_what_is_said_for_all(dataset: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        shared_camera(values)
        values["frames"][2]["fl_x"] = 130

    edit(dataset, change)
    cameras = read(dataset).cameras
    assert cameras is not None
    assert cameras.intrinsics[:, 0].tolist() == [110, 110, 130, 110, 110]


def test_frames_come_in_the_natural_order_of_their_names(dataset: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        for number, frame in zip((10, 2, 1, 11, 3), values["frames"], strict=True):
            (dataset / frame["file_path"]).rename(dataset / "images" / f"frame{number}.png")
            frame["file_path"] = f"./images/frame{number}"

    edit(dataset, change)
    material, order = read(dataset), [2, 1, 4, 0, 3]
    assert torch.equal(material.frames, CLIP.frames[order])
    assert material.cameras is not None and material.depth_valid is not None
    assert torch.equal(material.cameras.camera_to_world, CLIP.cameras.camera_to_world[order])
    assert torch.equal(material.depth_valid, CLIP.depth_valid[order])


@pytest.mark.parametrize(
    ("kind", "unit"), [("png", None), ("png", 0.001), ("png", 0.0005), ("npy", 1.0), ("npy", 0.1)]
)
def test_depth_is_multiplied_by_its_unit(dataset: Path, kind: str, unit: float | None) -> None:
    def change(values: dict[str, Any]) -> None:
        del values["depth_unit_scale_factor"]
        if unit is not None:
            values["depth_unit_scale_factor"] = unit
        for index, frame in enumerate(values["frames"]):
            stored = CLIP.depth[index].numpy() / (unit or 0.001)
            path = dataset / f"depth_{index}.{kind}"
            frame["depth_file_path"] = path.name
            if kind == "png":
                cv2.imwrite(str(path), np.rint(stored).astype(np.uint16))
            else:
                np.save(path, stored)

    edit(dataset, change)
    material = read(dataset)
    assert material.depth is not None
    torch.testing.assert_close(material.depth, CLIP.depth, atol=6e-4, rtol=1e-6)


def test_a_transform_that_was_applied_to_the_poses_is_told_and_not_undone(dataset: Path) -> None:
    before = read(dataset).cameras
    edit(dataset, lambda values: values.update(applied_transform=[[0, 1, 0, 2]] * 3))
    material = read(dataset)
    assert material.cameras is not None and before is not None
    assert torch.equal(material.cameras.camera_to_world, before.camera_to_world)
    assert material.provenance["applied_transform"] == str([[0, 1, 0, 2]] * 3)


# Distorted pictures


def seen_through_a_lens(
    camera: Cameras, distortion: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> Clip:
    """The still scene as a lens with OpenCV's distortion shows it; rays are OpenCV's own."""
    fx, fy, cx, cy = camera.intrinsics[0].double().tolist()
    # OpenCV's pixel centres are whole numbers.
    matrix = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
    pixels = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).reshape(-1, 1, 2)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    rays = cv2.undistortPoints(
        pixels.astype(np.float64), matrix, np.array(distortion), criteria=criteria
    ).reshape(HEIGHT, WIDTH, 2)
    directions = torch.cat([torch.from_numpy(rays), torch.ones(HEIGHT, WIDTH, 1)], -1)
    with monkeypatch.context() as patch:
        patch.setattr(ray_cast, "pixel_rays", lambda _: (torch.zeros(3).double(), directions))
        return clip_of(STILL, camera, "distorted")


def within_one_surface(surface: torch.Tensor) -> torch.Tensor:
    """True where no other surface is within three pixels."""
    numbers = surface.float()[None, None]
    largest = torch.nn.functional.max_pool2d(numbers, 7, stride=1, padding=3)
    smallest = -torch.nn.functional.max_pool2d(-numbers, 7, stride=1, padding=3)
    return (largest == smallest)[0, 0]


def squared_difference(
    material: SourceMaterial, shift: tuple[float, float], where: torch.Tensor
) -> float:
    """From what a pinhole sees whose principal point is off by `shift` pixels."""
    assert material.cameras is not None
    moved = material.cameras.intrinsics + torch.tensor([[0.0, 0.0, *shift]])
    seen = STILL.seen(replace(material.cameras, intrinsics=moved), [0.0]).frames
    difference = material.frames[0].float() - seen[0].float()
    return float((difference**2).mean(0)[where].mean())


@pytest.mark.parametrize(
    ("distortion", "zooms"),
    [
        ((-0.15, 0.03, 0.004, -0.003), False),
        ((0.12, -0.02, 0.002, 0.003), True),
        ((-0.2, 0.05, 0.0, 0.0, 0.02), False),
    ],
    ids=["barrel", "pincushion", "third term"],
)
def test_a_distorted_picture_becomes_what_a_pinhole_shows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    distortion: tuple[float, ...],
    zooms: bool,
) -> None:
    folder = tmp_path / "dataset"
    write_nerfstudio(seen_through_a_lens(still_camera(), distortion, monkeypatch), folder)
    named = dict(zip(("k1", "k2", "p1", "p2", "k3"), distortion, strict=False))
    edit(folder, lambda values: values.update(named))
    material = read(folder)
    assert material.cameras is not None and material.depth is not None
    zoom = material.cameras.intrinsics[0] / still_camera().intrinsics[0]
    assert (float(zoom[0]) > 1.01) == zooms and torch.equal(zoom[2:], torch.ones(2))
    assert "focal length times" in material.provenance["undistorted"]
    true = STILL.seen(material.cameras, [0.0])
    inner = within_one_surface(true.surface[0])
    off = squared_difference(material, (0, 0), inner)
    for shift in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):  # a tenth of a pixel would be seen
        assert squared_difference(material, shift, inner) > off
    known = inner & (material.depth[0] > 0)
    assert int(known.sum()) > 0.6 * HEIGHT * WIDTH
    assert float((material.depth[0] / true.depth[0] - 1)[known].abs().max()) < 0.02


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"k1": -2.0}, "folds the picture"),
        ({"k1": 30.0}, "more than half"),
        ({"k4": 0.1}, "k4 = 0.1"),
        ({"camera_model": "OPENCV_FISHEYE"}, "OPENCV_FISHEYE"),
        ({"camera_model": "EQUIRECTANGULAR"}, "EQUIRECTANGULAR"),
        ({"is_fisheye": True}, "is_fisheye"),
    ],
)
def test_a_lens_that_is_no_pinhole_is_refused(
    dataset: Path, change: dict[str, Any], named: str
) -> None:
    edit(dataset, lambda values: values.update(change))
    assert named in refused(dataset).what


# What is wrong


def test_a_missing_file_is_named(dataset: Path) -> None:
    for name in ("masks/00004.png", "depth/00003.npy", "images/00002.png", "transforms.json"):
        (dataset / name).unlink()
        assert refused(dataset).where == str(dataset / name)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"frames": [], "w": 1}', '{"w": NaN}', "\xff"])
def test_a_file_that_is_no_dataset_is_refused(dataset: Path, text: str) -> None:
    (dataset / "transforms.json").write_text(text, encoding="latin-1")
    assert refused(dataset).where == str(dataset / "transforms.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"file_path": 3}, "file_path = 3"),
        ({"transform_matrix": [[1, 0, 0, 0]] * 3}, "transform_matrix"),
        ({"transform_matrix": np.diag([2.0, 2, 2, 1]).tolist()}, "rotation off by 3"),
        ({"transform_matrix": np.diag([-1.0, 1, 1, 1]).tolist()}, "it mirrors"),
        ({"transform_matrix": np.diag([1.0, 1, 1, 2]).tolist()}, "rotation off by 0"),
        ({"fl_x": "110"}, "fl_x = '110'"),
        ({"fl_x": 0}, "fx = 0"),
        ({"fl_x": -110.0}, "fx = -110"),
        ({"fl_y": 1e6}, "fy = 1e+06"),
        ({"cx": 900.0}, "cx = 900"),
        ({"w": 64}, "64x96 pixels, the picture has 128x96"),
        ({"h": 96.5}, "h = 96.5"),
        ({"depth_unit_scale_factor": 0}, "depth_unit_scale_factor = 0"),
    ],
)
def test_an_impossible_value_is_refused_with_its_frame(
    dataset: Path, change: dict[str, Any], named: str
) -> None:
    edit(dataset, lambda values: values["frames"][3].update(change))
    error = refused(dataset)
    assert named in error.what
    assert "frames[3]" in str(error.where)


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("file_path", "missing key 'file_path'"),
        ("transform_matrix", "transform_matrix = None"),
        ("fl_x", "neither `fl_x` nor `camera_angle_x`"),
        ("cx", "missing key 'cx'"),
        ("depth_file_path", "1 of 5 frames have no depth_file_path"),
        ("mask_path", "has no mask"),
    ],
)
def test_a_missing_key_is_named(dataset: Path, key: str, named: str) -> None:
    edit(dataset, lambda values: values["frames"][3].pop(key))
    assert named in refused(dataset).what


def test_float_depth_without_a_unit_is_refused(dataset: Path) -> None:
    edit(dataset, lambda values: values.pop("depth_unit_scale_factor"))
    error = refused(dataset)
    assert "in metres or in millimetres" in error.what and "1.0 for metres" in str(error.fix)


def test_an_unknown_scale_of_depth_is_refused(dataset: Path) -> None:
    edit(dataset, lambda values: values.update(depth_scale="feet"))
    assert "depth_scale = 'feet'" in refused(dataset).what


def test_a_picture_that_is_named_twice_is_refused(dataset: Path) -> None:
    edit(dataset, lambda values: values["frames"][3].update(file_path="./images/00001"))
    assert "named twice" in refused(dataset).what


def test_pictures_of_two_sizes_are_refused(dataset: Path) -> None:
    write_png(CLIP.frames[2][:, :, :-1].contiguous(), dataset / "images" / "00002.png")
    assert "127x96 pixels, the first one 128x96" in refused(dataset).what


@pytest.mark.parametrize("noun", ["depth", "mask"])
def test_a_map_of_another_size_is_refused(dataset: Path, noun: str) -> None:
    if noun == "depth":
        np.save(dataset / "depth" / "00001.npy", np.ones((HEIGHT, WIDTH - 1), np.float32))
    else:
        Image.new("L", (WIDTH - 1, HEIGHT)).save(dataset / "masks" / "00001.png")
    assert f"the {noun}" in refused(dataset).what
    assert "127x96 pixels, the picture 128x96" in refused(dataset).what


def test_a_coloured_mask_is_refused(dataset: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(dataset / "masks" / "00001.png")
    assert "one grey channel" in refused(dataset).what


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "nowhere").what


def test_depth_is_scaled_with_the_positions(dataset: Path) -> None:
    before = read(dataset)

    def scale(values: dict[str, Any]) -> None:
        values["applied_scale"] = 0.25
        values.pop("depth_scale", None)
        for frame in values["frames"]:
            for row in frame["transform_matrix"][:3]:
                row[3] *= 0.25

    edit(dataset, scale)
    after = read(dataset)
    assert before.depth is not None and after.depth is not None
    torch.testing.assert_close(after.depth, before.depth * 0.25, atol=0, rtol=1e-6)
    assert after.depth_scale == "up_to_scale"  # a quarter of metres


@pytest.mark.parametrize("scale", [0, -1, "half", None])
def test_an_applied_scale_that_is_no_scale_is_refused(dataset: Path, scale: Any) -> None:
    edit(dataset, lambda values: values.update(applied_scale=scale))
    assert "applied_scale" in refused(dataset).what
