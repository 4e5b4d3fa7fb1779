"""Content of the report of many scenes: plain values, read by the page and by report.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lyra_model.evaluation.report.content import ProvenanceGroup, TrainingPhase


@dataclass(frozen=True)
class Figure:
    """One number as printed, with its interval as printed; "" where there is none."""

    written: str
    interval: str = ""


@dataclass(frozen=True)
class MethodRow:
    """One method in a table of all scenes.

    Attributes:
        is_decoder: whether it is what is judged.
        difference: the decoder's PSNR minus this method's, dB; None for the decoder itself.
    """

    title: str
    is_decoder: bool
    psnr_db: Figure
    ssim: Figure
    depth_abs_rel: Figure
    difference: Figure | None


@dataclass(frozen=True)
class MethodTable:
    """All methods on one kind of frames of some scenes."""

    title: str
    rows: tuple[MethodRow, ...]


@dataclass(frozen=True)
class SceneRow:
    """One scene in the table of scenes; None where a number was not measured.

    Attributes:
        address: of its page, relative to the report.
        thumbnail: address of its small picture.
        ahead_db: the decoder's PSNR minus the copied frame's.
    """

    scene_id: str
    address: str
    thumbnail: str
    split: str
    psnr_db: float | None
    copied_db: float | None
    ahead_db: float | None
    ssim: float | None
    depth_abs_rel: float | None
    num_views: int
    num_dropped: int


@dataclass(frozen=True)
class WorstScene:
    """A scene of the lowest scores, opened: its worst frame, beside the true one."""

    row: SceneRow
    preview: Mapping[str, Any]


@dataclass(frozen=True)
class FilterRow:
    """One limit of params.yaml and what it did.

    Attributes:
        name: as params.yaml has it.
        num_dropped: views that it kept out, alone or with others.
        num_near: views that were kept, a tenth of the limit or less away from it.
        near_db, others_db: mean PSNR of the decoder on these views, and on the other kept ones.
    """

    name: str
    limit: float
    meaning: str
    num_dropped: int
    num_near: int
    near_db: float | None
    others_db: float | None


@dataclass(frozen=True)
class Distribution:
    """Values of one method or difference, one a scene, with the interval of their mean."""

    name: str
    values: Float[np.ndarray, " scene"]
    mean: float | None
    low: float | None
    high: float | None
    is_decoder: bool = False


@dataclass(frozen=True)
class OverviewContent:
    """All that the report of many scenes says.

    Attributes:
        viewer: what the viewer reads of the scene to move in.
        viewer_scene: the row of this scene.
        held_out_curve: PSNR by frames past the last one read, a line a method.
    """

    title: str
    verdict: str
    findings: tuple[str, ...]
    viewer: Mapping[str, Any]
    viewer_scene: SceneRow
    tables: tuple[MethodTable, ...]
    scenes: tuple[SceneRow, ...]
    worst: tuple[WorstScene, ...]
    psnrs: tuple[Distribution, ...]
    differences: tuple[Distribution, ...]
    filters: tuple[FilterRow, ...]
    num_kept: int
    num_dropped: int
    training: tuple[TrainingPhase, ...]
    held_out_curve: tuple[tuple[str, list[int], list[float]], ...]
    provenance: tuple[ProvenanceGroup, ...]
