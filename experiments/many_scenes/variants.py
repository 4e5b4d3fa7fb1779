"""params.yaml of the experiment and of what it leaves out, one thing at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Params = dict[str, Any]

ALIKE: Params = {"num_frames": 9, "num_target_frames": 4, "prune_ratio": 0.0}
"""Of all phases."""

PHASES: dict[str, Params] = {
    "small": {
        "start_from": "random_weights",
        "steps": 1500,
        "height": 64,
        "width": 96,
        "learning_rate": 2.0e-3,
        "final_learning_rate": 1.0e-3,
        "warmup_steps": 50,
    },
    "large": {
        "start_from": "small",
        "steps": 800,
        "height": 128,
        "width": 192,
        "learning_rate": 1.0e-3,
        "final_learning_rate": 3.0e-4,
        "warmup_steps": 20,
    },
    "final": {
        "start_from": "large",
        "steps": 300,
        "height": 128,
        "width": 192,
        "learning_rate": 3.0e-4,
        "final_learning_rate": 2.0e-5,
        "warmup_steps": 20,
        "prune_ratio": 0.5,
    },
}
"""What differs from the demo's last phase, besides."""


def whole(committed: Params, scenes: list[str], kept: list[str], *, times: int = 1) -> Params:
    """The experiment itself.

    Args:
        committed: params.yaml of the repository.
        scenes: names of the scene folders in inputs/.
        kept: patterns of scenes that are not trained on.
        times: all phases have so many times their steps.
    """
    params = copy.deepcopy(committed)
    sources = [{"name": "files", "folder": f"inputs/{name}", "scene_id": name} for name in scenes]
    params["annotate"]["sources"] = [*sources, {"name": "motorcycle"}]
    params["generate"]["num_frames"] = 17
    params["package"]["validation_scenes"] = kept
    pattern = params["train"]["phases"]["demo"] | ALIKE
    phases = {name: pattern | copy.deepcopy(changes) for name, changes in PHASES.items()}
    for phase in phases.values():
        phase["steps"] *= times
    phases["final"]["losses"] = pattern["losses"] | {"opacity": 0.1}
    params["train"]["phases"] = phases
    params["evaluate"] |= {"phase": "final", "split": "validation"}
    return params


def _no_depth_loss(params: Params) -> None:
    for phase in params["train"]["phases"].values():
        phase["losses"] = phase["losses"] | {"depth": 0.0}


def _single_view(params: Params) -> None:
    for phase in params["train"]["phases"].values():
        phase |= {"min_views": 1, "max_views": 1}


def _no_mamba(params: Params) -> None:
    params["train"]["decoder"]["attention_every"] = 1


def _no_pruning(params: Params) -> None:
    final = params["train"]["phases"]["final"]
    final |= {"prune_ratio": 0.0, "losses": final["losses"] | {"opacity": 0.0}}


def _another_seed(params: Params) -> None:
    params["seed"] = params["seed"] + 1


VARIANTS: dict[str, Callable[[Params], None]] = {
    "whole": lambda params: None,  # noqa: ARG005
    "no_depth_loss": _no_depth_loss,
    "single_view": _single_view,
    "no_mamba": _no_mamba,
    "no_pruning": _no_pruning,
    "another_seed": _another_seed,
}
"""Name -> what it changes in the experiment's params."""

FINAL_PHASE_ALONE = ("no_pruning",)
"""Variants whose first phases are those of the whole."""


def variant(name: str, params: Params) -> Params:
    """The experiment's params with one thing left out."""
    changed = copy.deepcopy(params)
    VARIANTS[name](changed)
    return changed
