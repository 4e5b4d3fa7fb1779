"""Folders of ViPE results, changed in one place each, to see what a reader makes of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from lyra_data.clips.formats.vipe import read_vipe
from lyra_data.engine.errors import InputError


def edit_archive(path: Path, changes: dict[str, bytes | None]) -> None:
    """Replace, add or (None) leave out entries of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries |= changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            if data is not None:
                archive.writestr(name, data)


def edit_arrays(path: Path, **changes) -> None:
    with np.load(path) as arrays:
        values = dict(arrays)
    np.savez(path, **{name: change(values[name].copy()) for name, change in changes.items()}
             | {name: values[name] for name in values.keys() - changes.keys()})  # fmt: skip


def exr_of(values: np.ndarray, channel: str = "Z") -> bytes:
    buffer = io.BytesIO()
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {channel: values}).write(buffer)
    return buffer.getvalue()


def png_of(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def refused(folder: Path, *words: str, name: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        read_vipe(folder, name)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert caught.value.fix
    return caught.value
