"""Check that latents are those of the row, and channels and time where they are said to be.

Channels and latent frames are often as many (16), so that no shape tells them apart. Neighbours in
time are alike, neighbours in channel are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from lyra_data.dataset.checks import bounds
from lyra_data.dataset.checks.locations import DatasetFinding, view_finding
from lyra_data.packing.channel_statistics import channel_sums
from lyra_data.views.fields import Row

Latents = Float[np.ndarray, "channel latent_frame latent_height latent_width"]


def check_latents(row: Row, latents: Latents) -> list[DatasetFinding]:
    """Check one view's latents by what its row states."""
    view: dict[str, Any] = {"scene": row["scene_id"], "view_index": row["view_index"]}
    broken = ~np.isfinite(latents)
    if broken.any():
        message = f"{int(broken.sum())} of {latents.size} values are no numbers"
        return [view_finding("latent-values", message, **view)]
    findings = []
    ours, other = neighbour_likeness(latents)
    if other - ours >= bounds.TRANSPOSED:
        message = (
            f"neighbours along the first axis correlate by {other:.2f}, along the second by "
            f"{ours:.2f}: channels and time are exchanged"
        )
        findings.append(view_finding("latent-axes", message, value=other - ours, **view))
    stated = np.array([row["latent_mean"], row["latent_std"]])
    measured = np.array([(s.mean, s.std) for s in channel_sums(latents).statistics()]).T
    if stated.shape != measured.shape:
        message = f"statistics of {stated.shape[1]} channels for {measured.shape[1]}"
        return [*findings, view_finding("latent-statistics", message, **view)]
    off = np.abs(measured - stated) / np.maximum(stated[1], 1e-6)
    if off.max() > bounds.LATENT_STATISTICS:
        channel = int(off.max(axis=0).argmax())
        message = (
            f"channel {channel}: mean {measured[0, channel]:.4g}, deviation "
            f"{measured[1, channel]:.4g}; the row states {stated[0, channel]:.4g} and "
            f"{stated[1, channel]:.4g}"
        )
        findings.append(view_finding("latent-statistics", message, value=float(off.max()), **view))
    return findings


def neighbour_likeness(latents: Latents) -> tuple[float, float]:
    """Return the mean correlation of neighbours in time (second axis) and in channel (first)."""
    centred = latents.astype(np.float64)
    centred = centred - centred.mean(axis=(2, 3), keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=(2, 3)))

    def likeness(axis: int) -> float:
        size = latents.shape[axis]
        if size < 2:
            return 0.0
        one, other = (centred.take(range(a, b), axis) for a, b in ((0, size - 1), (1, size)))
        scale = norms.take(range(size - 1), axis) * norms.take(range(1, size), axis)
        return float(((one * other).sum(axis=(2, 3)) / np.maximum(scale, 1e-12)).mean())

    return likeness(1), likeness(0)
