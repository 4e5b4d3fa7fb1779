"""Report files: reports/ put together from the finished scenes, one page in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import (
    flush_all_to_disk,
    flush_to_disk,
    folder_atomically,
    link_or_copy,
    write_atomically,
)
from lyra_model.evaluation.finished_scenes import GAUSSIANS_FILE, PAGE_FILE
from lyra_model.evaluation.report.page import complete_page
from lyra_model.evaluation.report_content import shared_content
from lyra_model.evaluation.results import (
    headline_figures,
    write_held_out_curve,
    write_training_curve,
)
from lyra_model.evaluation.scene_result import SceneResult
from lyra_model.phases.checkpoints import Checkpoint


def write_reports(
    items: Sequence[Path],
    scenes: Sequence[SceneResult],
    results: Mapping[str, Any],
    checkpoints: Mapping[str, Checkpoint],
    folder: Path,
) -> None:
    """Write all results, then put them in their places: a full disk changes none of them.

    Args:
        items: the finished item of every scene, in the order of `scenes`.
        results: all figures, as evaluation.json has them.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with (
        folder_atomically(folder / "curves") as curves,
        folder_atomically(folder / "scenes") as pages,
        write_atomically(folder / "report.html") as first_report,
        write_atomically(folder / "evaluation.json") as figures,
        write_atomically(folder / "metrics.json") as headline,
    ):
        write_training_curve(checkpoints, curves / "training.csv")
        write_held_out_curve(scenes, curves / "held_out.csv")
        for item, scene in zip(items, scenes, strict=True):
            target = pages / scene.scene_id
            target.mkdir()
            link_or_copy(item / GAUSSIANS_FILE, target / GAUSSIANS_FILE)
            unfinished = (item / PAGE_FILE).read_text(encoding="utf-8")
            page = complete_page(unfinished, shared_content(results, scene))
            (target / "report.html").write_text(page, encoding="utf-8")
        first = scenes[0].scene_id
        first_report.write_bytes((pages / first / "report.html").read_bytes())
        figures.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        few = headline_figures(results)
        headline.write_text(json.dumps(few, indent=2) + "\n", encoding="utf-8")
        for written in (curves, pages):
            flush_all_to_disk(written)
        for file in (first_report, figures, headline):
            flush_to_disk(file)
