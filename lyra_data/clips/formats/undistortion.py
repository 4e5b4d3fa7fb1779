"""Undistortion: pictures of a lens with OpenCV's distortion made pictures of a pinhole.

The distortion is that of OpenCV, of COLMAP's RADIAL to FULL_OPENCV and of nerfstudio's OPENCV, all
alike on rays: x and y over z, times a radial factor, plus a tangential term. Pixel centres are at
+0.5 here, at whole numbers in OpenCV's own functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float64, Shaped, UInt8
from torch import Tensor

from lyra_data.engine.errors import InputError

NUM_COEFFICIENTS = 8
"""k1, k2, p1, p2, k3, k4, k5, k6: OpenCV's order."""

MOST_ZOOM = 2.0
"""More than half of each side would be lost: not what a distortion is."""


@dataclass(frozen=True)
class Lens:
    """A camera's intrinsics, and its distortion.

    Attributes:
        intrinsics: fx, fy, cx, cy in pixels.
        distortion: k1, k2, p1, p2, k3, k4, k5, k6; those that are left out are 0.
    """

    intrinsics: tuple[float, float, float, float]
    distortion: tuple[float, ...] = ()

    @property
    def is_distorted(self) -> bool:
        return any(self.distortion)


@dataclass(frozen=True)
class Undistortion:
    """The way from a distorted picture to a pinhole's of the same size.

    Attributes:
        columns, rows: where in the distorted picture each pixel's centre comes from, in pixels.
        intrinsics: of the pinhole: those of the lens, with a longer focal length where without it
            parts of the new picture would lie outside of the old one.
        lens: what is undone.
    """

    columns: Float64[Tensor, "height width"]
    rows: Float64[Tensor, "height width"]
    intrinsics: tuple[float, float, float, float]
    lens: Lens

    @classmethod
    def of(cls, lens: Lens, *, height: int, width: int, where: str) -> Undistortion:
        """Find the pinhole with the shortest focal length whose every pixel the picture shows.

        Raises:
            InputError: the distortion folds the picture, or hardly any of it would be left.
        """
        grid = cls._traced(lens, 1.0, height, width)
        if not _is_inside(*grid, height, width):
            # The pinhole looks beyond the picture's border: a longer focal length narrows its view.
            # 40 halvings bring the zoom to within 1e-12.
            low, high = 1.0, MOST_ZOOM
            if not _is_inside(*cls._traced(lens, high, height, width), height, width):
                raise _impossible(lens, where, "moves pixels by more than half of the picture")
            for _ in range(40):
                middle = (low + high) / 2
                inside = _is_inside(*cls._traced(lens, middle, height, width), height, width)
                low, high = (low, middle) if inside else (middle, high)
            zoom = high
            grid = cls._traced(lens, zoom, height, width)
        else:
            zoom = 1.0
        if not _is_one_to_one(*grid):
            raise _impossible(lens, where, "folds the picture onto itself")
        fx, fy, cx, cy = lens.intrinsics
        return cls(*grid, (fx * zoom, fy * zoom, cx, cy), lens)

    @staticmethod
    def _traced(lens: Lens, zoom: float, height: int, width: int) -> tuple[Tensor, Tensor]:
        fx, fy, cx, cy = lens.intrinsics
        y, x = torch.meshgrid(
            (torch.arange(height, dtype=torch.float64) + 0.5 - cy) / (fy * zoom),
            (torch.arange(width, dtype=torch.float64) + 0.5 - cx) / (fx * zoom),
            indexing="ij",
        )
        x, y = distorted(x, y, lens.distortion)
        return fx * x + cx, fy * y + cy

    def of_frame(self, frame: UInt8[Tensor, "3 height width"]) -> UInt8[Tensor, "3 height width"]:
        """Straighten colours, bicubic."""
        height, width = frame.shape[1:]
        grid = torch.stack([2 * self.columns / width - 1, 2 * self.rows / height - 1], -1)[None]
        # grid_sample's -1 and 1 are the outer edges of the border pixels (align_corners=False), as
        # 0 and the width are here, so centres at +0.5 need no further shift.
        pixels = frame[None].double()
        colours = F.grid_sample(
            pixels, grid, mode="bicubic", padding_mode="border", align_corners=False
        )
        return colours[0].round().clamp(0, 255).to(torch.uint8)

    def picked(self, values: Shaped[Tensor, "height width"]) -> Shaped[Tensor, "height width"]:
        """Straighten depth or a mask: take the value of the pixel each centre comes from, never a
        mix."""
        height, width = values.shape
        rows = self.rows.floor().long().clamp(0, height - 1)
        columns = self.columns.floor().long().clamp(0, width - 1)
        return values[rows, columns]

    def __str__(self) -> str:
        zoom = self.intrinsics[0] / self.lens.intrinsics[0]
        numbers = ", ".join(f"{value:.6g}" for value in self.lens.distortion)
        return f"k1, k2, p1, p2, k3.. = {numbers}; focal length times {zoom:.4f}"


def distorted(x: Tensor, y: Tensor, distortion: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Return where the lens shows what a pinhole shows at x, y (over z)."""
    padded = (*distortion, *[0.0] * (NUM_COEFFICIENTS - len(distortion)))
    k1, k2, p1, p2, k3, k4, k5, k6 = padded
    square = x * x + y * y
    # Brown and Conrady: Horner's scheme in r^2, a rational factor for FULL_OPENCV, p1 and p2 for a
    # lens that is not parallel to the sensor.
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    radial = radial / (1 + square * (k4 + square * (k5 + square * k6)))
    return (
        x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
    )


def _is_inside(columns: Tensor, rows: Tensor, height: int, width: int) -> bool:
    """Return True if all of it lies in the picture, whose pixels reach from 0 to its width and
    height."""
    in_columns = (columns >= 0) & (columns <= width)
    return bool((in_columns & (rows >= 0) & (rows <= height)).all())


def _is_one_to_one(columns: Tensor, rows: Tensor) -> bool:
    """Return True if no two points come from one: a lens turns nothing over."""
    # The cross product of the steps to the right and down is the area that a pixel is mapped to;
    # where it turns negative the map has folded over.
    across_x, across_y = columns.diff(dim=1)[:-1], rows.diff(dim=1)[:-1]
    down_x, down_y = columns.diff(dim=0)[:, :-1], rows.diff(dim=0)[:, :-1]
    return bool((across_x * down_y - across_y * down_x > 0).all())


def _impossible(lens: Lens, where: str, reason: str) -> InputError:
    numbers = ", ".join(f"{value:g}" for value in lens.distortion)
    return InputError(
        f"the distortion (k1, k2, p1, p2, k3.. = {numbers}) {reason}",
        where=where,
        fix="correct these numbers, or undistort the pictures first (COLMAP: `colmap "
        "image_undistorter`)",
    )
