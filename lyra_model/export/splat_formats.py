"""Files of Gaussians beside PLY: written and read back by libraries that are optional.

| kind           | library    | keeps                                               |
| -------------- | ---------- | --------------------------------------------------- |
| spz            | gaussforge | 24-bit centres, 8-bit logarithms of scales, gzip    |
| sog            | gaussforge | 16-bit centres, codebooks of 256 scales and colours |
| splat          | gaussforge | 32-bit centres and scales, 8-bit colours            |
| ply-compressed | gaussforge | 11 bits of centres and scales in chunks of 256      |
| usdz           | usd-core   | floats, as OpenUSD's ParticleField3DGaussianSplat   |

See docs/adr/0030-formats-of-gaussians.md.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import InputError
from lyra_model.export.optional_library import library
from lyra_model.export.ply import read_ply, write_ply
from lyra_model.gaussians import Gaussians

ENDINGS = {
    "spz": ".spz",
    "sog": ".sog",
    "splat": ".splat",
    "ply-compressed": ".compressed.ply",
    "usdz": ".usdz",
}

_GAUSSFORGE_NAMES = {
    "spz": "spz",
    "sog": "sog",
    "splat": "splat",
    "ply-compressed": "compressed.ply",
}

_SPZ_FRACTION = 13  # offset in bytes of the number of fractional bits of centres, in its header
_SPZ_BITS = 23  # of a centre's magnitude
_SPZ_DEFAULT = 12  # fractional bits that gaussforge writes


def write_splats(gaussians: Gaussians, path: Path, kind: str) -> None:
    """Write Gaussians as a file of a kind of ENDINGS; the same Gaussians give the same bytes.

    Raises:
        InputError: the library that writes this kind is not installed, or it failed.
        StorageError: the file cannot be written; a former one stays as it was.
    """
    # Neighbours share chunks, codebooks and what gzip finds alike, so that their values are close.
    ordered = gaussians[morton_order(gaussians)]
    with write_atomically(path) as temporary:
        if kind == "usdz":
            from lyra_model.export.usdz import write_usdz

            write_usdz(ordered, temporary)
        else:
            temporary.write_bytes(_encoded(ordered, kind))


def read_splats(path: Path, kind: str) -> Gaussians:
    """Read a file that `write_splats` wrote.

    Raises:
        InputError: as `write_splats`.
    """
    if kind == "usdz":
        from lyra_model.export.usdz import read_usdz

        return read_usdz(path)
    ply = _converted(path.read_bytes(), _GAUSSFORGE_NAMES[kind], "ply")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scene.ply"
        file.write_bytes(ply)
        return read_ply(file)


def morton_order(gaussians: Gaussians) -> Int[Tensor, " gaussian"]:
    """Return an order in which neighbours in space are neighbours in the list."""
    means = gaussians.means.detach().cpu().double()
    if not len(means):
        return torch.zeros(0, dtype=torch.int64)
    low, high = means.amin(0), means.amax(0)
    cells = ((means - low) / (high - low).clamp(min=1e-12) * ((1 << 21) - 1)).long()
    codes = torch.zeros(len(means), dtype=torch.int64)
    for bit in range(21):
        for axis in range(3):
            codes |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return codes.argsort(stable=True)


def _encoded(gaussians: Gaussians, kind: str) -> bytes:
    name = _GAUSSFORGE_NAMES[kind]
    if kind != "spz":
        return _converted(_ply_bytes(gaussians), "ply", name)
    # SPZ holds centres as 24-bit fixed point, by default in steps of 1/4096: coarse for a scene of
    # a few metres. Its header says where the point is, so that all bits can serve.
    reach = float(gaussians.means.detach().abs().max()) if len(gaussians) else 0.0
    fraction = min(_SPZ_BITS - 1, _SPZ_BITS - 1 - math.ceil(math.log2(max(reach, 1e-6))))
    fraction = max(0, fraction)
    shifted = replace(gaussians, means=gaussians.means * 2.0 ** (fraction - _SPZ_DEFAULT))
    content = bytearray(gzip.decompress(_converted(_ply_bytes(shifted), "ply", name)))
    assert content[:4] == b"NGSP" and content[_SPZ_FRACTION] == _SPZ_DEFAULT, content[:16].hex()
    content[_SPZ_FRACTION] = fraction
    return gzip.compress(bytes(content), mtime=0)


def _ply_bytes(gaussians: Gaussians) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scene.ply"
        write_ply(gaussians, file)
        return file.read_bytes()


def _converted(data: bytes, source: str, target: str) -> bytes:
    forge = library("gaussforge", "gaussforge").GaussForge()
    with _without_chatter():
        result = forge.convert(data, source, target)
    if "error" in result:
        raise InputError(
            f"gaussforge cannot turn this scene from {source} to {target}: {result['error']}",
            where="--to",
            fix="choose another kind of file",
        )
    return bytes(result["data"])


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Silence what a library of C++ prints to standard output: it would break --json."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
