"""Unknown pixels of a path: how much of every frame the source does not show."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jaxtyping import Bool
from torch import Tensor

log = logging.getLogger(__name__)

MOST_ADDED = 0.3
"""Share of pixels that a frame may lack beyond those of the first one, the source's own, before
its path is said to leave the known scene."""

MOST_LISTED = 12


def unknown_shares(known: Bool[Tensor, "frame buffer height width"]) -> list[float]:
    """Return the share of pixels of each frame that no buffer knows."""
    return (1.0 - known.any(dim=1).flatten(1).double().mean(dim=1)).tolist()


def warn_of_unknown_pixels(name: str, shares: Sequence[float]) -> None:
    """Warn of a path that leaves the known scene, with the share of unknown pixels of its frames.

    Args:
        name: of the view.
    """
    worst = max(range(len(shares)), key=shares.__getitem__)
    if shares[worst] - shares[0] <= MOST_ADDED:
        return
    log.warning(
        "%s: this camera path leaves the known scene: %.0f %% of frame %d are unknown and will be "
        "made up; unknown pixels along the path: %s. A shorter path (another scale) shows more of "
        "the source",
        name,
        100 * shares[worst],
        worst,
        spelt_out_shares(_spread(shares)),
    )


def spelt_out_shares(shares: Sequence[float]) -> str:
    """Return shares in whole per cent, e.g. "7, 9, 31 %"."""
    return ", ".join(f"{100 * share:.0f}" for share in shares) + " %"


def _spread(shares: Sequence[float]) -> list[float]:
    """Return at most MOST_LISTED of the shares, the first and the last among them."""
    steps = min(len(shares), MOST_LISTED) - 1
    return [shares[round(step * (len(shares) - 1) / max(steps, 1))] for step in range(steps + 1)]
