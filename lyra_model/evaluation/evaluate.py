"""Evaluate a whole dataset, scene by scene, and write the reports once all scenes are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange

from lyra_data.cache3d import Cache3DParams
from lyra_data.clips.store import read_clip, read_held_out
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.teachers.base import Teacher
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec, reconstruction_psnr
from lyra_data.scene.material import HeldOutView
from lyra_data.scene.pixel_values import bytes_from_unit, signed_from_bytes
from lyra_data.scene.view import View
from lyra_model.batches.data_checks import codec_of, in_space_of
from lyra_model.batches.resizing import resize_frames
from lyra_model.evaluation.evaluator import EvaluateParams, Evaluator
from lyra_model.evaluation.filter_effects import QualityFilters
from lyra_model.evaluation.finished_scenes import JudgedScene, SceneKeys, dropped_of
from lyra_model.evaluation.judged_protocol import judged_protocol
from lyra_model.evaluation.moving_page import moving_page
from lyra_model.evaluation.previews import ScenePreview
from lyra_model.evaluation.provenance import evaluation_provenance
from lyra_model.evaluation.report.content import MethodScores
from lyra_model.evaluation.report.page import render_scene
from lyra_model.evaluation.report_content import method_rows, scene_content
from lyra_model.evaluation.report_files import write_reports
from lyra_model.evaluation.results import pool_scenes, results_as_json
from lyra_model.evaluation.scene_result import SceneResult
from lyra_model.evaluation.trained_phases import TrainedPhase, load_phases
from lyra_model.phases.memory_advice import memory_advice
from lyra_model.phases.phase_params import PhaseParams, chain_of
from lyra_model.phases.train_params import TrainParams

STAGE = "evaluate"


@dataclass(frozen=True)
class Folders:
    """The folders that evaluation reads and writes; `scratch` is that of the whole pipeline."""

    clips: Path
    held_out: Path
    models: Path
    reports: Path
    scratch: Path


def evaluate_dataset(
    params: EvaluateParams,
    train: TrainParams,
    *,
    dataset: SceneDataset,
    cache: Cache3DParams,
    quality_limits: Mapping[str, float | None],
    teacher: Teacher,
    folders: Folders,
    params_hashes: Mapping[str, str],
    placement: Placement,
    progress: Progress,
) -> tuple[dict[str, Any], tuple[MethodScores, ...]]:
    """Measure every scene and write reports/; returns the figures and the metrics over all scenes.

    Scenes that an earlier run finished, with the same data, decoders, params and code, are taken
    from the scratch store.

    Args:
        quality_limits: section generate.quality of params.yaml, for the report alone.
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
    codec = codec_of(train, placement)
    dataset = in_space_of(codec, dataset)
    phases = load_phases(names, dataset, folders.models)
    judge = SceneJudge(
        Evaluator(
            phases[-1],
            phases[0] if len(phases) > 1 else None,
            dataset=dataset,
            codec=codec,
            rendering=train.rendering,
            held_out_frames=train.held_out_frames,
            min_displacement_pixels=params.min_displacement_pixels,
            cache=cache,
            teacher=teacher,
            fit_baseline_steps=params.fit_baseline_steps,
            device=device,
        ),
        phases,
        dataset,
        codec,
        quality_limits,
        folders,
    )
    settings = {
        "evaluate": params.model_dump(mode="json", exclude={"split"}),
        "held_out_frames": train.held_out_frames,
        "rendering": train.rendering.model_dump(mode="json"),
        "cache": cache.model_dump(mode="json"),
        "quality_limits": dict(quality_limits),
        "phases": {phase.name: phase.checkpoint.config["config_sha256"] for phase in phases},
        "device": device.type,  # figures of a GPU and of a CPU are not quite the same
    }
    kinds = [
        CODECS.module_chosen_by(train.codec),
        TEACHERS.module_chosen_by(params.warp_baseline),
    ]
    keys = SceneKeys(dataset.manifest, settings, [__name__, *kinds])
    items = _judge_scenes(judge, keys, progress)
    scenes = [SceneResult.read(item) for item in items]
    checkpoints = {phase.name: phase.checkpoint for phase in phases}
    results = results_as_json(
        scenes,
        {scene.scene_id: scene.split for scene in dataset.scenes},
        evaluation_provenance(dataset, checkpoints, scenes, params_hashes),
        judged_protocol(
            params,
            phases[-1].phase,
            scenes,
            held_out_frames=train.held_out_frames,
            dataset_hash=dataset.manifest.dataset_hash,
        ),
    )
    filters = QualityFilters(quality_limits, dataset.manifest.dropped)
    write_reports(items, scenes, results, checkpoints, filters, folders.reports)
    return results, method_rows(*pool_scenes(scenes))


def _judge_scenes(judge: SceneJudge, keys: SceneKeys, progress: Progress) -> list[Path]:
    """Return the finished item of every scene, after judging those that are not finished."""
    folders, store = judge.folders, ScratchStore(judge.folders.scratch, STAGE)
    items = []
    progress.start("Evaluating", len(judge.dataset), "scenes")
    for scene_id in judge.dataset.scene_ids:
        key = keys.key(scene_id, folders.clips / scene_id, folders.held_out / scene_id)
        if store.get(key) is None:
            judged = judge.judge(scene_id)
            with store.put(key) as item:
                judged.write(item)
            del judged  # its pictures go before the next scene is read
        items.append(store.folder / key)
        progress.advance(note=scene_id)
    progress.finish()
    return items


@dataclass(frozen=True)
class SceneJudge:
    """Judges one scene after another: reads it once, measures it, makes its page."""

    evaluator: Evaluator
    phases: list[TrainedPhase]
    dataset: SceneDataset
    codec: LatentCodec
    quality_limits: Mapping[str, float | None]
    folders: Folders

    def judge(self, scene_id: str) -> JudgedScene:
        """Return a scene's figures, page and Gaussians.

        Raises:
            CorruptDataError: a shard, the clip or a real photo is cut or altered.
            InputError: as `Evaluator.evaluate`.
            MemoryShortageError: it does not fit in the memory.
        """
        phase = self.evaluator.judged
        clip = read_clip(self.folders.clips / scene_id)
        held_out = _read_held_out(self.folders.held_out / scene_id, phase.phase)
        views = self.dataset[scene_id].read_views()
        with memory_advice(
            phase.name, phase.phase, phase.decoder, device=self.evaluator.device, doing="evaluation"
        ):
            evaluation = self.evaluator.evaluate(clip, views, held_out)
        codec_psnrs_db = [_codec_psnr_db(self.codec, view) for view in views]
        content = scene_content(
            evaluation,
            clip=clip,
            views=views,
            codec_psnrs_db=codec_psnrs_db,
            dropped=dropped_of(self.dataset.manifest, scene_id),
            quality_limits=self.quality_limits,
            held_out=held_out,
            checkpoints={phase.name: phase.checkpoint for phase in self.phases},
            rendering=self.evaluator.rendering,
        )
        result = SceneResult.of(evaluation, views, codec_psnrs_db)
        preview = ScenePreview.of(evaluation, clip, views)
        through_time = moving_page(evaluation, clip, views, self.evaluator.rendering)
        page = render_scene(content)
        return JudgedScene(result, page, evaluation.gaussians, preview, through_time)


def _codec_psnr_db(codec: LatentCodec, view: View) -> float:
    """Return how well the codec reproduces a view's frames, over the whole video."""
    video = rearrange(view.frames, "frame channel height width -> channel frame height width")
    return reconstruction_psnr(codec, signed_from_bytes(video), view.latents)


def _read_held_out(folder: Path, phase: PhaseParams) -> list[HeldOutView]:
    """Read a scene's real photos at the size of the judged phase, which need not be the clip's."""
    size = (phase.height, phase.width)
    views = read_held_out(folder)
    return [view if view.frame.shape[1:] == size else _resize(view, size) for view in views]


def _resize(view: HeldOutView, size: tuple[int, int]) -> HeldOutView:
    frame = bytes_from_unit(resize_frames(view.frame[None], *size)[0])
    return replace(view, frame=frame, camera=view.camera.resized(*size))
