"""Write what evaluation.json says of a decoder: a table, the Hub's model-index, .eval_results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from lyra_data.dataset.writing.card import counted
from lyra_data.sharing.cards.markdown import figure, plain, table
from lyra_data.sharing.cards.model_facts import ModelFacts

RESULTS_PATH = ".eval_results/lyra-data.yaml"

DECODER = "decoder"
METHODS = {
    DECODER: "this decoder",
    "first_phase": "its first phase",
    "copied": "nearest input frame, copied",
    "warped": "nearest input frame, moved by its depth",
    "fitted": "Gaussians fitted to the scene",
}
METRICS = {
    "psnr_db": ("psnr", "PSNR, dB"),
    "psnr_known_db": ("psnr_known", "PSNR where the source shows it, dB"),
    "ssim": ("ssim", "SSIM"),
    "depth_abs_rel": ("abs_rel", "depth error, relative"),
    "depth_within_delta": ("delta_1_25", "depth within 1.25"),
}
"""Keys of evaluation.json: the name of a metric for machines, and for people."""

TASKS = {
    "held_out_frames": "frames of each view, which it neither read nor was trained on",
    "real_photos": "real photos of the scene from elsewhere, which nothing was made from",
}


def tasks_of(facts: ModelFacts) -> dict[str, Mapping[str, Any]]:
    """Return the figures of every task that the decoder was judged in, by method."""
    figures = facts.figures or {}
    return {name: figures[name] for name in TASKS if (figures.get(name) or {}).get(DECODER)}


def protocol_of(task: str, facts: ModelFacts) -> str:
    """Return how a task's figures came about, in words."""
    judged = facts.figures or {}
    scenes = len(judged.get("scenes") or {})
    splits = ", ".join(sorted(judged.get("splits") or {}))
    frames = facts.config.get("held_out_frames")
    last = f"the last {frames} " if task == "held_out_frames" and frames else ""
    return (
        f"lyra-data evaluate, {task}: {last}{TASKS[task]}; {counted(scenes, 'scene')} of split "
        f"{splits}; a figure is the mean over all frames of all scenes"
    )


def describe_figures(facts: ModelFacts) -> list[str]:
    """Return a table for each task, with the methods that the decoder is set against."""
    lines = ["## Figures", ""]
    tasks = tasks_of(facts)
    if not tasks:
        return [*lines, "It was not judged.", ""]
    for task, methods in tasks.items():
        rows = [
            [METHODS[name], *(_figure(methods[name].get(key)) for key in METRICS)]
            for name in METHODS
            if methods.get(name)
        ]
        lines += [f"{plain(protocol_of(task, facts), 400)}.", ""]
        lines += table(["method", *(title for _, title in METRICS.values())], rows)
    provenance = (facts.figures or {}).get("provenance") or {}
    commit = (provenance.get("code") or {}).get("evaluated_at_commit")
    codec = (provenance.get("dataset") or {}).get("codec_psnr_db")
    if codec is not None:
        lines += [
            f"The codec's own decoding of the latents reaches {_figure(codec)} dB on these frames.",
            "",
        ]
    return [*lines, f"Judged at commit {plain(commit)}.", ""] if commit else lines


def model_index(facts: ModelFacts, name: str, task_type: str) -> list[dict[str, Any]]:
    """Return the model-index of the Hub's metadata; [] where there are no figures."""
    results = [
        {
            "task": {"type": task_type, "name": "Novel view synthesis"},
            "dataset": _dataset(task, facts),
            "metrics": [
                {"type": METRICS[key][0], "value": methods[DECODER][key], "name": METRICS[key][1]}
                for key in METRICS
                if _is_number(methods[DECODER].get(key))
            ],
        }
        for task, methods in tasks_of(facts).items()
    ]
    return [{"name": name, "results": results}] if results else []


def _dataset(task: str, facts: ModelFacts) -> dict[str, Any]:
    data = facts.data
    values: dict[str, Any] = {
        "name": f"{data.repository or 'its training data'}, {task}",
        "type": data.repository or "lyra-data",
        "config": task,
        "split": "+".join(sorted((facts.figures or {}).get("splits") or {})) or "train",
    }
    if data.revision is not None:
        values["revision"] = data.revision
    return {
        **values,
        "args": {"protocol": protocol_of(task, facts), "dataset_hash": facts.dataset_hash},
    }


def eval_results(facts: ModelFacts) -> dict[str, bytes]:
    """Return the file of the Hub's leaderboards; none where the data are not on the Hub.

    Its form: https://huggingface.co/docs/hub/eval-results; a dataset takes part in a leaderboard
    once it is registered as a benchmark with these tasks.
    """
    repository = facts.data.repository
    tasks = tasks_of(facts)
    if repository is None or not tasks:
        return {}
    entries = []
    for task, methods in tasks.items():
        value = methods[DECODER].get("psnr_db")
        if not _is_number(value):
            continue
        revision = {"revision": facts.data.revision} if facts.data.revision else {}
        entry: dict[str, Any] = {
            "dataset": {"id": repository, "task_id": task, **revision},
            "value": value,
        }
        if facts.repository is not None:
            entry["source"] = {
                "url": f"https://huggingface.co/{facts.repository}",
                "name": "evaluation.json of lyra-data",
            }
        entry["notes"] = f"PSNR in dB. {protocol_of(task, facts)}"
        entries.append(entry)
    text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=1000)
    return {RESULTS_PATH: text.encode()} if entries else {}


def _figure(value: Any) -> str:
    return figure(value) if _is_number(value) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
