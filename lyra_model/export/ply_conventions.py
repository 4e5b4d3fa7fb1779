"""Conventions of PLY files that other tools write, recognised from names, values and comments.

3D Gaussian splatting's own files hold logits of opacities, logarithms of scales, (w, x, y, z) and
the zeroth harmonic of colours. Tools differ in all of these; none says so in a field of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lyra_model.export.ply_table import PlyTable

ZEROTH_HARMONIC = 0.28209479177387814

_HARMONICS = {0: 0, 9: 1, 24: 2, 45: 3, 72: 4}
"""Degrees by the number of higher coefficients, three colours together."""

_LEAST_SPREAD = 0.9
"""Opacities that all lie in 0..1, but farther apart than this, are opacities: as logits they would
all mean 0.5 to 0.73, and go from end to end of that."""

_LARGEST_SHARE = 0.1
"""The greatest plausible size of a median Gaussian, as a share of the scene."""

Up = Literal["-y", "y", "z"]
"""The axis that points up; "-y" is OpenCV's and COLMAP's."""


@dataclass(frozen=True)
class PlyConventions:
    """The way a file keeps its Gaussians.

    Attributes:
        activated_opacities: opacities stand as they are, not as logits.
        linear_scales: scales stand as they are, not as logarithms.
        harmonics_degree: degree of the colour's spherical harmonics that the file holds, or None
            where it has an unknown number of coefficients.
        colours: "harmonics" (f_dc), or "rgb" (red, green, blue: 0..255 in bytes, else 0..1).
        up: the axis that a comment says to point up.
        extent: of the middle 98 % of the centres, along the longest axis, in world units.
        others: properties that are passed over, higher harmonics apart.
        filtered: the file has Mip-Splatting's 3D filter, which is applied.
        trained_with: a tool that the comments name, or None.
        format: of the numbers, and their types where they are not all float32.
    """

    activated_opacities: bool
    linear_scales: bool
    harmonics_degree: int | None
    colours: Literal["harmonics", "rgb"]
    up: Up
    extent: float
    others: tuple[str, ...]
    filtered: bool
    trained_with: str | None
    format: str

    def sentences(self) -> list[str]:
        """Return what a user should know of the file, a phrase each."""
        opacities = "as they are (activated)" if self.activated_opacities else "as logits"
        scales = "as they are (linear)" if self.linear_scales else "as logarithms"
        said = [f"opacities {opacities}", f"scales {scales}"]
        if self.colours == "rgb":
            said.append("colours as red, green, blue")
        if self.harmonics_degree is None:
            said.append("an unknown number of harmonics: those above degree 0 are passed over")
        elif self.harmonics_degree:
            said.append(
                f"spherical harmonics of degree {self.harmonics_degree}: colours that change with "
                "the direction are passed over"
            )
        else:
            said.append("spherical harmonics of degree 0")
        said.append({"-y": "-y is up (OpenCV)", "y": "y is up", "z": "z is up"}[self.up])
        if self.filtered:
            said.append("Mip-Splatting's 3D filter, applied")
        if self.trained_with:
            said.append(self.trained_with)
        if self.others:
            said.append("passed over: " + ", ".join(self.others))
        said.append(self.format)
        return said


def recognise(table: PlyTable, required: dict[str, np.ndarray]) -> PlyConventions:
    """Return the conventions of a file whose `required` columns (opacity, scales, x, y, z) are
    finite."""
    opacities = required["opacity"]
    scales = np.stack([required[f"scale_{axis}"] for axis in range(3)])
    centres = np.stack([required[axis] for axis in "xyz"])
    low, high = np.percentile(centres, [1, 99], axis=1) if centres.size else (np.zeros(3),) * 2
    extent = float((high - low).max())
    within = bool(opacities.size and (opacities >= 0).all() and (opacities <= 1).all())
    positive = bool(scales.size and (scales >= 0).all())
    wide = within and float(np.ptp(opacities)) > _LEAST_SPREAD
    # As logarithms, numbers that are all positive would be Gaussians of more than a unit each.
    size = float(np.exp(min(np.median(scales), 60.0))) if positive else 0.0
    huge = positive and size > _LARGEST_SHARE * extent > 0
    linear = positive and (huge or wide)
    rest = [name for name in table.columns if name.startswith("f_rest_")]
    names = [name for name in table.columns if name not in required and name not in rest]
    has_harmonics = "f_dc_0" in table.columns
    used = {f"rot_{i}" for i in range(4)} | {"filter_3D"}
    used |= {f"f_dc_{i}" for i in range(3)} if has_harmonics else {"red", "green", "blue"}
    return PlyConventions(
        activated_opacities=within and (wide or linear),
        linear_scales=linear,
        harmonics_degree=_HARMONICS.get(len(rest)),
        colours="harmonics" if has_harmonics else "rgb",
        up=_up(table.comments),
        extent=extent,
        others=_grouped(name for name in names if name not in used),
        filtered="filter_3D" in table.columns,
        trained_with=_trained_with(table.comments),
        format=_format(table),
    )


def _up(comments: tuple[str, ...]) -> Up:
    """Return the axis that a comment "Vertical axis: ..." names.

    nerfstudio writes z, rightly. Brush writes y whatever the scene, so that its word says nothing.
    """
    text = "\n".join(comments).lower()
    if "vertical axis: z" in text:
        return "z"
    if "vertical axis: y" in text and "brush" not in text:
        return "y"
    return "-y"


def _trained_with(comments: tuple[str, ...]) -> str | None:
    text = "\n".join(comments).lower()
    if "3dgut" in text or "3dgrut" in text:
        return "trained with 3DGUT: the classic projection, used here, differs at wide angles"
    for name in ("nerfstudio", "nerstudio", "brush", "supersplat", "splat-transform", "postshot"):
        if name in text:
            return f"written by {name.replace('nerstudio', 'nerfstudio')}"
    return None


def _grouped(names) -> tuple[str, ...]:
    """Return names of properties, normals as one word."""
    listed = list(names)
    if {"nx", "ny", "nz"} <= set(listed):
        listed = ["normals", *(name for name in listed if name not in ("nx", "ny", "nz"))]
    return tuple(name[:40] for name in listed[:8]) + (("...",) if len(listed) > 8 else ())


def _format(table: PlyTable) -> str:
    kind = table.format.replace("_", " ")
    types = sorted({np.dtype(type_).name for type_ in table.types.values()})
    return f"{kind}, {', '.join(types)}"
