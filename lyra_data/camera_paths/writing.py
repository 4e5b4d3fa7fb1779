"""Writing a camera path in each of the formats that are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lyra_data.camera_paths.formats.cameras_json import cameras_values
from lyra_data.camera_paths.formats.gen3c import gen3c_values
from lyra_data.camera_paths.formats.nerfstudio import nerfstudio_values
from lyra_data.engine.atomic import write_atomically
from lyra_data.scene.cameras import Cameras


def write_cameras_json(cameras: Cameras, path: Path, *, fps: float) -> None:
    """Write cameras.json: intrinsics and poses with OpenCV axes, and nerfstudio's keys beside them.

    Raises:
        StorageError: no space, read-only, or no permission.
    """
    _write(cameras_values, cameras, path, fps)


def write_nerfstudio_path(cameras: Cameras, path: Path, *, fps: float) -> None:
    """Write a camera_path.json; it holds no principal point and no fx.

    Raises:
        StorageError: as `write_cameras_json`.
    """
    _write(nerfstudio_values, cameras, path, fps)


def write_gen3c_path(cameras: Cameras, path: Path, *, fps: float) -> None:
    """Write what GEN3C's GUI loads: every camera a key frame; no principal point and no fx.

    Raises:
        StorageError: as `write_cameras_json`.
    """
    _write(gen3c_values, cameras, path, fps)


def _write(
    values_of: Callable[..., dict[str, Any]], cameras: Cameras, path: Path, fps: float
) -> None:
    text = json.dumps(values_of(cameras, fps=fps), indent=1, allow_nan=False) + "\n"
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
