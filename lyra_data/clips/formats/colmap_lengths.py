"""Lengths of COLMAP's binary files: what each says it holds must be what it holds.

pycolmap reads past the end of a cut file: it then returns numbers that were never written, or never
returns. So every file is walked first, entry by entry, without keeping anything.
"""

from __future__ import annotations

import struct
from pathlib import Path

from lyra_data.engine.errors import InputError
from lyra_data.media.images import readable

PARAMS_OF = {
    "SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8,
    "OPENCV_FISHEYE": 8, "FULL_OPENCV": 12, "FOV": 5, "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5, "THIN_PRISM_FISHEYE": 12, "RAD_TAN_THIN_PRISM_FISHEYE": 16,
    "SIMPLE_DIVISION": 4, "DIVISION": 5, "SIMPLE_FISHEYE": 3, "FISHEYE": 4, "EUCM": 6,
    "EQUIRECTANGULAR": 2,
}  # fmt: skip
"""Number of parameters of each camera model, in the order of COLMAP's numbers for them (0 to 17;
from SIMPLE_DIVISION on they are COLMAP 4's)."""

NUM_PARAMS = tuple(PARAMS_OF.values())

MOST_MODELS = 64
"""A number of a camera model from here on is damage rather than a newer COLMAP's."""

POSE_BYTES = 56
"""A quaternion and a translation, as doubles."""


class NewerModelError(Exception):
    """A camera model that the table of lengths does not have."""


class _Walk:
    """An offset in a file's bytes that only moves on. COLMAP writes little endian, unpadded."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, layout: str) -> int:
        """Return the next value; IndexError or struct.error beyond the end."""
        (value,) = struct.unpack_from(f"<{layout}", self.data, self.offset)
        self.offset += struct.calcsize(f"<{layout}")
        return value

    def skip(self, num_bytes: int) -> None:
        if num_bytes > len(self.data) - self.offset:
            raise IndexError(f"{num_bytes} bytes at {self.offset}")
        self.offset += num_bytes


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
        except NewerModelError as error:
            raise InputError(
                f"camera model number {error} is newer than those known here (0 to "
                f"{len(NUM_PARAMS) - 1})",
                where=str(path),
                fix="undistort the pictures first: `colmap image_undistorter`",
            ) from None
        except (IndexError, struct.error, ValueError):
            raise _damaged(path, f"the file is cut or damaged near byte {walk.offset}") from None
        if walk.offset != len(walk.data):
            surplus = len(walk.data) - walk.offset
            raise _damaged(path, f"{surplus} bytes follow where the file should end")


def _camera(walk: _Walk) -> None:
    # uint32 id, int32 model, uint64 width and height, then the model's parameters as doubles.
    walk.skip(4)
    model = walk.take("i")
    walk.skip(16)
    if len(NUM_PARAMS) <= model < MOST_MODELS:
        raise NewerModelError(model)
    walk.skip(8 * NUM_PARAMS[model])


def _image(walk: _Walk) -> None:
    # uint32 id, pose, uint32 camera id, the name up to its zero byte, then every 2D point: x and y
    # as doubles and the uint64 id of its 3D point.
    walk.skip(4 + POSE_BYTES + 4)
    walk.offset = walk.data.index(b"\0", walk.offset) + 1
    walk.skip(24 * walk.take("Q"))


def _point(walk: _Walk) -> None:
    # uint64 id, x y z as doubles, RGB, error as a double; then its track: pairs of uint32 image id
    # and index among that image's points.
    walk.skip(8 + 24 + 3 + 8)
    walk.skip(8 * walk.take("Q"))


def _rig(walk: _Walk) -> None:
    # uint32 id and number of sensors; each has an int32 type and a uint32 id, and all but the first
    # a flag byte, after which the pose in the rig follows where it is known.
    walk.skip(4)
    num_sensors = walk.take("I")
    for sensor in range(num_sensors):
        walk.skip(8)
        if sensor > 0 and walk.take("B"):  # the first one is where the rig is
            walk.skip(POSE_BYTES)


def _frame(walk: _Walk) -> None:
    # uint32 id and rig id, pose of the rig, then every datum: int32 sensor type, uint32 sensor id
    # and uint64 data id.
    walk.skip(8 + POSE_BYTES)
    walk.skip(16 * walk.take("I"))


def _damaged(path: Path, what: str) -> InputError:
    return InputError(what, where=str(path), fix="copy it again from where it was made")
