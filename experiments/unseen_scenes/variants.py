"""params.yaml of experiment 0002, and of its variants."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Params = dict[str, Any]

KEPT = ["kept_*", "motorcycle"]

PICTURES: Params = {
    "per_view": 2,
    "planes": 48,
    "near": 1.0,
    "far": 20.0,
    "channels": 32,
    "reads_latents": False,
}

LOSSES: Params = {
    "image": 1.0,
    "ssim": 0.05,
    "depth": 0.0,
    "metric_depth": 0.0,
    "picture_depth": 0.05,
    "opacity": 0.0,
    "lpips": 0.0,
    "reference": False,
}

SMALL: Params = {
    "start_from": "random_weights",
    "steps": 500,
    "height": 64,
    "width": 96,
    "num_frames": 17,
    "short_clips": "refuse",
    "num_target_frames": 4,
    "min_views": 3,
    "max_views": 6,
    "supervision": "all_views",
    "learning_rate": 1.0e-3,
    "final_learning_rate": 1.0e-4,
    "warmup_steps": 20,
    "prune_ratio": 0.0,
    "precision": "float32",
    "gradient_checkpointing": False,
    "losses": LOSSES,
}

LARGE: Params = SMALL | {
    "steps": 600,
    "start_from": "small",
    "height": 96,
    "width": 144,
    "learning_rate": 5.0e-4,
    "final_learning_rate": 2.0e-5,
}


def with_sources(preset: Params, rooms: list[str]) -> Params:
    """The preset over the rooms and the Motorcycle, of which some are kept from training."""
    params = copy.deepcopy(preset)
    sources = [{"name": "files", "folder": f"inputs/{name}", "scene_id": name} for name in rooms]
    params["annotate"]["sources"] = [*sources, {"name": "motorcycle"}]
    params["package"]["validation_scenes"] = KEPT
    params["evaluate"]["split"] = "validation"
    return params


def _whole(params: Params) -> Params:
    return _trained(params, {"small": SMALL, "large": LARGE}, PICTURES)


def _latents(params: Params) -> Params:
    """What the latents' tokens say is read as well."""
    return _trained(params, {"small": SMALL}, PICTURES | {"reads_latents": True})


def _depth_of_renders(params: Params) -> Params:
    """Depth is learned of renders alone."""
    losses = LOSSES | {"picture_depth": 0.0, "metric_depth": 0.05}
    return _trained(params, {"small": SMALL | {"losses": losses}}, PICTURES)


def _no_depth(params: Params) -> Params:
    """No loss knows depth."""
    losses = LOSSES | {"picture_depth": 0.0}
    return _trained(params, {"small": SMALL | {"losses": losses}}, PICTURES)


VARIANTS: dict[str, Callable[[Params], Params]] = {
    "whole": _whole,
    "latents": _latents,
    "depth_of_renders": _depth_of_renders,
    "no_depth": _no_depth,
}
"""Name -> its params, of those with the sources."""


def _trained(params: Params, phases: dict[str, Params], pictures: Params) -> Params:
    changed = copy.deepcopy(params)
    changed["train"]["decoder"]["pictures"] = dict(pictures)
    changed["train"]["phases"] = copy.deepcopy(phases)
    changed["evaluate"]["phase"] = list(phases)[-1]
    return changed
