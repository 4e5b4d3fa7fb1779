"""Camera models of COLMAP: their parameters, as the intrinsics and the distortion of a lens."""

from __future__ import annotations

from typing import Any

from lyra_data.clips.formats.undistortion import Lens
from lyra_data.engine.errors import InputError

LENSES = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
}
"""Camera models that are read, with the order of their parameters."""

DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")


def lens_of_camera(camera: dict[str, Any], where: str) -> Lens:
    """Return the lens of a camera as a model on disk describes it.

    Args:
        camera: its `model` and `params`.
        where: the file, for messages.

    Raises:
        InputError: it is no pinhole with OpenCV's distortion.
    """
    keys = LENSES.get(camera["model"])
    if keys is None:
        raise InputError(
            f"camera model {camera['model']}: fisheye and panorama lenses are not read",
            where=where,
            fix="undistort the pictures first: `colmap image_undistorter`; models that are read: "
            f"{', '.join(LENSES)}",
        )
    # Models named SIMPLE and RADIAL have one focal length for both axes; a coefficient that a model
    # does not have is 0.
    values = dict(zip(keys, camera["params"], strict=True))
    fx, fy = (values[key] if key in values else values["f"] for key in ("fx", "fy"))
    distortion = tuple(values.get(key, 0.0) for key in DISTORTION)
    return Lens((fx, fy, values["cx"], values["cy"]), distortion)
