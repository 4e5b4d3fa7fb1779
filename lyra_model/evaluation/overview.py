"""Overview: the figures of many scenes as what the report of all of them says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lyra_model.evaluation.filter_effects import QualityFilters, filter_rows
from lyra_model.evaluation.previews import THUMBNAIL_FILE, read_worst_frame
from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.content import ProvenanceGroup, TrainingPhase
from lyra_model.evaluation.report.overview_content import (
    Distribution,
    Figure,
    MethodRow,
    MethodTable,
    OverviewContent,
    SceneRow,
    WorstScene,
)
from lyra_model.evaluation.results import METHOD_TITLES, mean_by_distance
from lyra_model.evaluation.scene_evaluation import COPIED, DECODER
from lyra_model.evaluation.scene_result import SceneResult
from lyra_model.evaluation.verdicts import findings, headline

NUM_WORST = 3
COLUMN_TITLES = {"held_out_frames": "Held-out frames", "real_photos": "Real photos"}


def overview_content(
    results: Mapping[str, Any],
    scenes: Sequence[SceneResult],
    items: Sequence[Path],
    filters: QualityFilters,
    training: tuple[TrainingPhase, ...],
    provenance: tuple[ProvenanceGroup, ...],
    viewer_of: Any,
) -> OverviewContent:
    """Return what the report of all scenes says.

    Args:
        items: the finished item of every scene, in the order of `scenes`.
        filters: the limits of quality and the views that they kept out.
        viewer_of: what the viewer reads of a scene, by its item.
    """
    num_dropped = Counter(view.scene_id for view in filters.dropped)
    rows = [_scene_row(results, scene, num_dropped[scene.scene_id]) for scene in scenes]
    by_psnr = sorted(range(len(rows)), key=lambda i: (_known(rows[i].psnr_db), rows[i].scene_id))
    middle = by_psnr[(len(rows) - 1) // 2]
    return OverviewContent(
        title=f"Evaluation of {len(scenes)} {'scene' if len(scenes) == 1 else 'scenes'}",
        verdict=headline(results),
        findings=tuple(findings(results)),
        viewer=viewer_of(items[middle]),
        viewer_scene=rows[middle],
        tables=tuple(_tables(results)),
        scenes=tuple(rows),
        worst=tuple(WorstScene(rows[i], read_worst_frame(items[i])) for i in by_psnr[:NUM_WORST]),
        psnrs=tuple(_psnr_distributions(results, scenes)),
        differences=tuple(_difference_distributions(results, scenes)),
        filters=filter_rows(filters, [view for scene in scenes for view in scene.views]),
        num_kept=sum(len(scene.views) for scene in scenes),
        num_dropped=len(filters.dropped),
        training=training,
        held_out_curve=tuple(
            (METHOD_TITLES[method], distances, values)
            for method, (distances, values) in mean_by_distance(scenes).items()
        ),
        provenance=provenance,
    )


def _known(value: float | None) -> float:
    return math.inf if value is None else value


def _scene_row(results: Mapping[str, Any], scene: SceneResult, num_dropped: int) -> SceneRow:
    entry = results["scenes"][scene.scene_id]
    decoder, copied = (entry["held_out_frames"][method] for method in (DECODER, COPIED))
    psnr, other = decoder["psnr_db"], copied["psnr_db"]
    return SceneRow(
        scene_id=scene.scene_id,
        address=f"scenes/{scene.scene_id}/report.html",
        thumbnail=f"scenes/{scene.scene_id}/{THUMBNAIL_FILE}",
        split=entry["split"],
        psnr_db=psnr,
        copied_db=other,
        ahead_db=None if psnr is None or other is None else psnr - other,
        ssim=decoder["ssim"],
        depth_abs_rel=decoder["depth_abs_rel"],
        num_views=len(scene.views),
        num_dropped=num_dropped,
    )


def _tables(results: Mapping[str, Any]) -> list[MethodTable]:
    """Return a table of every kind of frames: of all scenes, and of each split if there are two."""
    parts = {"": results}
    if len(results["splits"]) > 1:
        parts |= {f", {split}": part for split, part in results["splits"].items()}
    tables = []
    for column, title in COLUMN_TITLES.items():
        for suffix, part in parts.items():
            if not part[column]:
                continue
            of = part["uncertainty"][column]
            num = of["num_scenes"]
            noun = "scene" if num == 1 else "scenes"
            rows = tuple(_method_row(part[column], of, method) for method in part[column])
            tables.append(MethodTable(f"{title}{suffix}: {num} {noun}", rows))
    return tables


def _method_row(scores: Mapping[str, Any], of: Mapping[str, Any], method: str) -> MethodRow:
    intervals = of["intervals"][method]

    def figure(metric: str, write: Any) -> Figure:
        return Figure(write(scores[method][metric]), _ends(intervals.get(metric), write))

    difference = of["differences"].get(method)
    return MethodRow(
        title=METHOD_TITLES[method],
        is_decoder=method == DECODER,
        psnr_db=figure("psnr_db", numbers.decibels),
        ssim=figure("ssim", numbers.ratio),
        depth_abs_rel=figure("depth_abs_rel", numbers.ratio),
        difference=None
        if difference is None
        else Figure(
            numbers.signed_decibels(difference["psnr_db"]["mean"]),
            _ends(difference["psnr_db"], numbers.signed_decibels),
        ),
    )


def _ends(interval: Mapping[str, Any] | None, write: Any) -> str:
    if interval is None or interval["low"] is None:
        return ""
    return f"{write(interval['low'])} to {write(interval['high'])}"


def _psnr_distributions(
    results: Mapping[str, Any], scenes: Sequence[SceneResult]
) -> list[Distribution]:
    intervals = results["uncertainty"]["held_out_frames"]["intervals"]
    return [
        Distribution(
            METHOD_TITLES[method],
            np.array([scene.held_out[method].psnr_db.mean for scene in scenes]),
            *(intervals[method].get("psnr_db", {}).get(end) for end in ("mean", "low", "high")),
            is_decoder=method == DECODER,
        )
        for method in scenes[0].held_out
    ]


def _difference_distributions(
    results: Mapping[str, Any], scenes: Sequence[SceneResult]
) -> list[Distribution]:
    differences = results["uncertainty"]["held_out_frames"]["differences"]
    ours = np.array([scene.held_out[DECODER].psnr_db.mean for scene in scenes])
    rows = []
    for method, values in differences.items():
        theirs = np.array([scene.held_out[method].psnr_db.mean for scene in scenes])
        with np.errstate(invalid="ignore"):
            ahead = ours - theirs
        ends = (values["psnr_db"][end] for end in ("mean", "low", "high"))
        rows.append(Distribution(f"decoder minus {METHOD_TITLES[method]}", ahead, *ends))
    return rows
