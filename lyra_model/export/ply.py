"""PLY: the 3D Gaussian splatting file that most viewers read, byte for byte as the reference's.

Binary little-endian float32, one row of 14 numbers a Gaussian: x y z, f_dc_0..2 (zeroth spherical
harmonic of the colour), opacity (logit), scale_0..2 (logarithm), rot_0..3 (w, x, y, z).
(Lyra-1 src/models/utils/render.py, save_ply_orig.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import InputError
from lyra_model.export.ply_conventions import ZEROTH_HARMONIC, PlyConventions, recognise
from lyra_model.export.ply_table import PlyTable, read_ply_table
from lyra_model.gaussians import Gaussians

FIELDS = (
    *("x", "y", "z"),
    *("f_dc_0", "f_dc_1", "f_dc_2"),
    "opacity",
    *("scale_0", "scale_1", "scale_2"),
    *("rot_0", "rot_1", "rot_2", "rot_3"),
)
OPACITY_MARGIN = 1e-6
SCALE_MARGIN = 1e-8
_LARGEST_LOGIT = 100.0  # an opacity of 1, or of 0, to the last bit


def write_ply(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians to a file; opacities are clamped to [1e-6, 1 - 1e-6] for their logits.

    Raises:
        StorageError: the file cannot be written; a former one stays as it was.
    """
    rows = encode(gaussians).detach().cpu().numpy().astype("<f4")
    with write_atomically(path) as temporary:
        temporary.write_bytes(header(len(gaussians)) + rows.tobytes())


@dataclass(frozen=True)
class SplatFile:
    """The Gaussians of a PLY file, in the file's own axes and units.

    Attributes:
        conventions: how the file keeps them.
        num_dropped: rows that hold NaN or infinity, which are left out.
    """

    gaussians: Gaussians
    conventions: PlyConventions
    num_dropped: int


def read_ply(path: Path) -> Gaussians:
    """Read Gaussians from a file that `write_ply`, the reference or another splat tool wrote.

    As `read_splat_file`, without what it says of the file.

    Raises:
        InputError: as `read_splat_file`.
    """
    return read_splat_file(path).gaussians


def read_splat_file(path: Path) -> SplatFile:
    """Read the Gaussians of a PLY file, and recognise its conventions.

    Properties may come in any order and type, ASCII or binary; others (normals, higher harmonics)
    are passed over. Rotations are normalised. docs/viewing.md says how conventions are recognised.

    Raises:
        InputError: no PLY, it is cut, or it holds no Gaussians: a mesh, a point cloud, another
            tool's compressed file.
    """
    table = read_ply_table(path)
    _require_gaussians(table, path)
    names = (*("x", "y", "z"), "opacity", *(f"scale_{i}" for i in range(3)))
    colour_names = [f"f_dc_{i}" for i in range(3)]
    if colour_names[0] not in table.columns:
        colour_names = ["red", "green", "blue"]
    turns = [f"rot_{i}" for i in range(4)]
    filters = ["filter_3D"] if "filter_3D" in table.columns else []
    wanted = [*names, *colour_names, *turns, *filters]
    rows = {name: np.asarray(table.columns[name], np.float64) for name in wanted}
    # Logits of 0 and 1 are infinite, and some tools write them so.
    rows["opacity"] = rows["opacity"].clip(-_LARGEST_LOGIT, _LARGEST_LOGIT)
    finite = np.logical_and.reduce([np.isfinite(column) for column in rows.values()])
    rows = {name: column[finite] for name, column in rows.items()}
    conventions = recognise(table, {name: rows[name] for name in names})
    if conventions.colours == "rgb" and np.dtype(table.types["red"]).kind in "iu":
        for name in colour_names:
            rows[name] = rows[name] / np.iinfo(table.types[name]).max
    gaussians = _activated({name: torch.from_numpy(rows[name]) for name in wanted}, conventions)
    return SplatFile(gaussians, conventions, int((~finite).sum()))


def _require_gaussians(table: PlyTable, path: Path) -> None:
    """Refuse what is no file of Gaussians, in words for what it is instead."""
    columns = table.columns
    colours = {"f_dc_0", "f_dc_1", "f_dc_2"}
    if not colours & set(columns) and {"red", "green", "blue"} <= set(columns):
        colours = {"red", "green", "blue"}
    needed = [name for name in FIELDS if not name.startswith("f_dc_")] + sorted(colours)
    missing = [name for name in needed if name not in columns]
    if not missing:
        return
    if "packed_position" in columns:
        raise InputError(
            "a compressed PLY of PlayCanvas",
            where=str(path),
            fix="export it as an ordinary .ply, e.g. with splat-transform or SuperSplat",
        )
    faces = next((element.count for element in table.elements if element.name == "face"), 0)
    gaussian_names = {"opacity", "scale_0", "rot_0"} & set(columns)
    if faces or not gaussian_names:
        kind = f"a mesh ({faces} faces)" if faces else "a point cloud"
        raise InputError(
            f"{kind} of {len(table)} points, not Gaussians: no property {', '.join(missing)}",
            where=str(path),
            fix="give a .ply of 3D Gaussian splatting: with " + " ".join(FIELDS),
        )
    if missing == ["scale_2"]:
        raise InputError(
            "2D Gaussians (surfels), which have two scales, not three",
            where=str(path),
            fix="export 3D Gaussians",
        )
    raise InputError(
        f"no property {', '.join(missing)}",
        where=str(path),
        fix="this is no 3D Gaussian splatting file; give one with " + " ".join(FIELDS),
    )


def _activated(rows: dict[str, Tensor], conventions: PlyConventions) -> Gaussians:
    """Return the Gaussians of a file's columns (float64)."""

    def stacked(*names: str) -> Tensor:
        return torch.stack([rows[name] for name in names], dim=-1)

    scales = stacked("scale_0", "scale_1", "scale_2")
    scales = scales if conventions.linear_scales else torch.exp(scales)
    opacities = rows["opacity"]
    opacities = opacities if conventions.activated_opacities else torch.sigmoid(opacities)
    if conventions.filtered:
        # Mip-Splatting (Yu et al. 2024) widens by the filter and keeps what a Gaussian covers.
        widened = torch.sqrt(scales**2 + rows["filter_3D"][:, None] ** 2)
        opacities = opacities * (scales / widened.clamp(min=1e-30)).prod(dim=-1)
        scales = widened
    quats = stacked("rot_0", "rot_1", "rot_2", "rot_3")
    lengths = quats.norm(dim=-1, keepdim=True)
    quats = torch.where(lengths > 0, quats / lengths, quats.new_tensor([1.0, 0.0, 0.0, 0.0]))
    if conventions.colours == "harmonics":
        colours = stacked("f_dc_0", "f_dc_1", "f_dc_2") * ZEROTH_HARMONIC + 0.5
    else:
        colours = stacked("red", "green", "blue")
    gaussians = Gaussians(stacked("x", "y", "z"), scales, quats, opacities, colours)
    return gaussians.map(lambda field: field.float())


def header(num_gaussians: int) -> bytes:
    """Return the file's first lines, which name the columns of a row."""
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {num_gaussians}",
        *(f"property float {name}" for name in FIELDS),
        "end_header",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def encode(gaussians: Gaussians) -> Float[Tensor, "gaussian 14"]:
    """Return the rows of the file."""
    opacities = gaussians.opacities.clamp(OPACITY_MARGIN, 1 - OPACITY_MARGIN)
    return torch.cat(
        [
            gaussians.means,
            (gaussians.colors - 0.5) / ZEROTH_HARMONIC,
            torch.log(opacities / (1 - opacities))[:, None],
            torch.log(gaussians.scales + SCALE_MARGIN),
            gaussians.quats,
        ],
        dim=1,
    )
