"""Bounds of the rules for datasets, each with its reason."""

from __future__ import annotations

STATISTICS = 1e-6
"""A share of a channel's deviation. Sums of the same numbers in another order differ by less than
1e-12."""

LATENT_STATISTICS = 2e-3
"""A share of a channel's deviation. Half floats round by 5e-4 of a value, evenly to both sides."""

RGB_STATISTICS = 4.0
"""Levels of 255. Encodings that lose colours move a mean by less (docs/dataset-tools.md)."""

SHARES = 1e-6

TRANSPOSED = 0.25
"""Correlation of neighbours along the first axis over that along the second."""

REVERSED = 1.1
"""Mean difference of grey values at equal times, over that at equal frame numbers."""

GONE = 0.003
"""Share of the surfaces that must be gone at equal times for anything to be told. At most 0.0001 in
still worlds of exact depth, 0.06 to 0.28 where a ball of a third of the picture's height moves."""
