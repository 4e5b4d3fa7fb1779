"""COLMAP's models on disk, by pycolmap in a process of its own (colmap_process.py says why)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lyra_data.clips.formats.colmap_lengths import check_lengths
from lyra_data.clips.formats.colmap_text import read_text_model
from lyra_data.clips.formats.posed_pictures import require_folder
from lyra_data.engine.atomic import temporary_folder
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError, StorageError
from lyra_data.engine.hashing import content_key, sha256_of_file

MOST_SECONDS = 1800.0
"""Even millions of points are read in less; a damaged text file could keep it for ever."""

FILES = ("cameras", "images")
"""Files that every model needs. Points are not used; pycolmap asks for those of a binary one."""


def find_model(folder: Path) -> Path:
    """Find the folder of the model: sparse/0, sparse, or `folder` itself.

    Raises:
        InputError: there is none, several, or one that lacks a file.
    """
    require_folder(folder)
    sparse = folder / "sparse"
    for candidate in (sparse / "0", sparse, folder):
        suffixes = [end for end in ("bin", "txt") if (candidate / f"cameras.{end}").is_file()]
        if not suffixes:
            continue
        if candidate == sparse / "0":
            _check_single(sparse)
        names = (*FILES, "points3D") if suffixes[0] == "bin" else FILES
        for name in names:
            if not (candidate / f"{name}.{suffixes[0]}").is_file():
                raise InputError(
                    "there is no such file",
                    where=str(candidate / f"{name}.{suffixes[0]}"),
                    fix="copy the whole model: cameras, images and points3D, all .bin or .txt",
                )
        return candidate
    raise InputError(
        "there is no COLMAP model: no cameras.bin or cameras.txt in sparse/0, sparse or here",
        where=str(folder),
        fix="give the folder that holds `sparse` and `images`, as COLMAP writes it",
    )


def hash_of_model(sparse: Path) -> str:
    """Hash the names and bytes of the model's files, whatever else lies there."""
    files = [path for path in sparse.iterdir() if path.suffix in (".bin", ".txt")]
    return content_key({path.name: sha256_of_file(path) for path in files if path.is_file()})


def read_model(sparse: Path) -> dict[str, Any]:
    """Return the cameras, names and poses of a model; pycolmap reads it where it is binary.

    Raises:
        InputError: a file is cut, damaged or of another version, or pycolmap does not end.
    """
    if not (sparse / "cameras.bin").is_file():
        return read_text_model(sparse)
    check_lengths(sparse)
    with temporary_folder() as folder:
        file = folder / "model.json"
        try:
            done = _run("read", sparse, file, timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            raise _unreadable(sparse, f"pycolmap did not end in {MOST_SECONDS:g} seconds") from None
        if done.returncode != 0 or not file.is_file():
            raise _unreadable(sparse, f"pycolmap ended with code {done.returncode}: {_tail(done)}")
        model = read_json_object(
            file, kind="COLMAP model", fix="copy the model again", error=InputError, allow_nan=True
        )
    if "problem" in model:
        raise _unreadable(sparse, f"pycolmap cannot read this model: {model['problem']}")
    return model


def write_model(sparse: Path, scene: dict[str, np.ndarray]) -> None:
    """Write a model into the empty folder `sparse`.

    Args:
        scene: size, names, world_to_camera, intrinsics, and the fields of SampledPoints.

    Raises:
        StorageError: not all of it could be written.
    """
    with temporary_folder() as folder:
        file = folder / "scene.npz"
        np.savez(file, **scene)  # type: ignore[arg-type]
        done = _run("write", sparse, file)
    assert done.returncode == 0, _tail(done)
    try:
        check_lengths(sparse)  # pycolmap says nothing of a full disk
    except InputError as error:
        raise StorageError(
            f"pycolmap could not write all of it ({error.what})",
            where=str(error.where),
            fix="free space on this disk, or choose another one",
        ) from None


def _run(
    verb: str, sparse: Path, file: Path, *, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    module = "lyra_data.clips.formats.colmap_process"
    command = [sys.executable, "-m", module, verb, str(sparse.absolute()), str(file)]
    command.append(str(os.getpid()))
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


def _check_single(sparse: Path) -> None:
    models = sorted(path.parent.name for path in sparse.glob("*/cameras.*"))
    names = sorted(set(models))
    if len(names) > 1:
        raise InputError(
            f"{len(names)} separate models ({', '.join(names)}), which share no coordinates",
            where=str(sparse),
            fix="keep the one you want as sparse/0 and move the others away",
        )


def _unreadable(sparse: Path, what: str) -> InputError:
    return InputError(
        what,
        where=str(sparse),
        fix="copy the model again, or write it anew: colmap model_converter --output_type BIN",
    )


def _tail(done: subprocess.CompletedProcess[str]) -> str:
    return " | ".join(done.stderr.strip().splitlines()[-3:]) or "no message"
