"""Reports of many made-up scenes, for tests."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_data.views.dropped import DroppedView
from lyra_model.evaluation.filter_effects import QualityFilters
from lyra_model.evaluation.overview import overview_content
from lyra_model.evaluation.report.content import Fact, ProvenanceGroup
from lyra_model.evaluation.report.figures import pictures
from lyra_model.evaluation.report.overview_content import OverviewContent
from lyra_model.evaluation.report.viewer_scene import report_viewer_data
from lyra_model.evaluation.results import results_as_json
from lyra_model.evaluation.scene_result import SceneResult, ViewFacts
from tests.report_samples import LIMITS, sample_content
from tests.unit.test_verdicts import frame_scores


def make_scenes(num: int) -> list[SceneResult]:
    """Scenes with two views each, whose decoder is 1 dB ahead of the copied frame on average."""
    draw = np.random.default_rng(5)
    scenes = []
    for index in range(num):
        copied = draw.normal(19, 2, 3)
        ahead = draw.normal(1, 0.8, 3)
        methods = {
            "decoder": copied + ahead,
            "first_phase": copied + ahead - 0.7,
            "copied": copied,
            "warped": copied + 8,
        }
        quality: dict[str, float | None] = {"known_fraction": 0.9, "cache_psnr_db": 35.0}
        if index % 4 == 0:
            quality["cache_psnr_db"] = 21.0
        name = f"scene_{index:03}"
        scenes.append(
            SceneResult(
                scene_id=name,
                held_out={m: frame_scores(values.tolist()) for m, values in methods.items()},
                frames_past_input=[1, 2, 3],
                real=None,
                num_gaussians=100,
                views=[
                    ViewFacts(f"{name}/left", "1", 33.0, quality, 20.0 if index % 4 == 0 else 21.0),
                    ViewFacts(f"{name}/right", "2", 33.0, {}, None),
                ],
                origins={},
            )
        )
    return scenes


def sample_overview(folder: Path, num: int, **changes: Any) -> OverviewContent:
    """Content of a report of so many scenes, whose items lie in a folder."""
    scenes = make_scenes(num)
    picture = torch.randint(
        0, 256, (3, 48, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    items = []
    for scene in scenes:
        item = folder / scene.scene_id
        item.mkdir(parents=True)
        preview = {"trajectory": "zoom_in", "frame": 14, "psnr_db": 12.25, "copied_db": 13.5}
        preview |= {"width": 64, "height": 48}
        preview |= dict.fromkeys(
            ("target", "render", "error"), pictures.photo_uri(picture, width=64)
        )
        (item / "preview.json").write_text(json.dumps(preview))
        items.append(item)
    splits = {
        scene.scene_id: "validation" if i % 5 == 0 else "train" for i, scene in enumerate(scenes)
    }
    dropped = DroppedView(
        "scene_001", 2, "up", False, ("cache_psnr_db = 12, min_cache_psnr_db is 20",)
    )
    content = sample_content()
    made = overview_content(
        results_as_json(scenes, splits, {}),
        scenes,
        items,
        QualityFilters(LIMITS, [dropped]),
        content.training,
        (ProvenanceGroup("Dataset", (Fact("dataset hash", "0123" * 16, is_hash=True),)),),
        lambda item: report_viewer_data(content),
    )
    return dataclasses.replace(made, **changes)
