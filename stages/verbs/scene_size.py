"""The size of a scene's pictures: as many pixels as asked for, in the shape of the input."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lyra_data.engine.errors import LyraError
from lyra_data.sources import SOURCES

log = logging.getLogger(__name__)

MULTIPLE = 16
"""Sides are multiples of it: 8 for a latent, two latents for a token of the decoder."""

PIXELS_OF_PICTURE, PIXELS_OF_VIDEO = 384 * 256, 256 * 192
"""A scene's pictures have so many where nobody says otherwise; of a video many moments are made."""

SAME_SHAPE = 0.1
"""Two shapes are the same where their ratios of sides differ by less, as a logarithm: multiples of
16 alone make some difference."""

PROMPTED = (704, 1280)
"""Height and width of pictures that are yet to be painted, as the presets have it."""


def scene_size(source: Mapping[str, Any], pixels: int | None, root: Path) -> tuple[int, int]:
    """Return height and width of a source's scene, both multiples of 16.

    The shape is the source's as nearly as multiples allow; it is never larger than the source,
    unless that is smaller than 16 pixels.

    Args:
        source: its params, as they stand in params.yaml.
        pixels: about so many are asked for; None: as suits a picture or a video.
        root: the folder that relative paths start from.

    Raises:
        InputError: as `Source.read`.
    """
    if source["name"] == "prompt":
        return fitted_size(*PROMPTED, pixels or PIXELS_OF_PICTURE)
    values = dict(source)
    if "max_frames" in values:
        values["max_frames"] = 2  # one would be refused as no video
    frames = SOURCES.create(values, where="INPUT").read(root).frames
    default = PIXELS_OF_VIDEO if len(frames) > 1 else PIXELS_OF_PICTURE
    height, width = frames.shape[-2:]
    return fitted_size(height, width, pixels or default)


def shared_size(
    sources: Sequence[Mapping[str, Any]], pixels: int | None, root: Path
) -> tuple[int, int]:
    """Return height and width of the first source's scene, which all scenes of a project have.

    Sources of another shape are cut to it, which a warning says. One that cannot be read is left to
    the annotation, which records it.

    Raises:
        InputError: as `scene_size`, of the first source.
    """
    height, width = scene_size(sources[0], pixels, root)
    others = []
    for source in sources[1:]:
        with contextlib.suppress(LyraError):
            other = scene_size(source, height * width, root)
            if abs(math.log(other[0] * width / (other[1] * height))) > SAME_SHAPE:
                others.append(f"{source['scene_id']} ({other[1]}x{other[0]} by itself)")
    if others:
        listed = ", ".join(others[:5]) + ", ..." * (len(others) > 5)
        log.warning(
            "all scenes get pictures of %dx%d, the shape of the first input; %s: cut to it; "
            "reconstruct those alone, or give another --project, for a shape of their own",
            width,
            height,
            listed,
        )
    return height, width


def fitted_size(height: int, width: int, pixels: int) -> tuple[int, int]:
    """Return the multiples of 16 nearest to a picture of this shape with about so many pixels."""
    scale = min(1.0, math.sqrt(pixels / (height * width)))
    return _multiple(height * scale), _multiple(width * scale)


def _multiple(length: float) -> int:
    return max(MULTIPLE, round(length / MULTIPLE) * MULTIPLE)
