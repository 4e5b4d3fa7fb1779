"""Pose check: does frame i lie where camera i says? Found from the pictures, not from the poses.

The cache is shown in every camera of the path. A frame is compared with all of these pictures; the
camera whose picture it resembles most is where it was seen from. Frames in another order than
their cameras (the reference's reversed clips), frames that lag, and frames of another path each
resemble other cameras' pictures than their own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int8

MIN_CORRELATION = 0.2
"""A frame that resembles no picture more than this was seen from no camera of the path."""

TIE = 0.03
"""Share by which another picture may leave more of a frame unexplained than the best one and still
be no worse."""

MIN_KNOWN = 0.05
"""A picture of which less is known tells nothing."""


def mean_pose_error(
    frames: Int8[np.ndarray, "sample height width"],
    indices: list[int],
    pictures: Int8[np.ndarray, "frame height width"],
    known: Bool[np.ndarray, "frame height width"],
) -> float | None:
    """Return the mean distance, in frames, between a frame's index in the video and on the path.

    Where several cameras fit alike, as on a path that comes back, the one nearest to the frame's
    own counts. A frame that fits no camera counts as the whole path away.

    Args:
        frames: local contrast (`contrast.local_contrast`) of some frames.
        indices: their places in the video.
        pictures: local contrast of what the cache shows in each camera of the path.

    Returns:
        None: too little is known in the cameras of these frames.
    """
    correlation = _correlations(frames, pictures, known)
    errors = []
    for row, own in zip(correlation, indices, strict=True):
        if not np.isfinite(row[own]):
            continue
        best = np.nanmax(row)
        if best < MIN_CORRELATION:
            errors.append(len(pictures))
            continue
        alike = np.flatnonzero(1.0 - row <= (1.0 - best) * (1.0 + TIE) + 1e-3)
        errors.append(int(np.abs(alike - own).min()))
    return float(np.mean(errors)) if errors else None


def _correlations(
    frames: Int8[np.ndarray, "sample height width"],
    pictures: Int8[np.ndarray, "frame height width"],
    known: Bool[np.ndarray, "frame height width"],
) -> Float[np.ndarray, "sample frame"]:
    """Correlate every frame with every picture where that is known, -1..1; NaN where too little
    is."""
    flat = frames.reshape(len(frames), -1).astype(np.float64)
    squared = flat * flat
    columns = []
    for picture, mask in zip(pictures, known, strict=True):
        weight = mask.ravel().astype(np.float64)
        values = picture.ravel().astype(np.float64) * weight
        together = flat @ values
        energy = (squared @ weight) * (values @ values)
        enough = mask.mean() >= MIN_KNOWN and values.any()
        columns.append(together / np.sqrt(np.maximum(energy, 1.0)) if enough else together * np.nan)
    return np.stack(columns, axis=1)
