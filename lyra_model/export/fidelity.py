"""Agreement of two scenes of Gaussians, as pictures."""

from __future__ import annotations

from lyra_model.gaussians import Gaussians
from lyra_model.metrics.psnr import psnr
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from lyra_model.rendering.framing import frame_scene

BACKGROUND = (0.055, 0.062, 0.075)
NUM_CAMERAS = 3
HIGHEST_PSNR_DB = 120.0
"""Stands for equal pictures, whose PSNR is infinite; no two that differ come near it."""


def psnr_from_cameras(
    actual: Gaussians, expected: Gaussians, *, up: str = "-y"
) -> tuple[float, ...]:
    """Return the PSNR in dB of `actual` against `expected` from three cameras around them."""
    framing = frame_scene(expected, num=NUM_CAMERAS, up=up)
    params = RenderingParams(
        near=framing.near,
        far=framing.far,
        background=BACKGROUND,
        patch_pixels=None,
        with_ut=False,
        with_eval3d=False,
    )
    pictures = [render(scene, framing.cameras, params).rgb for scene in (actual, expected)]
    return tuple(min(HIGHEST_PSNR_DB, float(value)) for value in psnr(*pictures).values)
