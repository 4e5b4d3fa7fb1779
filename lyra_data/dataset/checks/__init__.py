"""Check packaged datasets by rules. See docs/dataset-tools.md."""

from __future__ import annotations

from lyra_data.dataset.checks.dataset_check import (
    CheckedDataset,
    check_dataset,
    is_dataset,
    sampled_views,
)
from lyra_data.dataset.checks.locations import DatasetFinding, DatasetLocation
from lyra_data.dataset.checks.rules import DATASET_RULES

__all__ = [
    "DATASET_RULES",
    "CheckedDataset",
    "DatasetFinding",
    "DatasetLocation",
    "check_dataset",
    "is_dataset",
    "sampled_views",
]
