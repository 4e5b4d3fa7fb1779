"""Memory of a reconstruction before it starts, and settings that keep it within a limit.

The figures are of fitting on a CPU, where everything lies in one memory (docs/reconstruct.md has
what was measured). On a GPU frames stay in the CPU's memory, and Gaussians with
their gradients and the optimiser's moments are what the GPU holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from lyra_data.engine.errors import ParamsError
from lyra_model.reconstruction.params import ReconstructParams

BASE_BYTES = 500 * 2**20
"""Python, torch and the compiled renderer take as much."""

VIEW_BYTES = 9
"""A pixel of every frame of every view takes it: RGB, depth, and two masks."""

TARGET_BYTES = 36
"""A pixel of every frame that is read or judges takes it: RGB in float32, and one copy."""

GAUSSIAN_BYTES = 1100
"""A Gaussian takes it: fields, gradients, Adam's moments and the renderer's lists."""

GAUSSIANS_A_PIXEL = 3.3
"""Gaussians of a scene a pixel of its pictures, before the cap; the built-in photo has 3.3."""


@dataclass(frozen=True)
class SceneShape:
    """The size of a scene's views; of a moving one, one moment is held at a time."""

    num_views: int
    num_frames: int
    height: int
    width: int

    @property
    def num_pixels(self) -> int:
        """Return the pixels of one frame."""
        return self.height * self.width


def peak_bytes(shape: SceneShape, params: ReconstructParams) -> int:
    """Return about how much memory a scene takes at its peak, in bytes."""
    leading = max(1, shape.num_frames - params.held_out_frames)
    judged = min(params.held_out_frames, shape.num_frames)
    frames = shape.num_views * (min(params.frames_per_view, leading) + judged)
    gaussians = min(params.unproject.max_gaussians, round(GAUSSIANS_A_PIXEL * shape.num_pixels))
    return (
        BASE_BYTES
        + VIEW_BYTES * shape.num_views * shape.num_frames * shape.num_pixels
        + TARGET_BYTES * frames * shape.num_pixels
        + GAUSSIAN_BYTES * gaussians
    )


def within(shape: SceneShape, params: ReconstructParams, limit_bytes: int) -> ReconstructParams:
    """Return params whose peak is below the limit: fewer frames read, then fewer Gaussians made.

    Raises:
        ParamsError: the scene takes more than the limit however few they are.
    """
    for frames in range(params.frames_per_view, 0, -1):
        fewer = params.model_copy(update={"frames_per_view": frames})
        if peak_bytes(shape, fewer) <= limit_bytes:
            return fewer
    fewest = params.model_copy(update={"frames_per_view": 1})
    for gaussians in (500_000, 250_000, 100_000):
        unproject = fewest.unproject.model_copy(
            update={"max_gaussians": min(gaussians, params.unproject.max_gaussians)}
        )
        fewer = fewest.model_copy(update={"unproject": unproject})
        if peak_bytes(shape, fewer) <= limit_bytes:
            return fewer
    least = peak_bytes(shape, fewer)
    raise ParamsError(
        f"{limit_bytes / 2**30:.2f} GiB of memory; {shape.num_views} views of {shape.num_frames} "
        f"frames of {shape.width}x{shape.height} take {least / 2**30:.2f} GiB at the least",
        where="--max-memory",
        fix="give more memory, or smaller pictures (--pixels)",
    )
