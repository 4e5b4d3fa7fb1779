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
from lyra_model.evaluation.filter_effects import QualityFilters
from lyra_model.evaluation.finished_scenes import GAUSSIANS_FILE, MOVING_PAGE_FILE, PAGE_FILE
from lyra_model.evaluation.overview import overview_content
from lyra_model.evaluation.previews import THUMBNAIL_FILE
from lyra_model.evaluation.report.markdown import overview_markdown
from lyra_model.evaluation.report.overview import render_overview, viewer_data_of
from lyra_model.evaluation.report.page import complete_page
from lyra_model.evaluation.report_content import (
    provenance_groups,
    shared_content,
    training_phases,
)
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
    filters: QualityFilters,
    folder: Path,
) -> None:
    """Write all results, then put them in their places: a full disk changes none of them.

    report.html is the page of the scene where there is one alone, and of all scenes otherwise.

    Args:
        items: the finished item of every scene, in the order of `scenes`.
        results: all figures, as evaluation.json has them.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with (
        folder_atomically(folder / "curves") as curves,
        folder_atomically(folder / "scenes") as pages,
        write_atomically(folder / "report.html") as report,
        write_atomically(folder / "report.md") as markdown,
        write_atomically(folder / "evaluation.json") as figures,
        write_atomically(folder / "metrics.json") as headline,
    ):
        write_training_curve(checkpoints, curves / "training.csv")
        write_held_out_curve(scenes, curves / "held_out.csv")
        for item, scene in zip(items, scenes, strict=True):
            target = pages / scene.scene_id
            target.mkdir()
            for name in (GAUSSIANS_FILE, THUMBNAIL_FILE):
                link_or_copy(item / name, target / name)
            if scene.num_moments > 1:
                link_or_copy(item / MOVING_PAGE_FILE, target / MOVING_PAGE_FILE)
            page = complete_page(_page_of(item), shared_content(results, scene))
            (target / "report.html").write_text(page, encoding="utf-8")
        overview = overview_content(
            results,
            scenes,
            items,
            filters,
            training_phases(checkpoints),
            provenance_groups(results, None),
            lambda item: viewer_data_of(_page_of(item)),
        )
        markdown.write_text(overview_markdown(overview), encoding="utf-8")
        if len(scenes) == 1:
            beside = f"scenes/{scenes[0].scene_id}/"
            shared = shared_content(results, scenes[0], beside=beside)
            report.write_text(complete_page(_page_of(items[0]), shared), encoding="utf-8")
        else:
            report.write_text(render_overview(overview), encoding="utf-8")
        figures.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        few = headline_figures(results)
        headline.write_text(json.dumps(few, indent=2) + "\n", encoding="utf-8")
        for written in (curves, pages):
            flush_all_to_disk(written)
        for file in (report, markdown, figures, headline):
            flush_to_disk(file)


def _page_of(item: Path) -> str:
    """Return the page of a finished scene, but for what all scenes say together."""
    return (item / PAGE_FILE).read_text(encoding="utf-8")
