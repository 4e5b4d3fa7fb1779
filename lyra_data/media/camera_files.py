"""Cameras on disk: one JSON file with the intrinsics (and the pose) of one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lyra_data.engine.documents import read_json
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import suggestion
from lyra_data.media.images import readable
from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.clip import DepthScale

MIN_FOCAL_PER_WIDTH = 0.05
"""A field of view of 169 degrees: a smaller focal length was not given in pixels."""
MAX_FOCAL_PER_WIDTH = 200.0
"""A field of view of 0.3 degrees."""
RIGID_TOLERANCE = 1e-3
"""Largest difference of a rotation times its transpose from the identity."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Row = Annotated[list[Finite], Field(min_length=4, max_length=4)]


def _half_or_zero(pixel_centre: float) -> float:
    if pixel_centre not in (0.0, 0.5):
        raise ValueError("must be 0.5 or 0")
    return pixel_centre


class Intrinsics(BaseModel):
    """The content of intrinsics.json, in pixels of the picture beside it.

    Attributes:
        fx, fy: focal lengths.
        cx, cy: principal point.
        width, height: the picture's size the numbers belong to.
        pixel_centre: coordinate of the centre of the first pixel in cx, cy: 0.5 (COLMAP, OpenGL;
            taken where nothing is said) or 0 (OpenCV, Middlebury).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    fx: Finite
    fy: Finite
    cx: Finite
    cy: Finite
    width: int
    height: int
    pixel_centre: Annotated[Finite, AfterValidator(_half_or_zero)] = PIXEL_CENTRE

    def check_pose(self, path: Path) -> None:
        """Refuse an impossible pose; a file without one has none to refuse."""

    def cameras(self, camera_to_world: torch.Tensor) -> Cameras:
        """Return one camera, in the project's convention."""
        shift = PIXEL_CENTRE - self.pixel_centre
        intrinsics = torch.tensor([[self.fx, self.fy, self.cx + shift, self.cy + shift]])
        return Cameras(camera_to_world[None], intrinsics, self.height, self.width)


class SceneIntrinsics(Intrinsics):
    """intrinsics.json of a scene's picture, with what is to be said about the scene.

    Attributes:
        depth_scale: "metric" (taken where nothing is said) or "up_to_scale".
        prompt: text that describes the scene.
        licence: of the picture, and whom to name.
    """

    depth_scale: DepthScale = "metric"
    prompt: str = ""
    licence: str = ""


class PosedIntrinsics(Intrinsics):
    """The camera of a held-out picture.

    Attributes:
        camera_to_world: rigid 4x4; the world is the scene picture's camera (OpenCV axes: x right,
            y down, z forward), in the unit of the scene's depth.
    """

    camera_to_world: Annotated[list[Row], Field(min_length=4, max_length=4)]

    def check_pose(self, path: Path) -> None:
        """Refuse a pose that is not rigid.

        Raises:
            InputError: it scales, shears or mirrors.
        """
        _check_rigid(torch.tensor(self.camera_to_world, dtype=torch.float64), path)


Kind = TypeVar("Kind", bound=Intrinsics)


def read_intrinsics(path: Path, kind: type[Kind], *, height: int, width: int) -> Kind:
    """Read a camera file that belongs to a picture of `height` x `width` pixels.

    Raises:
        InputError: the file is missing or no JSON, a key is unknown or missing, or a value is
            impossible or belongs to a picture of another size.
    """
    with readable(path):
        values = read_json(
            path, kind="camera file", fix="correct the text at that place", error=InputError
        )
    try:
        intrinsics = kind.model_validate(values)
    except ValidationError as error:
        raise _explained(error, kind, path) from None
    _check_possible(intrinsics, path, height=height, width=width)
    intrinsics.check_pose(path)
    return intrinsics


def _check_possible(intrinsics: Intrinsics, path: Path, *, height: int, width: int) -> None:
    def refuse(what: str, fix: str) -> NoReturn:
        raise InputError(what, where=str(path), fix=fix)

    if (intrinsics.width, intrinsics.height) != (width, height):
        refuse(
            f"the intrinsics are for {intrinsics.width}x{intrinsics.height} pixels, "
            f"the picture has {width}x{height}",
            f"give them for {width}x{height} (all four numbers scale with the picture's size)",
        )
    for key, focal in (("fx", intrinsics.fx), ("fy", intrinsics.fy)):
        if focal <= 0:
            refuse(f"{key} = {focal}: a focal length is positive", "give it in pixels")
        if not MIN_FOCAL_PER_WIDTH * width <= focal <= MAX_FOCAL_PER_WIDTH * width:
            refuse(
                f"{key} = {focal} is impossible for a picture {width} pixels wide",
                "give focal lengths in pixels: millimetres / sensor width in mm * picture width",
            )
    for key, centre, size in (("cx", intrinsics.cx, width), ("cy", intrinsics.cy, height)):
        if not -size <= centre <= 2 * size:
            refuse(
                f"{key} = {centre} lies far outside a picture of {size} pixels",
                f"give the principal point in pixels; without a calibration {size / 2} is usual",
            )


def _check_rigid(matrix: torch.Tensor, path: Path) -> None:
    rotation = matrix[:3, :3]
    error = float((rotation @ rotation.T - torch.eye(3, dtype=matrix.dtype)).abs().max())
    last_row = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=matrix.dtype)
    mirrored = float(torch.linalg.det(rotation)) < 0
    if error > RIGID_TOLERANCE or mirrored or not torch.equal(matrix[3], last_row):
        raise InputError(
            "camera_to_world is no rotation with a translation"
            + (" (it mirrors)" if mirrored else f" (rotation off by {error:.2g})"),
            where=str(path),
            fix="give [[r11, r12, r13, x], ..., [0, 0, 0, 1]], OpenCV axes, rows first",
        )


def _explained(error: ValidationError, kind: type[Intrinsics], path: Path) -> InputError:
    problems, fixes = [], []
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(f"unknown key {key!r}")
            fixes.append(suggestion(key, list(kind.model_fields)))
        elif item["type"] == "missing":
            problems.append(f"missing key {key!r}")
            fixes.append(f'add "{key}"')
        else:
            problems.append(f"{key} = {item['input']!r}: {item['msg']}" if key else item["msg"])
    return InputError(
        "; ".join(problems), where=str(path), fix="; ".join(fixes) or "correct the value"
    )


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")
