"""Sources read what is right, and refuse what is wrong with file, value and fix.

Long because its cases share how a scene is written and spoiled.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources import SOURCES
from lyra_data.sources.motorcycle import MotorcycleParams, MotorcycleSource

HEIGHT, WIDTH = 20, 30
INTRINSICS: dict[str, Any] = {
    "fx": 40.0, "fy": 40, "cx": 15.0, "cy": 10.0, "width": WIDTH, "height": HEIGHT,
}  # fmt: skip
POSE = [[1, 0, 0, 0.25], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def depth_metres() -> np.ndarray:
    """1.000 to 1.599 m in steps of a millimetre, and one unknown pixel."""
    depth = 1.0 + np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH) / 1000
    depth[3, 4] = 0
    return depth


def write_exr(path: Path, channels: dict[str, np.ndarray]) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))


def write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A whole, right scene folder; tests spoil it."""
    folder = tmp_path / "inputs" / "scene"
    folder.mkdir(parents=True)
    Image.fromarray(picture()).save(folder / "image.png")
    np.save(folder / "depth.npy", depth_metres())
    write_json(folder / "intrinsics.json", INTRINSICS)
    return folder


def read(scene: Path) -> SourceMaterial:
    values = {"name": "files", "folder": "inputs/scene", "scene_id": "my_scene"}
    source = SOURCES.create(values, where="annotate.sources")
    return source.read(scene.parent.parent)


def refused(scene: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read(scene)
    assert caught.value.where is not None
    assert caught.value.fix
    return caught.value


def test_a_scene_folder_is_read_as_it_is(scene: Path) -> None:
    write_json(
        scene / "intrinsics.json",
        INTRINSICS | {"prompt": "a desk", "licence": "CC0", "depth_scale": "up_to_scale"},
    )
    material = read(scene)
    assert material.scene_id == "my_scene"
    assert material.frames.shape == (1, 3, HEIGHT, WIDTH)
    assert np.array_equal(material.frames[0].permute(1, 2, 0).numpy(), picture())
    assert material.depth is not None
    assert material.depth_valid is not None
    assert np.array_equal(material.depth[0].numpy(), depth_metres())
    assert not material.depth_valid[0, 3, 4]
    assert int(material.depth_valid.sum()) == HEIGHT * WIDTH - 1
    assert material.cameras is not None
    assert torch.equal(material.cameras.camera_to_world[0], torch.eye(4))
    assert material.cameras.intrinsics[0].tolist() == [40, 40, 15, 10]
    assert (material.prompt, material.depth_scale) == ("a desk", "up_to_scale")
    assert material.provenance["licence"] == "CC0"
    assert len(material.provenance["depth_sha256"]) == 64
    assert str(scene.parent) not in json.dumps(material.provenance)


def test_intrinsics_with_integer_pixel_centres_are_shifted_by_half_a_pixel(scene: Path) -> None:
    write_json(scene / "intrinsics.json", INTRINSICS | {"pixel_centre": 0})
    cameras = read(scene).cameras
    assert cameras is not None
    assert cameras.intrinsics[0].tolist() == [40, 40, 15.5, 10.5]


def write_png_depth(folder: Path) -> None:
    cv2.imwrite(str(folder / "depth.png"), np.rint(depth_metres() * 1000).astype(np.uint16))


def write_exr_depth(folder: Path) -> None:
    write_exr(folder / "depth.exr", {"Z": depth_metres(), "A": np.ones_like(depth_metres())})


def write_single_channel_exr(folder: Path) -> None:
    write_exr(folder / "depth.exr", {"Y": depth_metres()})


def write_float64_npy(folder: Path) -> None:
    np.save(folder / "depth.npy", depth_metres().astype(np.float64))


@pytest.mark.parametrize(
    "write", [write_png_depth, write_exr_depth, write_single_channel_exr, write_float64_npy]
)
def test_every_depth_format_gives_the_same_metres(
    scene: Path, write: Callable[[Path], None]
) -> None:
    (scene / "depth.npy").unlink()
    write(scene)
    material = read(scene)
    assert material.depth is not None
    torch.testing.assert_close(
        material.depth[0], torch.from_numpy(depth_metres()), atol=1e-6, rtol=0
    )
    assert material.depth_valid is not None
    assert torch.equal(material.depth_valid, material.depth > 0)
    assert not material.depth_valid[0, 3, 4]


def test_infinite_depth_is_unknown(scene: Path) -> None:
    depth = depth_metres()
    depth[0, :5] = np.inf
    np.save(scene / "depth.npy", depth)
    material = read(scene)
    assert material.depth is not None
    assert material.depth_valid is not None
    assert material.depth[0, 0, :5].tolist() == [0] * 5
    assert int((~material.depth_valid).sum()) == 6


def test_a_grey_picture_becomes_three_equal_channels(scene: Path) -> None:
    Image.fromarray(picture()[..., 0]).save(scene / "image.png")
    frames = read(scene).frames
    assert torch.equal(frames[:, 0], frames[:, 2])


def test_an_opaque_alpha_channel_changes_nothing(scene: Path) -> None:
    image = Image.fromarray(picture())
    image.putalpha(255)
    image.save(scene / "image.png")
    assert np.array_equal(read(scene).frames[0].permute(1, 2, 0).numpy(), picture())


def test_a_jpeg_is_read(scene: Path) -> None:
    (scene / "image.png").unlink()
    Image.fromarray(picture()).save(scene / "image.JPG", format="JPEG")
    assert read(scene).frames.shape == (1, 3, HEIGHT, WIDTH)


def test_held_out_pictures_are_read_with_their_cameras(scene: Path) -> None:
    (scene / "held_out").mkdir()
    Image.fromarray(picture(10, 16)).save(scene / "held_out" / "left.png")
    write_json(
        scene / "held_out" / "left.json",
        INTRINSICS | {"width": 16, "height": 10, "camera_to_world": POSE},
    )
    (view,) = read(scene).held_out
    assert (view.name, view.frame.shape) == ("left", (3, 10, 16))
    assert view.camera.centres[0].tolist() == [0.25, 0, 0]


# What is wrong with the picture


def test_a_missing_folder_is_refused(scene: Path) -> None:
    scene.rename(scene.parent / "elsewhere")
    assert "no such folder" in refused(scene).what


def test_a_missing_picture_is_refused(scene: Path) -> None:
    (scene / "image.png").unlink()
    assert "no image" in refused(scene).what


def test_two_pictures_are_refused(scene: Path) -> None:
    Image.fromarray(picture()).save(scene / "image.jpg")
    assert "image.jpg, image.png" in refused(scene).what


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_picture_is_refused(scene: Path, suffix: str) -> None:
    (scene / "image.png").unlink()
    path = scene / f"image.{suffix}"
    Image.fromarray(picture()).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    error = refused(scene)
    assert "cut or damaged" in error.what
    assert error.where == str(path)


@pytest.mark.parametrize("content", [b"", b"not a picture at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture_is_refused(scene: Path, content: bytes) -> None:
    (scene / "image.png").write_bytes(content)
    assert refused(scene).where == str(scene / "image.png")


def test_a_folder_named_like_a_picture_is_refused(scene: Path) -> None:
    (scene / "image.png").unlink()
    (scene / "image.png").mkdir()
    assert "folder" in refused(scene).what


def mark_turned(path: Path, orientation: int, pixels: np.ndarray | None = None) -> None:
    """Store pixels with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture() if pixels is None else pixels).save(path, exif=exif)


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_turned_picture_is_refused_where_the_size_of_its_depth_says_nothing(
    scene: Path, orientation: int
) -> None:
    mark_turned(scene / "image.png", orientation)
    assert f"EXIF orientation {orientation}" in refused(scene).what


def test_a_turned_picture_is_refused_where_depth_and_intrinsics_stand_differently(
    scene: Path,
) -> None:
    mark_turned(scene / "image.png", 6)
    write_json(scene / "intrinsics.json", INTRINSICS | {"width": HEIGHT, "height": WIDTH})
    assert "EXIF orientation 6" in refused(scene).what


def test_a_turned_picture_alone_beside_held_out_ones_is_refused(scene: Path) -> None:
    mark_turned(scene / "image.png", 6)
    (scene / "depth.npy").unlink()
    (scene / "intrinsics.json").unlink()
    (scene / "held_out").mkdir()
    assert "EXIF orientation 6" in refused(scene).what


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_an_orientation_that_is_none_leaves_a_picture_as_it_is(
    scene: Path, orientation: int
) -> None:
    mark_turned(scene / "image.png", orientation)
    material = read(scene)
    assert np.array_equal(material.frames[0].permute(1, 2, 0).numpy(), picture())
    assert "turned" not in material.provenance


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (2, picture()[:, ::-1]),
        (3, picture()[::-1, ::-1]),
        (4, picture()[::-1]),
        (5, picture().transpose(1, 0, 2)),
        (6, picture().transpose(1, 0, 2)[:, ::-1]),
        (7, picture().transpose(1, 0, 2)[::-1, ::-1]),
        (8, picture().transpose(1, 0, 2)[::-1]),
    ],
)
def test_a_turned_picture_alone_is_read_upright(
    scene: Path, orientation: int, upright: np.ndarray
) -> None:
    (scene / "depth.npy").unlink()
    (scene / "intrinsics.json").unlink()
    mark_turned(scene / "image.png", orientation)
    material = read(scene)
    assert np.array_equal(material.frames[0].permute(1, 2, 0).numpy(), upright)
    assert material.provenance["turned"] == f"EXIF orientation {orientation}: read upright"


@pytest.mark.parametrize("is_upright", [True, False])
def test_a_turned_picture_is_read_the_way_its_depth_and_intrinsics_stand(
    scene: Path, is_upright: bool
) -> None:
    stored = picture().transpose(1, 0, 2)[::-1] if is_upright else picture()
    mark_turned(scene / "image.png", 6, stored)  # turned clockwise, what was stored so is upright
    material = read(scene)
    assert np.array_equal(material.frames[0].permute(1, 2, 0).numpy(), picture())


def test_a_transparent_picture_is_refused(scene: Path) -> None:
    image = Image.fromarray(picture())
    image.putalpha(254)
    image.save(scene / "image.png")
    assert "transparent" in refused(scene).what


def test_a_picture_of_sixteen_bits_is_refused(scene: Path) -> None:
    cv2.imwrite(str(scene / "image.png"), picture()[..., 0].astype(np.uint16) * 256)
    assert "I;16" in refused(scene).what


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize(
    "mark", ['GPano:ProjectionType="equirectangular"', "<GPano:ProjectionType>equirectangular<"]
)
def test_a_panorama_is_refused(scene: Path, suffix: str, mark: str) -> None:
    (scene / "image.png").unlink()
    xmp = f"<x:xmpmeta><rdf:Description {mark} /></x:xmpmeta>"
    options: dict[str, Any] = {"xmp": xmp.encode()}
    if suffix == "png":
        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp)
    Image.fromarray(picture()).save(scene / f"image.{suffix}", **options)
    assert "panorama (equirectangular)" in refused(scene).what


@pytest.mark.parametrize("channels", [3, 4, "grey with alpha"])
def test_a_picture_of_sixteen_bit_colours_is_refused(scene: Path, channels: int | str) -> None:
    deep = np.full((HEIGHT, WIDTH, 4), 65535, np.uint16)
    deep[..., :3] = 4095  # 12-bit colours in 16 bits, whose upper 8 bits say hardly anything
    if isinstance(channels, int):
        cv2.imwrite(str(scene / "image.png"), deep[..., :channels])
    else:
        write_deep_grey_with_alpha(scene / "image.png")
    assert "16 bits a channel" in refused(scene).what


def write_deep_grey_with_alpha(path: Path) -> None:
    """A PNG of grey and alpha with 16 bits each, which neither Pillow nor OpenCV writes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 4, 0, 0, 0)
    rows = (b"\0" + b"\x0f\xff\xff\xff" * WIDTH) * HEIGHT
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


# What is wrong with the depth


def test_a_picture_without_depth_is_read_as_such(scene: Path) -> None:
    (scene / "depth.npy").unlink()
    material = read(scene)
    assert material.depth is None
    assert material.depth_valid is None
    assert material.depth_scale is None
    assert material.cameras is not None
    assert "depth" not in material.provenance
    assert material.location == str(scene)


def test_depth_of_an_unknown_kind_is_refused_and_not_left_out(scene: Path) -> None:
    (scene / "depth.npy").rename(scene / "depth.tiff")
    error = refused(scene)
    assert "'.tiff'" in error.what
    assert error.where == str(scene / "depth.tiff")


def test_depth_of_another_size_is_refused(scene: Path) -> None:
    np.save(scene / "depth.npy", depth_metres()[:, :-1])
    assert "29x20 pixels, the picture 30x20" in refused(scene).what


@pytest.mark.parametrize("unknown", [0.0, np.inf])
def test_depth_that_is_all_unknown_is_refused(scene: Path, unknown: float) -> None:
    np.save(scene / "depth.npy", np.full((HEIGHT, WIDTH), unknown, np.float32))
    assert "none of the 600 pixels" in refused(scene).what


@pytest.mark.parametrize(
    ("value", "noun"), [(np.nan, "NaN"), (-1.0, "negative"), (-np.inf, "negative")]
)
def test_nan_and_negative_depth_are_refused_with_count_and_place(
    scene: Path, value: float, noun: str
) -> None:
    depth = depth_metres()
    depth[7, 9] = depth[8, 0] = value
    np.save(scene / "depth.npy", depth)
    what = refused(scene).what
    assert noun in what
    assert "2 of 600 pixels, first at column 9, row 7" in what


def test_nan_depth_in_an_exr_is_refused(scene: Path) -> None:
    (scene / "depth.npy").unlink()
    depth = depth_metres()
    depth[0, 0] = np.nan
    write_exr(scene / "depth.exr", {"Z": depth})
    assert "NaN in 1 of 600 pixels" in refused(scene).what


@pytest.mark.parametrize("suffix", ["png", "npy", "exr"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.7])
def test_a_truncated_depth_file_is_refused(scene: Path, suffix: str, kept: float) -> None:
    (scene / "depth.npy").unlink()
    {"png": write_png_depth, "npy": write_float64_npy, "exr": write_exr_depth}[suffix](scene)
    path = scene / f"depth.{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert refused(scene).where == str(path)


def test_depth_in_an_eight_bit_png_is_refused(scene: Path) -> None:
    (scene / "depth.npy").unlink()
    Image.fromarray(picture()[..., 0]).save(scene / "depth.png")
    assert "16 bits" in refused(scene).what


@pytest.mark.parametrize(
    "values",
    [
        np.ones((HEIGHT, WIDTH), np.uint16),
        np.ones((1, HEIGHT, WIDTH), np.float32),
        np.array([{"depth": 1}]),
    ],
    ids=["integers", "three axes", "a pickle"],
)
def test_an_array_that_is_no_depth_map_is_refused(scene: Path, values: np.ndarray) -> None:
    np.save(scene / "depth.npy", values, allow_pickle=True)
    assert refused(scene).where == str(scene / "depth.npy")


def test_an_archive_named_npy_is_refused(scene: Path) -> None:
    np.savez(scene / "depth.npz", depth=depth_metres())
    (scene / "depth.npz").replace(scene / "depth.npy")
    assert "archive" in refused(scene).what


def test_an_exr_without_a_depth_channel_is_refused(scene: Path) -> None:
    (scene / "depth.npy").unlink()
    write_exr(scene / "depth.exr", {"RGB": np.stack([depth_metres()] * 3, -1)})
    assert "found B, G, R" in refused(scene).what


# What is wrong with the intrinsics


def test_a_picture_without_intrinsics_is_read_as_such(scene: Path) -> None:
    (scene / "intrinsics.json").unlink()
    material = read(scene)
    assert material.cameras is None
    assert material.depth is not None
    assert material.depth_scale == "metric"
    assert material.prompt == ""
    assert material.provenance["licence"] == "not stated"
    assert "intrinsics" not in material.provenance


def test_a_link_to_intrinsics_that_are_gone_is_refused(scene: Path) -> None:
    (scene / "intrinsics.json").unlink()
    (scene / "intrinsics.json").symlink_to(scene / "moved.json")
    assert refused(scene).where == str(scene / "intrinsics.json")


@pytest.mark.parametrize("text", ["", "{", '{"fx": 1,}', '{"fx": NaN}', "[1, 2]", "\xff"])
def test_intrinsics_that_are_no_json_object_are_refused(scene: Path, text: str) -> None:
    (scene / "intrinsics.json").write_text(text, encoding="latin-1")
    assert refused(scene).where == str(scene / "intrinsics.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fx": 0}, "fx = 0"),
        ({"fy": -40.0}, "fy = -40"),
        ({"fx": 1e999}, "Infinity"),
        ({"fx": 0.9}, "fx = 0.9 is impossible"),
        ({"fy": 1e6}, "fy = 1000000.0 is impossible"),
        ({"cx": 500.0}, "cx = 500.0 lies far outside"),
        ({"cy": -21.0}, "cy = -21.0 lies far outside"),
        ({"width": 31}, "for 31x20 pixels, the picture has 30x20"),
        ({"height": 20.5}, "height = 20.5"),
        ({"fx": "40"}, "fx = '40'"),
        ({"pixel_centre": 1}, "pixel_centre = 1"),
        ({"depth_scale": "feet"}, "depth_scale = 'feet'"),
        ({"focal": 40}, "unknown key 'focal'"),
    ],
)
def test_impossible_intrinsics_are_refused_and_named(
    scene: Path, change: dict[str, Any], named: str
) -> None:
    write_json(scene / "intrinsics.json", INTRINSICS | change)
    error = refused(scene)
    assert named in error.what
    assert error.where == str(scene / "intrinsics.json")


def test_a_missing_intrinsics_key_is_named(scene: Path) -> None:
    write_json(scene / "intrinsics.json", {k: v for k, v in INTRINSICS.items() if k != "cy"})
    assert "missing key 'cy'" in refused(scene).what


# What is wrong with held-out pictures


@pytest.mark.parametrize(
    ("row", "noun"),
    [([2, 0, 0, 0], "rotation off by 3"), ([-1, 0, 0, 0], "mirrors")],
)
def test_a_held_out_pose_that_is_not_rigid_is_refused(
    scene: Path, row: list[float], noun: str
) -> None:
    (scene / "held_out").mkdir()
    Image.fromarray(picture()).save(scene / "held_out" / "left.png")
    pose = {"camera_to_world": [row, *POSE[1:]]}
    write_json(scene / "held_out" / "left.json", INTRINSICS | pose)
    assert noun in refused(scene).what


def test_a_held_out_picture_without_its_camera_is_refused(scene: Path) -> None:
    (scene / "held_out").mkdir()
    Image.fromarray(picture()).save(scene / "held_out" / "left.png")
    assert refused(scene).where == str(scene / "held_out" / "left.json")


def test_a_held_out_camera_without_its_picture_is_refused(scene: Path) -> None:
    (scene / "held_out").mkdir()
    write_json(scene / "held_out" / "left.json", INTRINSICS | {"camera_to_world": POSE})
    assert "belongs to no held-out picture" in refused(scene).what


@pytest.mark.parametrize("scene_id", ["", "a b", "../up", "a/b"])
def test_a_scene_id_that_is_no_plain_name_is_refused(scene_id: str) -> None:
    with pytest.raises(ParamsError, match="scene_id"):
        SOURCES.parse({"name": "files", "folder": "x", "scene_id": scene_id}, where="sources")


# The built-in pair


@pytest.fixture(scope="module")
def motorcycle() -> SourceMaterial:
    return MotorcycleSource(MotorcycleParams(name="motorcycle")).read()


def test_the_motorcycle_keeps_its_unknown_pixels_unknown(motorcycle: SourceMaterial) -> None:
    assert motorcycle.depth is not None
    assert motorcycle.depth_valid is not None
    unknown = ~motorcycle.depth_valid
    assert 0.07 < float(unknown.float().mean()) < 0.08
    assert bool((motorcycle.depth[unknown] == 0).all())
    known = motorcycle.depth[motorcycle.depth_valid]
    assert 2.0 < float(known.min()) < float(known.max()) < 5.1  # metres, a small workshop


def test_the_motorcycles_left_photo_warped_by_its_depth_lands_on_the_right_photo(
    motorcycle: SourceMaterial,
) -> None:
    """The pose, both principal points and the depth together: any sign error breaks this."""
    (right,) = motorcycle.held_out
    assert motorcycle.cameras is not None
    assert motorcycle.depth is not None
    assert motorcycle.depth_valid is not None
    camera = motorcycle.cameras
    rows, columns = torch.nonzero(motorcycle.depth_valid[0], as_tuple=True)
    depth = motorcycle.depth[0, rows, columns]
    fx, fy, cx, cy = camera.intrinsics[0]
    points = torch.stack([(columns + 0.5 - cx) / fx, (rows + 0.5 - cy) / fy], -1) * depth[:, None]
    x, y, z = (torch.cat([points, depth[:, None]], -1) - right.camera.centres[0]).unbind(-1)
    fx, fy, cx, cy = right.camera.intrinsics[0]
    to_row, to_column = (y / z * fy + cy).floor().long(), (x / z * fx + cx).floor().long()
    inside = (to_column >= 0) & (to_column < camera.width)
    there = right.frame[:, to_row[inside], to_column[inside]].float()
    here = motorcycle.frames[0][:, rows[inside], columns[inside]].float()
    assert float(inside.float().mean()) > 0.9
    assert float((here - there).abs().median()) < 3.5  # of 255: 3, but 4 when a pixel off


def test_the_motorcycle_states_whom_to_cite(motorcycle: SourceMaterial) -> None:
    assert "Scharstein" in motorcycle.provenance["citation"]
    assert "Middlebury" in motorcycle.provenance["licence"]


def test_the_documented_example_is_the_built_in_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, motorcycle: SourceMaterial
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (example,) = [block for block in blocks if "stereo_motorcycle" in block]
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/inputs.md", "exec"), {})
    values = {"name": "files", "folder": "inputs/motorcycle_files", "scene_id": "same"}
    material = SOURCES.create(values, where="annotate.sources").read(tmp_path)
    assert material.cameras is not None
    assert motorcycle.cameras is not None
    assert torch.equal(material.frames, motorcycle.frames)
    assert torch.equal(material.cameras.intrinsics, motorcycle.cameras.intrinsics)
    assert material.depth is not None
    assert motorcycle.depth is not None
    torch.testing.assert_close(material.depth, motorcycle.depth, atol=1e-6, rtol=0)
    (view,), (same,) = material.held_out, motorcycle.held_out
    assert torch.equal(view.frame, same.frame)
    assert torch.equal(view.camera.intrinsics, same.camera.intrinsics)
    assert torch.equal(view.camera.camera_to_world, same.camera.camera_to_world)
