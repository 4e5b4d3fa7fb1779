"""Compare the plain columns of two rows: which differ, and by how much where that is a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lyra_data.dataset.format.layout import KEYS, blob_columns, plain_columns
from lyra_data.engine.documents import parse_json
from lyra_data.views.fields import Row

PROVENANCE = "provenance"


def compared_columns(modality: str) -> list[str]:
    """Return the plain columns that say something of their own, in the order of the files.

    Cuts of blobs are left out: the blobs themselves are compared.
    """
    cuts = {f"{leaf.split('.')[0]}_offsets" for leaf in blob_columns(modality).values()}
    return [name for name in plain_columns(modality) if name not in cuts and name not in KEYS]


def differs(one: Any, other: Any) -> bool:
    """Return whether two values of a column differ; NaN equals NaN."""
    if isinstance(one, float) and isinstance(other, float):
        return not (one == other or (math.isnan(one) and math.isnan(other)))
    return one != other


def amounts_of(name: str, one: Any, other: Any) -> dict[str, float]:
    """Return how much two values of a column differ, by what is measured; {} where nothing is."""
    if name == "camera_to_world":
        return _poses(one, other)
    if name == "intrinsics":
        return _largest("intrinsics_pixels", one, other)
    if isinstance(one, float | int | list) and not isinstance(one, bool):
        return _largest("largest", one, other)
    return {}


def changed_keys(one: Row, other: Row) -> list[str]:
    """Return the keys of two rows' provenance whose values differ."""
    stated, others = parse_json(one[PROVENANCE]), parse_json(other[PROVENANCE])
    return sorted(key for key in {*stated, *others} if stated.get(key) != others.get(key))


def _largest(name: str, one: Any, other: Any) -> dict[str, float]:
    arrays = _arrays(one, other)
    if arrays is None:
        return {}
    change = np.abs(arrays[0] - arrays[1])
    known = change[~np.isnan(change)]
    return {name: float(known.max())} if known.size else {}


def _poses(one: Sequence[Any], other: Sequence[Any]) -> dict[str, float]:
    """Return the largest distance of two frames' positions, and angle of their directions."""
    arrays = _arrays(one, other)
    if arrays is None:
        return {}
    first, second = (poses.reshape(-1, 4, 4) for poses in arrays)
    moved = np.linalg.norm(first[:, :3, 3] - second[:, :3, 3], axis=1)
    rotation = np.swapaxes(first[:, :3, :3], 1, 2) @ second[:, :3, :3]
    # The angle from its sine and cosine: arccos alone loses small ones to rounding.
    skew = rotation - np.swapaxes(rotation, 1, 2)
    sine = np.linalg.norm(skew, axis=(1, 2)) / math.sqrt(8)
    cosine = (np.trace(rotation, axis1=1, axis2=2) - 1) / 2
    turned = np.degrees(np.arctan2(sine, cosine))
    return {"moved": float(moved.max()), "turned_degrees": float(turned.max())}


def _arrays(one: Any, other: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return two values as arrays; None: they are no numbers, or of different shapes."""
    try:
        first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    except (TypeError, ValueError):
        return None
    return (first, second) if first.shape == second.shape and first.size else None
