"""Results: the figures of an evaluation as plain values, for evaluation.json and dvc plots."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lyra_model.evaluation.scene_evaluation import COPIED, DECODER, FIRST_PHASE, FITTED, WARPED
from lyra_model.evaluation.scene_result import SceneResult, ScoresByMethod
from lyra_model.evaluation.scoring import pool
from lyra_model.evaluation.uncertainty import rounded, uncertainty_of
from lyra_model.judging.protocols.files import stated_protocol
from lyra_model.judging.protocols.protocol import Protocol
from lyra_model.phases.checkpoints import Checkpoint

METHOD_TITLES = {
    DECODER: "decoder, final phase",
    FIRST_PHASE: "decoder, first phase",
    COPIED: "nearest input frame, copied",
    WARPED: "nearest input frame, warped",
    FITTED: "Gaussians fitted to this scene",
}


def results_as_json(
    scenes: Sequence[SceneResult],
    splits: Mapping[str, str],
    provenance: dict[str, Any],
    protocol: Protocol | None = None,
) -> dict[str, Any]:
    """Return every figure: over all scenes, for each split and scene, and its provenance.

    The uncertainty of a split is not repeated where it is the only one.

    Args:
        protocol: what the figures mean; None: it is not stated.
    """
    by_split = _by_split(scenes, splits)
    several = len(by_split) > 1
    return {
        **({} if protocol is None else {"protocol": stated_protocol(protocol)}),
        **_over_split(scenes),
        "uncertainty": uncertainty_of(scenes),
        "splits": {
            split: _over_split(judged)
            | ({"uncertainty": uncertainty_of(judged)} if several else {})
            for split, judged in by_split.items()
        },
        "scenes": {
            scene.scene_id: {
                "split": splits[scene.scene_id],
                **_over_split([scene]),
                "num_gaussians": scene.num_gaussians,
            }
            for scene in scenes
        },
        "provenance": provenance,
    }


def _by_split(
    scenes: Sequence[SceneResult], splits: Mapping[str, str]
) -> dict[str, list[SceneResult]]:
    return {
        split: [scene for scene in scenes if splits[scene.scene_id] == split]
        for split in dict.fromkeys(splits.values())
    }


def headline_figures(results: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the few figures that a run is compared by: `dvc metrics show` prints one row of them
    in 80 columns, so names are short and digits few.

    Returns:
        "psnr" (dB), "ssim" and "abs_rel" of the decoder on held-out frames; "vs_copy" and
        "vs_warp": its PSNR less that of those baselines, dB; "photo": its PSNR on real photos, dB.
        None where a figure was not measured.
    """
    held_out, real = results["held_out_frames"], results["real_photos"]
    decoder = held_out.get(DECODER, {})

    def ahead_of(method: str) -> float | None:
        pair = decoder.get("psnr_db"), held_out.get(method, {}).get("psnr_db")
        return None if None in pair else pair[0] - pair[1]

    figures = {
        "psnr": (decoder.get("psnr_db"), 2),
        "ssim": (decoder.get("ssim"), 4),
        "abs_rel": (decoder.get("depth_abs_rel"), 4),
        "vs_copy": (ahead_of(COPIED), 2),
        "vs_warp": (ahead_of(WARPED), 2),
        "photo": (real.get(DECODER, {}).get("psnr_db"), 2),
    }
    return {
        name: None if value is None else round(value, digits)
        for name, (value, digits) in figures.items()
    }


def pool_scenes(scenes: Sequence[SceneResult]) -> tuple[ScoresByMethod, ScoresByMethod]:
    """Return the scores of all scenes by method: on held-out frames, and on real photos."""
    return (
        _pool([scene.held_out for scene in scenes]),
        _pool([scene.real for scene in scenes if scene.real is not None]),
    )


def _over_split(scenes: Sequence[SceneResult]) -> dict[str, Any]:
    """Return the figures of scenes of one split: what was trained on is judged apart."""
    held_out, real = pool_scenes(scenes)
    return {
        "held_out_frames": _summary(held_out),
        "real_photos": _summary(real),
    }


def _pool(scenes: Sequence[ScoresByMethod]) -> ScoresByMethod:
    methods = list(scenes[0]) if scenes else []
    return {method: pool([scores[method] for scores in scenes]) for method in methods}


def _summary(methods: ScoresByMethod) -> dict[str, dict[str, float | int | None]]:
    return {
        method: {name: _plain(value) for name, value in scores.summary().items()}
        for method, scores in methods.items()
    }


def _plain(value: float | int) -> float | int | None:
    return value if isinstance(value, int) else rounded(value)


def write_training_curve(checkpoints: Mapping[str, Checkpoint], path: Path) -> None:
    """Write a row a step, counted over all phases: step, phase, loss, psnr, learning_rate."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "phase", "loss", "psnr_db", "learning_rate"])
        before = 0
        for name, checkpoint in checkpoints.items():
            for row in checkpoint.history:
                step = before + int(row["step"])
                writer.writerow([step, name, row["loss"], row["psnr"], row["learning_rate"]])
            before += len(checkpoint.history)


def mean_by_distance(
    scenes: Sequence[SceneResult],
) -> dict[str, tuple[list[int], list[float]]]:
    """Return the mean PSNR of every method by distance of a frame from the last frame read."""
    table: dict[str, dict[int, list[float]]] = {method: {} for method in scenes[0].held_out}
    for scene in scenes:
        for method, by_distance in table.items():
            values = scene.held_out[method].psnr_db.values.tolist()
            for distance, value in zip(scene.frames_past_input, values, strict=True):
                by_distance.setdefault(distance, []).append(value)
    return {
        method: (
            sorted(by_distance),
            [sum(by_distance[d]) / len(by_distance[d]) for d in sorted(by_distance)],
        )
        for method, by_distance in table.items()
    }


def write_held_out_curve(scenes: Sequence[SceneResult], path: Path) -> None:
    """Write the mean PSNR of every method, a row for every distance from the last frame read."""
    means = mean_by_distance(scenes)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frames_past_input", *means])
        distances = next(iter(means.values()))[0]
        for row, distance in enumerate(distances):
            writer.writerow([distance, *(f"{values[row]:.4f}" for _, values in means.values())])
