"""Reading a camera path: which format a file has is seen by its content, not by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.camera_paths.formats.cameras_json import FORMAT, read_cameras_json, read_matrices
from lyra_data.camera_paths.formats.colmap import FILES, read_colmap_path
from lyra_data.camera_paths.formats.gen3c import read_gen3c_path
from lyra_data.camera_paths.formats.nerfstudio import read_nerfstudio_path
from lyra_data.camera_paths.formats.npz import MAGIC, read_npz_path
from lyra_data.camera_paths.poses import PathPoses
from lyra_data.engine.documents import read_json
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.media.images import readable

KNOWN = (
    "an .npz archive with w2c (Lyra 2, GEN3C), nerfstudio's camera_path.json, a COLMAP model "
    "(cameras and images, .txt or .bin), the path that GEN3C's GUI saves, or cameras.json"
)

FIRST_BYTES = 4096


def read_camera_path(path: Path) -> PathPoses:
    """Read the cameras of a path.

    Raises:
        InputError: there is no such file or folder, its format is none of those known, or what it
            holds is impossible.
    """
    if path.is_dir() or path.name in FILES:
        return read_colmap_path(path)
    with readable(path), path.open("rb") as file:
        start = file.read(FIRST_BYTES)
    if start.startswith(MAGIC):
        with readable(path):
            return read_npz_path(path)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        with readable(path):
            values = read_json(path, kind="camera path", fix=f"give {KNOWN}", error=InputError)
        with file_at_fault(path, kind="camera path", fix=f"give {KNOWN}"):
            return _read_values(values, path)
    raise _unknown(path, f"it begins with {start[:16]!r}")


def _read_values(values: Any, path: Path) -> PathPoses:
    where = str(path)
    if isinstance(values, list):
        return read_matrices(values, where)
    if values.get("format") == FORMAT:
        return read_cameras_json(values, where)
    if "camera_path" in values:
        return read_nerfstudio_path(values, where)
    if "path" in values:
        return read_gen3c_path(values, where)
    if "frames" in values:
        raise InputError(
            "this describes the pictures of a nerfstudio dataset, not a path",
            where=where,
            fix="give the camera_path.json that its viewer exports, or use the dataset as a source",
        )
    keys = ", ".join(sorted(values)[:8])
    raise _unknown(path, f"its keys are {keys}" if keys else "it is empty")


def _unknown(path: Path, reason: str) -> InputError:
    what = f"no known form of a camera path: {reason}"[:300]
    return InputError(what, where=str(path), fix=f"give {KNOWN}")
