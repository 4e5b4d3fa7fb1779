"""COLMAP's models as text: cameras and pictures, read line by line.

pycolmap cuts a name at its first blank, and refuses a model for tracks of points that nobody asks
for; neither the points of a picture nor points3D.txt are needed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lyra_data.clips.formats.colmap_lengths import PARAMS_OF
from lyra_data.engine.errors import InputError
from lyra_data.media.images import readable


def read_text_model(sparse: Path) -> dict[str, Any]:
    """Return cameras, names and poses of a text model, as colmap_process.py does of a binary one.

    Raises:
        InputError: a line is not as COLMAP writes it, with the file and the number of the line.
    """
    cameras = dict(_cameras(sparse / "cameras.txt"))
    images = list(_images(sparse / "images.txt", cameras))
    points = sparse / "points3D.txt"
    return {
        "images": sorted(images, key=lambda image: image["name"]),
        "num_points": len(_lines(points)) if points.is_file() else 0,
    }


def _cameras(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # CAMERA_ID MODEL WIDTH HEIGHT PARAMS...
    for number, line in _lines(path):
        words = line.split()
        try:
            model = words[1]
            camera = {
                "model": model,
                "width": int(words[2]),
                "height": int(words[3]),
                "params": [float(word) for word in words[4:]],
            }
            if len(camera["params"]) != PARAMS_OF.get(model):
                raise ValueError
            yield int(words[0]), camera
        except (ValueError, IndexError):
            raise _unreadable(path, number, line) from None


def _images(path: Path, cameras: dict[int, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    # IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, where NAME is all that is left of the line; then
    # a line of points, which may be empty.
    with readable(path):
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    rows = iter(enumerate(lines, start=1))
    for number, line in rows:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.strip().split(maxsplit=9)
        try:
            values = [float(word) for word in words[1:8]]
            camera, name = cameras[int(words[8])], words[9]
            matrix = _world_to_camera(np.array(values[:4]), np.array(values[4:]))
        except (ValueError, IndexError, KeyError):
            raise _unreadable(path, number, line) from None
        next(rows, None)
        yield {"name": name, "camera": camera, "world_to_camera": matrix}


def _world_to_camera(quaternion: np.ndarray, translation: np.ndarray) -> list[list[float]]:
    """Return the matrix [R | t] of a quaternion w, x, y, z, which may be off unit length."""
    length = float(np.linalg.norm(quaternion))
    if not np.isfinite([length, *translation]).all() or length < 1e-6:
        raise ValueError
    w, x, y, z = quaternion / length
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return np.hstack([rotation, translation[:, None]]).tolist()


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines that are neither empty nor comments, with their numbers."""
    with readable(path):
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    numbered = enumerate((line.strip() for line in lines), start=1)
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _unreadable(path: Path, number: int, line: str) -> InputError:
    shown = line if len(line) <= 80 else f"{line[:80]}..."
    return InputError(
        f"cannot read line {number}: {shown!a}",
        where=str(path),
        fix="copy the model again, or write it anew: colmap model_converter --output_type BIN",
    )
