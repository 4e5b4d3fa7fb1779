"""The work of evaluation: judging scenes, one after another.

What is judged waits in the scratch store under a key of all that shapes it, so that the number of
workers changes nothing and a kill loses only the scenes that were being judged. Checkpoints are
read at a worker's first scene, decoders made at the first one that is not found finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from einops import rearrange

from lyra_data.cache3d import Cache3DParams
from lyra_data.clips.store import read_clip, read_held_out
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.executors.all_or_nothing import AllOrNothing
from lyra_data.engine.placement import Placement
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation.teachers import TEACHERS
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec, reconstruction_psnr
from lyra_data.scene.material import HeldOutView
from lyra_data.scene.pixel_values import bytes_from_unit, signed_from_bytes
from lyra_data.scene.view import View
from lyra_model.batches.data_checks import codec_of, in_space_of
from lyra_model.batches.resizing import resize_frames
from lyra_model.evaluation.evaluator import EvaluateParams, Evaluator
from lyra_model.evaluation.finished_scenes import JudgedScene, SceneKeys, dropped_of
from lyra_model.evaluation.moving_page import moving_page
from lyra_model.evaluation.previews import ScenePreview
from lyra_model.evaluation.report.page import render_scene
from lyra_model.evaluation.report_content import scene_content
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


@dataclass(frozen=True)
class SceneTask:
    """Judge one scene, unless it is found judged.

    Attributes:
        number: place among the scenes of the run.
        name: its scene_id.
    """

    number: int
    name: str


@dataclass(frozen=True)
class EvaluationSetup:
    """Holds everything that a worker needs to judge any scene of a run.

    Attributes:
        dataset: as it is stored, whatever space its latents are of.
        quality_limits: section generate.quality of params.yaml, for the report alone.
    """

    params: EvaluateParams
    train: TrainParams
    dataset: SceneDataset
    cache: Cache3DParams
    quality_limits: Mapping[str, float | None]
    folders: Folders

    def build(self, placement: Placement) -> AllOrNothing:
        return AllOrNothing(EvaluationWork(self, placement).finish)


class EvaluationWork:
    """Holds what is loaded once: checkpoints and what judges scenes by them."""

    def __init__(self, setup: EvaluationSetup, placement: Placement) -> None:
        self._setup = setup
        self._placement = placement
        self._store = ScratchStore(setup.folders.scratch, STAGE)
        self._opened: tuple[SceneJudge, SceneKeys] | None = None

    def finish(self, task: SceneTask) -> str:
        """Judge a scene, unless that was done; return its key in the scratch store.

        Raises:
            InputError, CorruptDataError, MemoryShortageError: as `SceneJudge.judge`.
            ParamsError, StageOrderError: as `codec_of`, `in_space_of` and `load_phases`.
        """
        if self._opened is None:  # not before: what it refuses is told as a task's error
            self._opened = self._open()
        judge, keys = self._opened
        folders, scene_id = self._setup.folders, task.name
        key = keys.key(scene_id, folders.clips / scene_id, folders.held_out / scene_id)
        if self._store.get(key) is None:
            judged = judge.judge(scene_id)
            with self._store.put(key) as item:
                judged.write(item)
        return key

    def _open(self) -> tuple[SceneJudge, SceneKeys]:
        setup, device = self._setup, torch.device(self._placement.device)
        params, train = setup.params, setup.train
        if device.index is not None:
            torch.cuda.set_device(device)  # gsplat's and Mamba-2's kernels run on the present one
        codec = codec_of(train, self._placement)
        dataset = in_space_of(codec, setup.dataset)
        names = chain_of(params.phase, train.phases)
        phases = load_phases(names, dataset, setup.folders.models)
        evaluator = Evaluator(
            phases[-1],
            phases[0] if len(phases) > 1 else None,
            dataset=dataset,
            codec=codec,
            rendering=train.rendering,
            held_out_frames=train.held_out_frames,
            min_displacement_pixels=params.min_displacement_pixels,
            cache=setup.cache,
            teacher=TEACHERS.create(params.warp_baseline, where="evaluate.warp_baseline"),
            fit_baseline_steps=params.fit_baseline_steps,
            device=device,
        )
        judge = SceneJudge(evaluator, phases, dataset, codec, setup.quality_limits, setup.folders)
        settings = {
            "evaluate": params.model_dump(mode="json", exclude={"split"}),
            "held_out_frames": train.held_out_frames,
            "rendering": train.rendering.model_dump(mode="json"),
            "cache": setup.cache.model_dump(mode="json"),
            "quality_limits": dict(setup.quality_limits),
            "phases": {phase.name: phase.checkpoint.config["config_sha256"] for phase in phases},
            "device": device.type,  # figures of a GPU and of a CPU are not quite the same
        }
        kinds = [
            CODECS.module_chosen_by(train.codec),
            TEACHERS.module_chosen_by(params.warp_baseline),
        ]
        return judge, SceneKeys(dataset.manifest, settings, [__name__, *kinds])


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
