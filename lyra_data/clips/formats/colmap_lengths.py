"""Lengths of COLMAP's binary files: what each says it holds must be what it holds.

pycolmap reads past the end of a cut file: it then returns numbers that were never written, or never
returns. So every file is walked first, entry by entry, without keeping anything.
"""

from __future__ import annotations

import struct
from pathlib import Path

from lyra_data.engine.errors import InputError
from lyra_data.media.images import readable

NUM_PARAMS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16)
"""Number of parameters of each camera model, by its number: SIMPLE_PINHOLE 0 to
RAD_TAN_THIN_PRISM_FISHEYE 11."""

POSE_BYTES = 56
"""A quaternion and a translation, as doubles."""


class _Walk:
    """A place in a file's bytes that only moves on."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, layout: str) -> int:
        """Return the next value; IndexError or struct.error beyond the end."""
        (value,) = struct.unpack_from(f"<{layout}", self.data, self.place)
        self.place += struct.calcsize(f"<{layout}")
        return value

    def skip(self, num_bytes: int) -> None:
        if num_bytes > len(self.data) - self.place:
            raise IndexError(f"{num_bytes} bytes at {self.place}")
        self.place += num_bytes


def check_lengths(sparse: Path) -> None:
    """See that no binary file of a reconstruction is cut or longer than it says.

    Raises:
        InputError: one is.
    """
    walks = {
        "cameras.bin": _camera,
        "images.bin": _image,
        "points3D.bin": _point,
        "rigs.bin": _rig,
        "frames.bin": _frame,
    }
    for name, entry in walks.items():
        path = sparse / name
        if not path.exists():
            continue
        with readable(path):
            walk = _Walk(path.read_bytes())
        try:
            for _ in range(walk.take("Q")):
                entry(walk)
        except (IndexError, struct.error, ValueError):
            raise _damaged(path, f"the file is cut or damaged near byte {walk.place}") from None
        if walk.place != len(walk.data):
            surplus = len(walk.data) - walk.place
            raise _damaged(path, f"{surplus} bytes follow where the file should end")


def _camera(walk: _Walk) -> None:
    walk.skip(4)
    model = walk.take("i")
    walk.skip(16)
    # Models that are newer than this table are no pinhole and refused by name later on.
    walk.skip(8 * NUM_PARAMS[model])


def _image(walk: _Walk) -> None:
    walk.skip(4 + POSE_BYTES + 4)
    walk.place = walk.data.index(b"\0", walk.place) + 1
    walk.skip(24 * walk.take("Q"))


def _point(walk: _Walk) -> None:
    walk.skip(8 + 24 + 3 + 8)
    walk.skip(8 * walk.take("Q"))


def _rig(walk: _Walk) -> None:
    walk.skip(4)
    num_sensors = walk.take("I")
    for sensor in range(num_sensors):
        walk.skip(8)
        if sensor > 0 and walk.take("B"):  # the first one is where the rig is
            walk.skip(POSE_BYTES)


def _frame(walk: _Walk) -> None:
    walk.skip(8 + POSE_BYTES)
    walk.skip(16 * walk.take("I"))


def _damaged(path: Path, what: str) -> InputError:
    return InputError(what, where=str(path), fix="copy it again from where it was made")
