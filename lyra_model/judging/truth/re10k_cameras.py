"""Cameras of RealEstate10K: 18 numbers a frame, the same in its texts and in pixelSplat's chunks.

fx, fy, cx, cy as shares of the picture's width and height, two zeros, and the upper three rows of
world_to_camera, row by row; OpenCV's axes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.media.images import readable
from lyra_data.scene.cameras import Cameras, invert_rigid

NUM_VALUES = 18
MOST_BYTES = 64 * 2**20


def camera_of_values(values: Float[Tensor, " 18"]) -> Callable[[int, int], Cameras]:
    """Return what makes a camera of these numbers for a picture of some height and width."""

    def camera(height: int, width: int) -> Cameras:
        world_to_camera = torch.eye(4, dtype=torch.float64)
        world_to_camera[:3] = values[6:].double().reshape(3, 4)
        shares = values[:4].double() * torch.tensor([width, height, width, height])
        return Cameras(
            invert_rigid(world_to_camera[None]).float(), shares[None].float(), height, width
        )

    return camera


def read_camera_text(path: Path) -> list[tuple[str, Float[Tensor, " 18"]]]:
    """Return the timestamp and the 18 numbers of every frame of a text of RealEstate10K.

    Raises:
        InputError: there is no such file, or a line is none of that form.
    """
    fix = "give the text as RealEstate10K publishes it: an address, then 19 numbers a frame"
    with readable(path), file_at_fault(path, kind="text of RealEstate10K", fix=fix):
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is larger than any such text")
        lines = path.read_text(encoding="utf-8").splitlines()
        frames = []
        for number, line in enumerate(lines[1:], start=2):
            if not line.strip():
                continue
            timestamp, *numbers = line.split()
            values = torch.tensor([float(text) for text in numbers], dtype=torch.float64)
            if not timestamp.isascii() or not timestamp.isdigit() or len(values) != NUM_VALUES:
                raise ValueError(f"line {number} has no timestamp with {NUM_VALUES} numbers")
            check_values(values, f"line {number}")
            frames.append((timestamp, values))
        if not frames:
            raise ValueError("it has no frame")
    return frames


def check_values(values: Float[Tensor, " 18"], noun: str) -> None:
    """Raise ValueError where the numbers are no camera."""
    rotation = values[6:].double().reshape(3, 4)[:, :3]
    error = float((rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max())
    if not error <= 1e-3 or not bool(values.isfinite().all()):
        raise ValueError(f"{noun} has no rotation (off by {error:.2g})")
    if not (values[0] > 0 and values[1] > 0):
        raise ValueError(f"{noun} has a focal length that is not positive")
