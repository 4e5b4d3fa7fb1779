"""Evaluate a whole dataset: workers judge its scenes, then the reports of all are written."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lyra_data.cache3d import Cache3DParams
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import remove_leftovers
from lyra_data.engine.executors import open_executor
from lyra_data.engine.executors.all_or_nothing import results_of_all
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.progress import Progress
from lyra_model.batches.data_checks import codec_of, in_space_of
from lyra_model.evaluation.evaluator import EvaluateParams
from lyra_model.evaluation.filter_effects import QualityFilters
from lyra_model.evaluation.judged_protocol import judged_protocol
from lyra_model.evaluation.provenance import evaluation_provenance
from lyra_model.evaluation.report.content import MethodScores
from lyra_model.evaluation.report_content import method_rows
from lyra_model.evaluation.report_files import write_reports
from lyra_model.evaluation.results import pool_scenes, results_as_json
from lyra_model.evaluation.scene_result import SceneResult
from lyra_model.evaluation.trained_phases import load_phases
from lyra_model.evaluation.worker import STAGE, EvaluationSetup, Folders, SceneTask
from lyra_model.phases.phase_params import chain_of
from lyra_model.phases.train_params import TrainParams


def evaluate_dataset(
    params: EvaluateParams,
    train: TrainParams,
    *,
    dataset: SceneDataset,
    cache: Cache3DParams,
    quality_limits: Mapping[str, float | None],
    folders: Folders,
    params_hashes: Mapping[str, str],
    crew: Crew,
    progress: Progress,
) -> tuple[dict[str, Any], tuple[MethodScores, ...]]:
    """Measure every scene and write reports/; returns the figures and the metrics over all scenes.

    Scenes that an earlier run finished, with the same data, decoders, params and code, are taken
    from the scratch store. A scene whose worker died is tried once more when all others are done.

    Args:
        quality_limits: section generate.quality of params.yaml, for the report alone.
        params_hashes: by section of params.yaml, for provenance.
        crew: how many workers, where; decoder and codec run on its device, scores are computed on
            the CPU.

    Raises:
        StageOrderError: a phase has not been trained, or not on this dataset and these weights.
        ParamsError: the data is of another codec, or a phase was trained on held-out frames.
        InputError: a scene has no depth at the judged phase's size.
        CorruptDataError: a checkpoint, a shard or a clip is cut or altered.
        ScenesFailedError: workers died over a scene twice, or a fault of the program.
        ExecutorError: the workers cannot be started.
        StorageError: the disk is full or cannot be written.
    """
    names = chain_of(params.phase, train.phases)
    in_space = in_space_of(codec_of(train, crew.placement_here()), dataset)
    checkpoints = {
        phase.name: replace(phase.checkpoint, weights={})  # workers have their own
        for phase in load_phases(names, in_space, folders.models)
    }
    setup = EvaluationSetup(params, train, dataset, cache, quality_limits, folders)
    items = _judge_scenes(setup, crew, progress)
    scenes = [SceneResult.read(item) for item in items]
    results = results_as_json(
        scenes,
        {scene.scene_id: scene.split for scene in dataset.scenes},
        evaluation_provenance(in_space, checkpoints, scenes, params_hashes),
        judged_protocol(
            params,
            train.phases[params.phase],
            scenes,
            held_out_frames=train.held_out_frames,
            dataset_hash=dataset.manifest.dataset_hash,
        ),
    )
    filters = QualityFilters(quality_limits, dataset.manifest.dropped)
    write_reports(items, scenes, results, checkpoints, filters, folders.reports)
    return results, method_rows(*pool_scenes(scenes))


def _judge_scenes(setup: EvaluationSetup, crew: Crew, progress: Progress) -> list[Path]:
    """Return the finished item of every scene, after judging those that are not finished."""
    scene_ids, folder = setup.dataset.scene_ids, setup.folders.scratch / STAGE
    tasks = itertools.starmap(SceneTask, enumerate(scene_ids))
    queue = TaskQueue(tasks, len(scene_ids), "Evaluating", "scene")
    try:
        with open_executor(setup, crew.for_tasks(len(scene_ids))) as executor:
            return [folder / key for key in results_of_all(queue, executor, progress)]
    finally:
        if folder.is_dir():  # what workers left that were stopped at their work
            remove_leftovers(folder)
