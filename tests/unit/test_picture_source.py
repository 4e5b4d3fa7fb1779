"""A bare picture is read with what lies beside it, turned upright, and with its focal length."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from lyra_data.engine.errors import InputError
from lyra_data.media.focal_lengths import focal_length_of
from lyra_data.models.depth.completing import complete_depth
from lyra_data.models.depth.given import GivenDepth, GivenDepthParams
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources import SOURCES

HEIGHT, WIDTH = 24, 36
EXIF_FOLDER = 0x8769
TAGS = {
    "Orientation": 0x0112,
    "FocalLength": 0x920A,
    "ExifImageWidth": 0xA002,
    "ExifImageHeight": 0xA003,
    "FocalPlaneXResolution": 0xA20E,
    "FocalPlaneResolutionUnit": 0xA210,
    "FocalLengthIn35mmFilm": 0xA405,
}


def write_photo(
    path: Path, *, height: int = HEIGHT, width: int = WIDTH, orientation: int = 1, **tags: Any
) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[TAGS["Orientation"]] = orientation
    if tags:
        exif.get_ifd(EXIF_FOLDER).update({TAGS[name]: value for name, value in tags.items()})
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def read(path: Path) -> SourceMaterial:
    source = SOURCES.create(
        {"name": "picture", "path": str(path), "scene_id": "photo"}, where="test"
    )
    return source.read(path.parent)


def test_a_35_mm_equivalent_is_that_of_the_diagonal(tmp_path: Path) -> None:
    """A 3:2 picture has the shape of the film: 24 mm of 36 mm is 24 pixels of 36."""
    photo = write_photo(tmp_path / "photo.png", FocalLengthIn35mmFilm=24)
    material = read(photo)
    assert material.cameras is not None
    values = material.cameras.intrinsics[0]
    torch.testing.assert_close(values, torch.tensor([24.0, 24.0, 18.0, 12.0]), rtol=1e-6, atol=0)
    assert material.provenance["intrinsics_from"] == "EXIF FocalLengthIn35mmFilm 24 mm"


@pytest.mark.parametrize(("unit", "per_mm"), [(2, 1 / 25.4), (3, 0.1), (4, 1.0), (None, 1 / 25.4)])
def test_a_focal_plane_tells_the_focal_length_in_the_pixels_of_the_whole_picture(
    tmp_path: Path, unit: int | None, per_mm: float
) -> None:
    """The camera recorded twice as many pixels a side as this copy has."""
    tags: dict[str, Any] = {"ExifImageWidth": 2 * WIDTH, "ExifImageHeight": 2 * HEIGHT}
    tags |= {"FocalLength": IFDRational(50, 1), "FocalPlaneXResolution": IFDRational(32)}
    tags |= {} if unit is None else {"FocalPlaneResolutionUnit": unit}
    focal = focal_length_of(write_photo(tmp_path / "photo.jpg", **tags))
    assert focal is not None and math.isclose(focal.pixels, 50 * 32 * per_mm / 2)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"FocalLengthIn35mmFilm": 0},  # unknown, says EXIF
        {"FocalLength": IFDRational(50, 0), "FocalPlaneXResolution": IFDRational(32)},
        {"FocalLength": IFDRational(50, 1)},  # of a sensor of no known size
        {"FocalLengthIn35mmFilm": 60000},
        {"FocalLengthIn35mmFilm": 24, "ExifImageWidth": WIDTH, "ExifImageHeight": 2 * HEIGHT},
    ],
    ids=["nothing", "zero", "by zero", "no sensor", "impossible", "cropped"],
)
def test_a_focal_length_that_says_nothing_of_the_picture_is_not_taken(
    tmp_path: Path, tags: dict[str, Any]
) -> None:
    assert focal_length_of(write_photo(tmp_path / "photo.jpg", **tags)) is None


def test_a_turned_picture_is_read_upright_with_its_own_focal_length(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "photo.png", orientation=6, FocalLengthIn35mmFilm=24)
    material = read(photo)
    assert material.frames.shape == (1, 3, WIDTH, HEIGHT)
    with Image.open(photo) as image:
        stored = np.array(image)
    assert np.array_equal(material.frames[0].permute(1, 2, 0).numpy(), np.rot90(stored, -1))
    assert material.cameras is not None
    assert material.cameras.intrinsics[0].tolist() == pytest.approx([24, 24, 12, 18])


def test_without_any_focal_length_60_degrees_are_taken_and_said(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "photo.png")
    np.save(tmp_path / "photo.depth.npy", np.full((HEIGHT, WIDTH), 2.0, np.float32))
    completed = complete_depth(read(photo), GivenDepth(GivenDepthParams(name="given")))
    assert completed.cameras is not None
    focal = float(completed.cameras.intrinsics[0, 0])
    assert math.degrees(2 * math.atan(WIDTH / 2 / focal)) == pytest.approx(60.0, abs=1e-4)
    assert completed.provenance["intrinsics_from"] == "assumed: 60 degrees horizontally"


@pytest.mark.parametrize("name", ["photo", "image", "two.dots"])
def test_depth_and_intrinsics_beside_a_picture_are_its_own(tmp_path: Path, name: str) -> None:
    photo = write_photo(tmp_path / f"{name}.png", FocalLengthIn35mmFilm=24)
    np.save(tmp_path / f"{name}.depth.npy", np.full((HEIGHT, WIDTH), 2.0, np.float32))
    np.save(tmp_path / "other.depth.npy", np.full((1, 1), 7.0, np.float32))
    values = {"fx": 40.0, "fy": 40.0, "cx": 18.0, "cy": 12.0, "width": WIDTH, "height": HEIGHT}
    (tmp_path / f"{name}.intrinsics.json").write_text(
        json.dumps(values | {"depth_scale": "up_to_scale"})
    )
    material = read(photo)
    assert material.depth is not None and bool((material.depth == 2.0).all())
    assert material.depth_scale == "up_to_scale"
    assert material.cameras is not None and float(material.cameras.intrinsics[0, 0]) == 40.0
    assert material.provenance["intrinsics_from"] == f"{name}.intrinsics.json"
    assert material.provenance["depth"] == f"{name}.depth.npy"


def test_the_picture_of_a_scenes_folder_keeps_its_depth_when_it_is_named_itself(
    tmp_path: Path,
) -> None:
    photo = write_photo(tmp_path / "image.png")
    np.save(tmp_path / "depth.npy", np.full((HEIGHT, WIDTH), 2.0, np.float32))
    assert read(photo).depth is not None
    np.save(tmp_path / "image.depth.npy", np.full((HEIGHT, WIDTH), 2.0, np.float32))
    with pytest.raises(InputError, match="which file"):
        read(photo)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda folder: np.save(folder / "photo.depth.npy", np.ones((2, 2))), "2x2"),
        (lambda folder: (folder / "photo.depth.tiff").write_bytes(b"II"), "kind '.tiff'"),
        (lambda folder: (folder / "photo.intrinsics.json").write_text("[]"), "intrinsics"),
        (lambda folder: (folder / "photo.png").unlink(), "no such"),
    ],
    ids=["size", "kind", "no camera", "gone"],
)
def test_what_is_wrong_beside_a_picture_is_refused(tmp_path: Path, spoil: Any, what: str) -> None:
    photo = write_photo(tmp_path / "photo.png")
    spoil(tmp_path)
    with pytest.raises(InputError) as caught:
        read(photo)
    assert what in f"{caught.value.what} {caught.value.where}" and caught.value.fix
