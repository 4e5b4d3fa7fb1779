"""Limits: what a view must reach to be kept. A limit is named after its number: min_..., max_..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from lyra_data.engine.params import Params
from lyra_data.scene.quality import MAX_PSNR_DB

Share = Annotated[float | None, Field(ge=0, le=1)]
NotNegative = Annotated[float | None, Field(ge=0)]
Decibels = Annotated[float | None, Field(ge=0, le=MAX_PSNR_DB)]
"""Above the maximum every view would be dropped."""


class QualityParams(Params):
    """A view beyond any of these is dropped; null: not judged by it. Nor is a number that could
    not be measured. Pixels are the view's, so limits in pixels belong to one picture size.

    Attributes:
        min_known_fraction: share of pixels not invented by the teacher, 0..1.
        min_cache_psnr_db: agreement with what the cache shows, dB.
        max_cache_displacement_pixels: of the worst frame, from what the cache shows.
        max_pose_error_frames: distance between frames and the cameras they were seen from.
        min_sibling_psnr_db: agreement with the scene's other views, dB.
        max_sibling_displacement_pixels: from the scene's other views.
        min_sharpness_ratio: against the cache's picture, which has 1.
        min_filled_sharpness_ratio: of invented pixels against the others.
        max_luminance_drift: either way, as a share of the full scale.
        max_clipped_excess: share of known pixels clipped beyond those of the cache's picture.
    """

    min_known_fraction: Share
    min_cache_psnr_db: Decibels
    max_cache_displacement_pixels: NotNegative
    max_pose_error_frames: NotNegative
    min_sibling_psnr_db: Decibels
    max_sibling_displacement_pixels: NotNegative
    min_sharpness_ratio: NotNegative
    min_filled_sharpness_ratio: NotNegative
    max_luminance_drift: Share
    max_clipped_excess: Share


def shortfalls(numbers: Mapping[str, Any], limits: Mapping[str, float | None]) -> tuple[str, ...]:
    """Why a view is to be dropped: a sentence for each limit it does not keep; none: keep it.

    Args:
        numbers: of the view by column name; a row will do.
        limits: QualityParams as a mapping.
    """
    reasons = []
    for key, limit in limits.items():
        bound, _, name = key.partition("_")
        value = numbers[name]
        if limit is None or value is None:
            continue
        size = abs(value) if bound == "max" else value
        if size < limit if bound == "min" else size > limit:
            reasons.append(f"{name} = {value:.4g}, {key} is {limit:g}")
    return tuple(reasons)
