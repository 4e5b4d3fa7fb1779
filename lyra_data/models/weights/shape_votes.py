"""Configuration of a model from the shapes of its weights, by majority."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping


def vote(shapes: Mapping[str, tuple[int, ...]], pattern: str, *, axis: int) -> int | None:
    """Return the most frequent length along `axis` of the weights whose whole name fits `pattern`.

    None where no weight fits. Of two equally frequent lengths the first one counts.
    """
    lengths = Counter(
        shape[axis]
        for name, shape in shapes.items()
        if len(shape) > axis and re.fullmatch(pattern, name)
    )
    return lengths.most_common(1)[0][0] if lengths else None


def count_of(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> int:
    """Return one more than the largest number that `pattern` captures at a name's start."""
    numbers = [int(match[1]) for name in shapes if (match := re.match(pattern, name))]
    return max(numbers, default=-1) + 1
