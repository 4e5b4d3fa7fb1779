"""Checks of packaged datasets: rules, and what each finds. See docs/dataset-tools.md."""

from __future__ import annotations

from lyra_data.dataset.checks.checking import (
    CheckedDataset,
    check_dataset,
    is_dataset,
    sampled_views,
)
from lyra_data.dataset.checks.finding import DatasetFinding
from lyra_data.dataset.checks.rules import DATASET_RULES

__all__ = [
    "DATASET_RULES",
    "CheckedDataset",
    "DatasetFinding",
    "check_dataset",
    "is_dataset",
    "sampled_views",
]
