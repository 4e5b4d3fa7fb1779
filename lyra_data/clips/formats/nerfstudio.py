"""A nerfstudio dataset on disk: transforms.json and the pictures it names. See docs/formats.md.

Its cameras look along -z with y up (OpenGL's axes), ours along +z with y down; the world stays as
it is. Its pixel centres are at +0.5, as ours are, so intrinsics are the same numbers.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.clips.formats.nerfstudio_values import Section
from lyra_data.clips.formats.nerfstudio_writing import (
    DEPTH_IS_UNKNOWN,
    DEPTH_SCALE,
    DEPTH_UNIT,
    OPENGL_FROM_OPENCV,
    TRANSFORMS,
    write_nerfstudio,
)
from lyra_data.clips.formats.posed_pictures import (
    PosedPicture,
    read_posed_pictures,
    require_folder,
)
from lyra_data.clips.formats.undistortion import Lens
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.media.images import read_photo, readable

__all__ = ["read_nerfstudio", "write_nerfstudio"]

PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
"""Values of camera_model that are a pinhole with OpenCV's distortion, or without any."""

OTHER_LENSES = ("is_fisheye", "fisheye", "latlong", "equirectangular", "ftheta_p0")
"""Keys by which instant-ngp marks a lens that is no such camera."""

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")
"""Tried in this order where a file_path has none."""

PNG_UNIT = 0.001
"""Metres: depth PNGs hold millimetres unless the dataset says otherwise."""


def read_nerfstudio(folder: Path) -> ImportedClip:
    """Read and check the dataset in `folder`.

    Raises:
        InputError: a file is missing or damaged, a key is missing or impossible, the lens is no
            pinhole with OpenCV's distortion, or depth has no unit.
    """
    require_folder(folder)
    path = folder / TRANSFORMS
    shared = Section(_read_json(path), str(path))
    _check_lens_kind(shared)
    entries = shared.values.get("frames")
    if not isinstance(entries, list) or not entries:
        raise InputError("no `frames`", where=str(path), fix='list the pictures under "frames"')
    pictures = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise shared.bad(f"frames[{index}]", entry, "an object")
        frame = Section(entry, f"{path}: frames[{index}]", shared)
        _check_lens_kind(frame)
        pictures.append(_picture(frame, folder))
    _check_depth_is_of_all(pictures, entries, str(path))
    # Depth follows the positions that applied_scale has scaled: it is no longer in metres then.
    is_scaled = _applied_scale(shared) != 1.0
    scale = shared.choice(
        DEPTH_SCALE, ("metric", "up_to_scale"), "up_to_scale" if is_scaled else "metric"
    )
    clip = read_posed_pictures(pictures, scale)
    facts = {"transforms": path.name, "transforms_sha256": sha256_of_file(path), **clip.facts}
    for key in ("applied_transform", "applied_scale"):
        if key in shared.values:
            # It says how these poses were made from others; there is nothing to undo in them.
            facts[key] = json.dumps(shared.values[key])
    return replace(clip, facts=facts)


def _picture(frame: Section, folder: Path) -> PosedPicture:
    name = frame.text("file_path")
    path = _picture_path(folder / name)
    size = None
    if frame.has("w") or frame.has("h"):
        size = (frame.whole("w"), frame.whole("h"))
    depth = mask = None
    if "depth_file_path" in frame.values and not frame.values.get(DEPTH_IS_UNKNOWN, False):
        depth = folder / frame.text("depth_file_path")
    if "mask_path" in frame.values:
        mask = folder / frame.text("mask_path")
    return PosedPicture(
        name=name,
        path=path,
        where=f"{frame.where} ({name})",
        camera_to_world=_pose(frame),
        lens=_lens(frame, path, size),
        size=size,
        depth=depth,
        depth_unit=1.0 if depth is None else _depth_unit(frame, depth),
        mask=mask,
    )


def _picture_path(path: Path) -> Path:
    """Return the path of a picture whose name may lack the suffix. A missing one is refused when it
    is read."""
    if path.is_file():
        return path
    for suffix in PICTURE_SUFFIXES:
        longer = path.with_name(path.name + suffix)
        if longer.is_file():
            return longer
    return path


def _pose(frame: Section) -> Float64[np.ndarray, "4 4"]:
    """Return camera_to_world with OpenCV axes."""
    rows = frame.values.get("transform_matrix")
    is_matrix = (
        isinstance(rows, list)
        and len(rows) == 4
        and all(isinstance(row, list) and len(row) == 4 for row in rows)
        and all(_is_number(value) for row in rows for value in row)
    )
    if not is_matrix:
        raise frame.bad("transform_matrix", rows, "four rows of four numbers")
    # From the right: it turns the camera's own axes half round about x, and leaves its position.
    return np.array(rows, dtype=np.float64) @ OPENGL_FROM_OPENCV


def _lens(frame: Section, path: Path, size: tuple[int, int] | None) -> Lens:
    if frame.has("fl_x"):
        fx = frame.number("fl_x")
        fy = frame.number("fl_y") if frame.has("fl_y") else fx
        centre = (frame.number("cx"), frame.number("cy"))
    elif frame.has("camera_angle_x"):
        width, height = size or _size_of(path)
        fx = _focal_of(frame, "camera_angle_x", width)
        fy = _focal_of(frame, "camera_angle_y", height) if frame.has("camera_angle_y") else fx
        centre = (
            frame.number("cx") if frame.has("cx") else width / 2,
            frame.number("cy") if frame.has("cy") else height / 2,
        )
    else:
        raise InputError(
            "neither `fl_x` nor `camera_angle_x`",
            where=frame.where,
            fix="give fl_x, fl_y, cx, cy in pixels, for every frame or once for all of them",
        )
    k1, k2, k3, k4, p1, p2 = (
        frame.number(key) if frame.has(key) else 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2")
    )
    if k4 != 0:
        raise InputError(
            f"k4 = {k4:g}: a fourth radial term is that of a fisheye",
            where=frame.where,
            fix="undistort the pictures first (`ns-process-data` or `colmap image_undistorter`)",
        )
    return Lens((fx, fy, *centre), (k1, k2, p1, p2, k3))


def _focal_of(frame: Section, key: str, size: int) -> float:
    angle = frame.number(key)
    if not 0 < angle < math.pi:
        raise frame.bad(key, angle, "an angle in radians, between 0 and pi")
    return size / 2 / math.tan(angle / 2)


def _size_of(path: Path) -> tuple[int, int]:
    """Read the width and height of a picture whose dataset states neither."""
    height, width = read_photo(path).shape[1:]
    return width, height


def _depth_unit(frame: Section, depth: Path) -> float:
    """Return the factor that makes metres (or the poses' unit) of what read_depth makes of a file.

    Depth is as measured, and positions are already multiplied by applied_scale: so is depth, as in
    nerfstudio's dataparser (dataparser_scale has applied_scale in it).
    """
    return _stated_unit(frame, depth) * _applied_scale(frame)


def _applied_scale(section: Section) -> float:
    if not section.has("applied_scale"):
        return 1.0
    scale = section.number("applied_scale")
    if scale <= 0:
        raise section.bad("applied_scale", scale, "a positive number")
    return scale


def _stated_unit(frame: Section, depth: Path) -> float:
    """Return the factor that makes metres of what read_depth makes of a file."""
    is_png = depth.suffix.lower() == ".png"
    if frame.has(DEPTH_UNIT):
        unit = frame.number(DEPTH_UNIT)
        if unit <= 0:
            raise frame.bad(DEPTH_UNIT, unit, "a positive number")
        return unit / PNG_UNIT if is_png else unit  # read_depth takes PNGs for millimetres itself
    if is_png:
        return 1.0
    raise InputError(
        f"is {depth.name} in metres or in millimetres? nerfstudio takes millimetres unless told "
        "otherwise on its command line",
        where=frame.where,
        fix=f'add "{DEPTH_UNIT}" beside "frames": 1.0 for metres, 0.001 for millimetres',
    )


def _check_depth_is_of_all(
    pictures: list[PosedPicture], entries: list[dict[str, Any]], where: str
) -> None:
    """Refuse depth of some pictures only: nerfstudio asks for depth of every picture or of none."""
    lacking = [
        picture.name
        for picture, entry in zip(pictures, entries, strict=True)
        if picture.depth is None and not entry.get(DEPTH_IS_UNKNOWN, False)
    ]
    if lacking and any(picture.depth for picture in pictures):
        raise InputError(
            f"{len(lacking)} of {len(pictures)} frames have no depth_file_path, first {lacking[0]}",
            where=where,
            fix=f'give depth for every frame or for none; "{DEPTH_IS_UNKNOWN}": true marks a frame '
            "whose depth is nowhere known",
        )


def _check_lens_kind(section: Section) -> None:
    model = section.values.get("camera_model", PERSPECTIVE[0])
    marks = [key for key in OTHER_LENSES if section.values.get(key)]
    if model not in PERSPECTIVE or marks:
        kind = f"camera_model {model!r}" if model not in PERSPECTIVE else f"{marks[0]!r}"
        raise InputError(
            f"{kind}: fisheye and panorama lenses are not read",
            where=section.where,
            fix="undistort the pictures to a pinhole (`colmap image_undistorter`), and give those "
            f"with their intrinsics; camera_model is one of {', '.join(PERSPECTIVE)}",
        )


def _read_json(path: Path) -> dict[str, Any]:
    with readable(path):
        return read_json_object(
            path,
            kind="nerfstudio dataset",
            fix="correct the text at that place, or give the file as `ns-process-data` writes it",
            error=InputError,
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")
