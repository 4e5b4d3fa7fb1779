"""PLY: the 3D Gaussian splatting file that most viewers read, byte for byte as the reference's.

Binary little-endian float32, one row of 14 numbers a Gaussian: x y z, f_dc_0..2 (zeroth spherical
harmonic of the colour), opacity (logit), scale_0..2 (logarithm), rot_0..3 (w, x, y, z).
(Lyra-1 src/models/utils/render.py, save_ply_orig.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import InputError
from lyra_model.gaussians import Gaussians

FIELDS = (
    *("x", "y", "z"),
    *("f_dc_0", "f_dc_1", "f_dc_2"),
    "opacity",
    *("scale_0", "scale_1", "scale_2"),
    *("rot_0", "rot_1", "rot_2", "rot_3"),
)
ZEROTH_HARMONIC = 0.28209479177387814
OPACITY_MARGIN = 1e-6
SCALE_MARGIN = 1e-8


def write_ply(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians to a file; opacities are clamped to [1e-6, 1 - 1e-6] for their logits.

    Raises:
        StorageError: the file cannot be written; a former one stays as it was.
    """
    rows = encode(gaussians).detach().cpu().numpy().astype("<f4")
    with write_atomically(path) as temporary:
        temporary.write_bytes(header(len(gaussians)) + rows.tobytes())


def read_ply(path: Path) -> Gaussians:
    """Read Gaussians from a file that `write_ply`, the reference or another splat tool wrote.

    Properties may come in any order, and others (normals, higher harmonics) are passed over.
    Rotations are normalised.

    Raises:
        InputError: no PLY, not binary little-endian float32, a property is missing, or it is cut.
    """
    data = path.read_bytes()
    names, num_gaussians, start = _parse_header(data, path)
    expected = start + 4 * num_gaussians * len(names)
    if len(data) < expected:
        raise InputError(
            f"{len(data)} bytes, {expected} expected for {num_gaussians} Gaussians",
            where=str(path),
            fix="the file was cut; export or copy it again",
        )
    table = np.frombuffer(data, "<f4", num_gaussians * len(names), start)
    table = torch.from_numpy(table.reshape(num_gaussians, len(names)).astype(np.float32))
    return decode(table[:, [names.index(name) for name in FIELDS]])


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


def decode(rows: Float[Tensor, "gaussian 14"]) -> Gaussians:
    """Return the Gaussians of the rows; the inverse of `encode` but for its margins."""
    means, harmonics, logits, log_scales, quats = rows.split([3, 3, 1, 3, 4], dim=1)
    return Gaussians(
        means=means,
        scales=torch.exp(log_scales),
        quats=torch.nn.functional.normalize(quats, dim=1),
        opacities=torch.sigmoid(logits[:, 0]),
        colors=harmonics * ZEROTH_HARMONIC + 0.5,
    )


def _parse_header(data: bytes, path: Path) -> tuple[list[str], int, int]:
    """Return the names of the vertex properties, the number of vertices, the first one's offset."""
    end_line = b"end_header\n"
    end = data.find(end_line)
    if not data.startswith(b"ply") or end < 0:
        raise InputError(
            "not a PLY file", where=str(path), fix="give a .ply of 3D Gaussian splatting"
        )
    lines = data[:end].decode("ascii", errors="replace").split("\n")
    if "format binary_little_endian 1.0" not in lines:
        raise InputError(
            "not in binary little-endian format",
            where=str(path),
            fix="export it as binary_little_endian 1.0",
        )
    words = [line.split() for line in lines if line.startswith(("element ", "property "))]
    if not words or words[0][:2] != ["element", "vertex"] or not words[0][-1].isdecimal():
        raise InputError(
            f"the first element is {' '.join(words[0][1:]) if words else 'missing'}, not vertices",
            where=str(path),
            fix="give a .ply of 3D Gaussian splatting",
        )
    names: list[str] = []
    for row in words[1:]:
        if row[0] == "element":
            break
        if row[1] not in ("float", "float32"):
            raise InputError(
                f"property {row[-1]} is {row[1]}", where=str(path), fix="export it as float32"
            )
        names.append(row[-1])
    missing = [name for name in FIELDS if name not in names]
    if missing:
        raise InputError(
            f"no property {', '.join(missing)}",
            where=str(path),
            fix="this is no 3D Gaussian splatting file; give one with " + " ".join(FIELDS),
        )
    return names, int(words[0][-1]), end + len(end_line)
