"""What the shapes of a model's weights tell of its configuration, by majority."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping


def vote(shapes: Mapping[str, tuple[int, ...]], pattern: str, *, axis: int) -> int | None:
    """The most frequent length along `axis` of the weights whose whole name fits `pattern`.

    None where no weight fits. Of two equally frequent lengths the first one counts.
    """
    lengths = Counter(
        shape[axis]
        for name, shape in shapes.items()
        if len(shape) > axis and re.fullmatch(pattern, name)
    )
    return lengths.most_common(1)[0][0] if lengths else None


def count_of(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> int:
    """One more than the largest number in the place that `pattern` marks at a name's start."""
    numbers = [int(found[1]) for name in shapes if (found := re.match(pattern, name))]
    return max(numbers, default=-1) + 1
