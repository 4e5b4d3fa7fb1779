"""Evaluate a whole dataset: measure every scene, then write figures, curves, scenes and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lyra_data.cache3d import Cache3DParams
from lyra_data.clips.store import read_clip, read_held_out
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import (
    flush_all_to_disk,
    flush_to_disk,
    folder_atomically,
    write_atomically,
)
from lyra_data.engine.errors import StageOrderError
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import engine_commit, engine_version
from lyra_data.generation.teachers.base import Teacher
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.scene.material import HeldOutView
from lyra_model.batches.data_checks import codec_of
from lyra_model.batches.resizing import resize_frames
from lyra_model.evaluation.evaluator import EvaluateParams, Evaluator, SceneEvaluation, TrainedPhase
from lyra_model.evaluation.report.content import ReportContent
from lyra_model.evaluation.report.page import render_report
from lyra_model.evaluation.report_content import codec_psnr, report_content
from lyra_model.evaluation.results import (
    results_as_json,
    write_held_out_curve,
    write_training_curve,
)
from lyra_model.export.ply import write_ply
from lyra_model.phases.checkpoints import Checkpoint, load_checkpoint
from lyra_model.phases.memory_advice import memory_advice
from lyra_model.phases.phase_params import RANDOM_WEIGHTS, PhaseParams, chain_of
from lyra_model.phases.train_params import TrainParams


@dataclass(frozen=True)
class Folders:
    """Where evaluation reads and writes."""

    clips: Path
    held_out: Path
    models: Path
    reports: Path


def evaluate_dataset(
    params: EvaluateParams,
    train: TrainParams,
    *,
    dataset: SceneDataset,
    cache: Cache3DParams,
    quality_limits: Mapping[str, float | None],
    teacher: Teacher,
    folders: Folders,
    durations: Mapping[str, float],
    params_hashes: Mapping[str, str],
    placement: Placement,
    progress: Progress,
) -> tuple[dict[str, Any], ReportContent]:
    """Measure every scene and write reports/; returns the figures and the first scene's report.

    Args:
        quality_limits: section generate.quality of params.yaml, for the report alone.
        durations: seconds by stage, for the report alone.
        params_hashes: by section of params.yaml, for provenance.
        placement: where decoder and codec run; scores are computed on the CPU.

    Raises:
        StageOrderError: a phase has not been trained, or not on this dataset and these weights.
        ParamsError: the data is of another codec, or a phase was trained on held-out frames.
        CorruptDataError: a checkpoint, a shard or a clip is cut or altered.
        StorageError: the disk is full or cannot be written.
    """
    names = chain_of(params.phase, train.phases)
    device = torch.device(placement.device)
    if device.index is not None:
        torch.cuda.set_device(device)  # the kernels of gsplat and Mamba-2 run on the present one
    codec = codec_of(train, dataset, placement)
    checkpoints = {name: _load(folders.models / name, name) for name in names}
    _check_they_belong_together(checkpoints, dataset, folders.models)
    phases = [TrainedPhase.of(name, checkpoint) for name, checkpoint in checkpoints.items()]
    evaluator = Evaluator(
        phases[-1],
        phases[0] if len(phases) > 1 else None,
        dataset=dataset,
        codec=codec,
        rendering=train.rendering,
        held_out_frames=train.held_out_frames,
        min_displacement_pixels=params.min_displacement_pixels,
        cache=cache,
        teacher=teacher,
        device=device,
    )
    progress.start("Evaluating", len(dataset), "scenes")
    evaluations = []
    for scene_id in dataset.scene_ids:
        clip = read_clip(folders.clips / scene_id)
        held_out = _read_held_out(folders.held_out / scene_id, evaluator.judged.phase)
        judged = evaluator.judged
        with memory_advice(
            judged.name, judged.phase, judged.decoder, device=evaluator.device, doing="evaluation"
        ):
            evaluations.append(evaluator.evaluate(clip, held_out))
        progress.advance(note=scene_id)
    progress.finish()
    results = results_as_json(
        evaluations,
        {scene.scene_id: scene.split for scene in dataset.scenes},
        _provenance(dataset, checkpoints, codec, params_hashes),
    )
    reports = {
        evaluation.scene_id: _report(
            evaluation,
            dataset,
            codec,
            checkpoints,
            train,
            folders,
            results,
            durations,
            phases[-1],
            quality_limits,
        )
        for evaluation in evaluations
    }
    _write(evaluations, reports, checkpoints, results, folders.reports)
    return results, reports[dataset.scene_ids[0]]


def _load(folder: Path, name: str) -> Checkpoint:
    if not folder.is_dir():
        raise StageOrderError(
            f"phase {name!r} has not been trained",
            where=str(folder),
            fix=f"run `lyra-data train --phase {name}` first, or `dvc repro`",
        )
    return load_checkpoint(folder)


def _read_held_out(folder: Path, phase: PhaseParams) -> list[HeldOutView]:
    """A scene's real photos at the size of the judged phase, which need not be the clip's."""
    size = (phase.height, phase.width)
    views = read_held_out(folder)
    return [view if view.frame.shape[1:] == size else _resized(view, size) for view in views]


def _resized(view: HeldOutView, size: tuple[int, int]) -> HeldOutView:
    frame = (resize_frames(view.frame[None], *size)[0] * 255.0).round().to(torch.uint8)
    return replace(view, frame=frame, camera=view.camera.resized(*size))


def _provenance(
    dataset: SceneDataset,
    checkpoints: Mapping[str, Checkpoint],
    codec: LatentCodec,
    params_hashes: Mapping[str, str],
) -> dict[str, Any]:
    """Where every figure comes from."""
    seeds, psnrs = {}, []
    for scene_id in dataset.scene_ids:
        for view in dataset.scene(scene_id):
            direction = " reversed" if view.motion_reversed else ""
            name = f"{scene_id}/{view.trajectory}{direction}"
            seeds[name] = view.provenance["distance_seed"]
            psnrs.append(codec_psnr(codec, view))
    last = list(checkpoints.values())[-1]
    trained = {
        key: value
        for name, checkpoint in checkpoints.items()
        for key, value in (
            (f"{name}_weights", checkpoint.config["weights_sha256"]),
            (f"{name}_trained_at_commit", checkpoint.config["trained_at_commit"]),
        )
    }
    return {
        "code": {"evaluated_at_commit": engine_commit(), "engine_version": engine_version()},
        "params_hashes": dict(params_hashes),
        "dataset": {
            "dataset_hash": dataset.manifest.dataset_hash,
            "codec": dataset.codec.name,
            "codec_fingerprint": dataset.codec.fingerprint,
            "codec_psnr_db": round(sum(psnrs) / len(psnrs), 2),
            "packaged_at_commit": dataset.manifest.provenance["engine_commit"],
        },
        "training": {"seed": last.config["seed"], **trained},
        "trajectory_seeds": seeds,
    }


def _check_they_belong_together(
    checkpoints: Mapping[str, Checkpoint], dataset: SceneDataset, models: Path
) -> None:
    """Every phase was trained on this dataset, and on the weights of the phase before it."""
    before: Checkpoint | None = None
    for name, checkpoint in checkpoints.items():
        config = checkpoint.config
        started_from = config["started_from_weights"]  # the first may come from elsewhere
        if before is not None or config["phase"]["start_from"] == RANDOM_WEIGHTS:
            started_from = None if before is None else before.config["weights_sha256"]
        if config["dataset_hash"] != dataset.manifest.dataset_hash:
            what = f"phase {name!r} was trained on another dataset ({config['dataset_hash'][:12]})"
        elif config["started_from_weights"] != started_from:
            what = f"phase {name!r} did not start from the weights that stand before it now"
        else:
            before = checkpoint
            continue
        raise StageOrderError(
            what, where=str(models / name), fix="run `lyra-data train` again, or `dvc repro`"
        )


def _report(
    evaluation: SceneEvaluation,
    dataset: SceneDataset,
    codec: LatentCodec,
    checkpoints: Mapping[str, Checkpoint],
    train: TrainParams,
    folders: Folders,
    results: dict[str, Any],
    durations: Mapping[str, float],
    judged: TrainedPhase,
    quality_limits: Mapping[str, float | None],
) -> ReportContent:
    scene_id = evaluation.scene_id
    return report_content(
        evaluation,
        clip=read_clip(folders.clips / scene_id),
        views=dataset.scene(scene_id),
        dropped=dataset.manifest.dropped,
        quality_limits=quality_limits,
        held_out=_read_held_out(folders.held_out / scene_id, judged.phase),
        codec=codec,
        checkpoints=checkpoints,
        rendering=train.rendering,
        results=results,
        durations=durations,
    )


def _write(
    evaluations: list[SceneEvaluation],
    reports: Mapping[str, ReportContent],
    checkpoints: dict[str, Checkpoint],
    results: dict[str, Any],
    folder: Path,
) -> None:
    """Write all results, then put them in their places: a full disk changes none of them."""
    with (
        folder_atomically(folder / "curves") as curves,
        folder_atomically(folder / "scenes") as scenes,
        write_atomically(folder / "report.html") as first_report,
        write_atomically(folder / "evaluation.json") as figures,
    ):
        write_training_curve(checkpoints, curves / "training.csv")
        write_held_out_curve(evaluations, curves / "held_out.csv")
        for evaluation in evaluations:
            target = scenes / evaluation.scene_id
            target.mkdir()
            write_ply(evaluation.gaussians, target / "gaussians.ply")
            page = render_report(reports[evaluation.scene_id])
            (target / "report.html").write_text(page, encoding="utf-8")
        first = evaluations[0].scene_id
        first_report.write_bytes((scenes / first / "report.html").read_bytes())
        figures.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        for written in (curves, scenes):
            flush_all_to_disk(written)
        for file in (first_report, figures):
            flush_to_disk(file)
