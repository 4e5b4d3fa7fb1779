"""Give the tables of a scene by modality, made when they are asked for and not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa

from lyra_data.dataset.format.layout import MODALITIES


class LazyTables(Mapping[str, pa.Table]):
    """Tables of all modalities; one of them is in memory at a time."""

    def __init__(self, make: Callable[[str], pa.Table]) -> None:
        self._make = make

    @staticmethod
    def joined(parts: Sequence[Mapping[str, pa.Table]]) -> LazyTables:
        """Return the tables of several views, one below the other; no bytes are copied."""
        return LazyTables(lambda modality: pa.concat_tables([part[modality] for part in parts]))

    def __getitem__(self, modality: str) -> pa.Table:
        return self._make(modality)

    def __iter__(self) -> Iterator[str]:
        return iter(MODALITIES)

    def __len__(self) -> int:
        return len(MODALITIES)
