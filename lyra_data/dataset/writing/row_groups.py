"""Deal the views of a large scene out to row groups that every reader of Parquet takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa

from lyra_data.dataset.format.layout import ROW_GROUP_BYTES


def rows_of_groups(view_indices: Sequence[int], cuts: Iterable[pa.Table]) -> tuple[int, ...]:
    """Return how many views each row group of a scene holds, the same in every modality.

    A row group ends before the view with which the blobs of any modality would have more than
    ROW_GROUP_BYTES; one view is never divided. Nearly every scene is one row group.

    Args:
        cuts: of every modality, rows of CUT_SCHEMA.
    """
    sizes = [_bytes_of_views(table) for table in cuts]
    groups: list[int] = []
    held: list[int] = []
    for view in view_indices:
        more = [of_modality[view] for of_modality in sizes]
        grown = [one + other for one, other in zip(held, more, strict=True)] if groups else []
        if grown and max(grown, default=0) <= ROW_GROUP_BYTES:
            groups[-1] += 1
            held = grown
        else:
            groups.append(1)
            held = more
    return tuple(groups)


def _bytes_of_views(cuts: pa.Table) -> Counter[int]:
    """Return the bytes of the blobs of every view of one modality."""
    sizes: Counter[int] = Counter()
    columns = (cuts[name].to_pylist() for name in ("view_index", "length"))
    for view, length in zip(*columns, strict=True):
        sizes[view] += length
    return sizes
