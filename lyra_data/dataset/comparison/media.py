"""Decode some views that differ, and measure by how much their frames, depth and latents do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lyra_data.dataset.comparison.differences import FieldChange
from lyra_data.dataset.comparison.sides import Side
from lyra_data.dataset.format.layout import MODALITIES, blob_columns
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.progress import Progress

AMOUNTS = {
    "frames": "rms_levels and largest_levels, of 255",
    "latents": "rms and largest",
    "depth": "relative, the mean where both know it, and largest",
    "depth_valid": "share of pixels",
    "filled": "share of pixels",
}
"""The amounts that are measured of each field that is stored as blobs."""


def measure_media(
    a: Side, b: Side, changes: tuple[FieldChange, ...], num_views: int, progress: Progress
) -> tuple[FieldChange, ...]:
    """Return the changes with the amounts of media, of the first views that differ.

    Args:
        num_views: most views that are decoded for each field.

    Raises:
        CorruptDataError: bytes have changed.
    """
    changed = {change.field: change for change in changes if change.parts}
    progress.start("Media", len(changed), "fields")
    for name in changed:
        for scene_id, view in _differing(a, b, name)[:num_views]:
            one, other = (_read(side, scene_id, view, name) for side in (a, b))
            before = changed[name]
            amounts = dict(before.amounts)
            if one.shape == other.shape:
                for what, amount in _MEASURES[name](one, other).items():
                    amounts[what] = max(amount, amounts.get(what, amount))
            changed[name] = replace(before, amounts=amounts, media_views=before.media_views + 1)
        progress.advance(note=name)
    progress.finish()
    return tuple(changed.get(change.field, change) for change in changes)


def _differing(a: Side, b: Side, name: str) -> list[tuple[str, int]]:
    """Return the views of both whose blob of a field differs, in the order of A."""
    modality = next(one for one in MODALITIES if name in blob_columns(one))
    found = []
    for scene_id in a.scenes:
        if scene_id in b.scenes:
            first, second = (side.stored(scene_id).blobs(modality) for side in (a, b))
            for view in a.scenes[scene_id].view_indices:
                one, other = first.get((view, name)), second.get((view, name))
                if one and other and (one.table, one.hashes) != (other.table, other.hashes):
                    found.append((scene_id, view))
    return found


def _read(side: Side, scene_id: str, view: int, name: str) -> Tensor:
    reader = SceneReader(side.files, side.scenes[scene_id])
    (row,) = reader.read_fields([name], view_indices=[view])
    return row[name]


def _of_levels(one: Tensor, other: Tensor) -> dict[str, float]:
    change = one.float() - other.float()
    return {"rms_levels": _rms(change), "largest_levels": change.abs().max().item()}


def _of_numbers(one: Tensor, other: Tensor) -> dict[str, float]:
    change = one.double() - other.double()
    return {"rms": _rms(change), "largest": change.abs().max().item()}


def _of_depth(one: Tensor, other: Tensor) -> dict[str, float]:
    known = (one > 0) & (other > 0)
    if not known.any():
        return {}
    first, second = one[known].double(), other[known].double()
    change = (first - second).abs()
    return {"relative": (change / first).mean().item(), "largest": change.max().item()}


def _of_masks(one: Tensor, other: Tensor) -> dict[str, float]:
    return {"share": (one != other).double().mean().item()}


def _rms(change: Tensor) -> float:
    return math.sqrt(torch.mean(change.double() ** 2).item())


_MEASURES: dict[str, Callable[[Tensor, Tensor], dict[str, float]]] = {
    "frames": _of_levels,
    "latents": _of_numbers,
    "depth": _of_depth,
    "depth_valid": _of_masks,
    "filled": _of_masks,
}
