"""Evaluator: the decoder, its first phase and baselines on frames that none of them saw."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from lyra_data.cache3d import Cache3D, Cache3DParams
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.params import Params
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.teachers.base import Teacher
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_data.scene.view import View
from lyra_model.batches.loading import SceneBatch, loader_of
from lyra_model.batches.targets import Targets
from lyra_model.decoder import create_decoder
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.evaluation.baselines import (
    Prediction,
    Viewpoints,
    copy_nearest,
    flatten_views,
    nearest_frames,
    warp_nearest,
)
from lyra_model.evaluation.fit_baseline import FitBaseline
from lyra_model.evaluation.scene_evaluation import (
    COPIED,
    DECODER,
    FIRST_PHASE,
    FITTED,
    WARPED,
    ComparedMethods,
    SceneEvaluation,
)
from lyra_model.evaluation.scoring import score
from lyra_model.evaluation.trained_phases import TrainedPhase
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams


class EvaluateParams(Params):
    """Section `evaluate` of params.yaml.

    Attributes:
        phase: the phase of training that is judged.
        min_displacement_pixels: a held-out frame that moves by less than this from the nearest
            input frame (median over the scene's points) tests nothing and is not counted; a path
            that comes by the same place twice has such frames.
        split: scenes that are judged: "train", "validation", or "all" of them.
        warp_baseline: the teacher that fills the holes of the warped baseline.
        fit_baseline_steps: steps of the baseline that optimises Gaussians for each scene, and for
            each judged moment of one that moves; 0: there is no such baseline.
    """

    phase: str
    split: Literal["all", "train", "validation"]
    min_displacement_pixels: Annotated[float, Field(ge=0)]
    warp_baseline: Annotated[Params, TEACHERS.field("evaluate.warp_baseline")]
    fit_baseline_steps: Annotated[int, Field(ge=0)]


MOST_MOMENTS = 9
"""Moments of a moving scene that its page shows, evenly spaced over the frames that are read."""


def shown_moments(num_frames: int) -> tuple[int, ...]:
    """Return the frames whose moments are shown, the first and the last among them."""
    number = min(num_frames, MOST_MOMENTS)
    if number < 2:
        return (0,)
    return tuple(round(step * (num_frames - 1) / (number - 1)) for step in range(number))


class Evaluator:
    """Judges scenes one by one; holds what is the same for all of them, and nothing of any.

    Args:
        judged: the phase that is judged.
        first: the phase its training began with, or None where that is the judged one.
        device: where decoders run and their Gaussians are rendered; all else is on the CPU.
    """

    def __init__(
        self,
        judged: TrainedPhase,
        first: TrainedPhase | None,
        *,
        dataset: SceneDataset,
        codec: LatentCodec,
        rendering: RenderingParams,
        held_out_frames: int,
        min_displacement_pixels: float,
        cache: Cache3DParams,
        teacher: Teacher,
        fit_baseline_steps: int,
        device: torch.device,
    ) -> None:
        self.judged = judged
        self.device = device
        self.rendering = rendering
        self.held_out_frames = held_out_frames
        self.min_displacement_pixels = min_displacement_pixels
        self.cache, self.teacher = cache, teacher
        self.fit_baseline_steps = fit_baseline_steps
        self._trained = {DECODER: judged} | ({FIRST_PHASE: first} if first else {})
        self._loaders = {
            method: loader_of(
                trained.name,
                trained.phase,
                trained.decoder,
                dataset,
                codec,
                device=device,
                held_out_frames=held_out_frames,
            )
            for method, trained in self._trained.items()
        }
        self._decoders: dict[str, GaussianDecoder] = {}

    @torch.no_grad()
    def evaluate(
        self, clip: Clip, views: list[View], held_out: list[HeldOutView]
    ) -> SceneEvaluation:
        """Measure every method on one scene.

        Args:
            clip: the scene's source; its depth is what the real photos' depth is judged by.
            views: all views of the scene, whole.
            held_out: real photos, posed in the clip's world, of the judged phase's size.

        Raises:
            InputError: no depth is known in the scene's first frame at the judged phase's size.
        """
        if not self._decoders:
            self._decoders = {name: self._decoder(one) for name, one in self._trained.items()}
        batches = {
            method: loader.batch_of(clip.scene_id, views)
            for method, loader in self._loaders.items()
        }
        batch = batches[DECODER]
        num_read = self._loaders[DECODER].num_different_frames
        inputs = flatten_views(batch.input_targets, num_read)
        if not bool(inputs.depth_valid[0].any()):
            raise InputError(
                f"at {inputs.cameras.width}x{inputs.cameras.height} pixels no known depth is left",
                where=f"scene {clip.scene_id}",
                fix="give depth for more pixels, or judge a phase of larger pictures",
            )
        moves = self.judged.decoder.dynamic and clip.is_dynamic
        labels = self._counted_frames(batch, inputs, moves=moves)
        unseen = Targets.concatenate([batch.targets[view][[frame]] for view, frame in labels])
        real = self._real_targets(clip, held_out) if held_out else None
        real_labels = [(-1, index) for index in range(len(held_out))]
        readings = {
            method: loader.judging(batches[method], self._trained[method].phase.max_views)
            for method, loader in self._loaders.items()
        }

        fitted = FitBaseline(
            inputs, self.rendering, steps=self.fit_baseline_steps, device=self.device
        )

        def compare(labels: list[tuple[int, int]], targets: Targets) -> ComparedMethods:
            viewpoints = Viewpoints(targets.cameras, targets.times if moves else None)
            predictions = {
                method: self._predict(method, reading, targets)
                for method, reading in readings.items()
            }
            predictions[COPIED] = copy_nearest(inputs, viewpoints)
            predictions[WARPED] = warp_nearest(inputs, viewpoints, self.cache, self.teacher)
            if self.fit_baseline_steps > 0:
                predictions[FITTED] = fitted.predict(viewpoints)
            scores = {method: score(made, targets) for method, made in predictions.items()}
            return ComparedMethods(labels, targets, predictions, scores)

        moment_frames = shown_moments(num_read) if moves else (0,)
        return SceneEvaluation(
            scene_id=clip.scene_id,
            held_out=compare(labels, unseen),
            real=None if real is None else compare(real_labels, real),
            cameras=[target.cameras for target in batch.targets],
            num_input_frames=num_read,
            num_held_out=self.held_out_frames,
            moments=tuple(
                self._decode(DECODER, readings[DECODER], time=float(frame)).to("cpu")
                for frame in moment_frames
            ),
            moment_frames=moment_frames,
            moves=moves,
        )

    def _decoder(self, trained: TrainedPhase) -> GaussianDecoder:
        decoder = create_decoder(trained.decoder)
        decoder.load_state_dict(trained.checkpoint.weights, strict=True, assign=True)
        return decoder.to(self.device)

    def _decode(self, method: str, reading: SceneBatch, *, time: float) -> Gaussians:
        """Decode the scene at a moment; a still decoder gives the same at every one."""
        inputs = self._loaders[method].inputs_at(reading, time)
        prune_ratio = self._trained[method].phase.prune_ratio
        return self._decoders[method](inputs, prune_ratio=prune_ratio)[0]

    def _predict(self, method: str, reading: SceneBatch, targets: Targets) -> Prediction:
        """Render the targets' cameras; decoded once a moment, by a still decoder once in all."""
        is_dynamic = self._decoders[method].dynamic
        moments = targets.times if is_dynamic else torch.zeros_like(targets.times)
        rgb, depth = torch.empty_like(targets.rgb), torch.empty_like(targets.depth)
        for time in moments.unique().tolist():
            gaussians = self._decode(method, reading, time=time)
            frames = torch.nonzero(moments == time)[:, 0]
            rendered = render(gaussians, targets.cameras[frames].to(self.device), self.rendering)
            rgb[frames], depth[frames] = rendered.rgb.clamp(0, 1).cpu(), rendered.depth.cpu()
        return Prediction(rgb, depth)

    def _counted_frames(
        self, batch: SceneBatch, inputs: Targets, *, moves: bool
    ) -> list[tuple[int, int]]:
        """Return (view, frame) of the held-out frames that differ from what the decoder reads.

        Of a scene that moves, those of reversed views: at the end of their paths they show moments
        that the decoder has read, from where it has seen none of them. The last frames of forward
        views show moments that it knows nothing of.
        """
        judged_direction = moves and any(batch.views.motion_reversed)
        counted = []
        for position, backwards in enumerate(batch.views.motion_reversed):
            if backwards != judged_direction:
                continue
            view = batch.targets[position]
            tail = list(range(len(view) - self.held_out_frames, len(view)))
            viewpoints = Viewpoints(view[tail].cameras, view[tail].times if moves else None)
            displacement = nearest_frames(inputs, viewpoints).displacement
            for frame, pixels in zip(tail, displacement.tolist(), strict=True):
                if pixels >= self.min_displacement_pixels:
                    counted.append((position, frame))
        if not counted:
            raise ParamsError(
                f"no held-out frame moves by {self.min_displacement_pixels} pixels or more",
                where="params.yaml: evaluate.min_displacement_pixels",
                fix="lower it, or generate longer movements",
            )
        return counted

    def _real_targets(self, clip: Clip, held_out: list[HeldOutView]) -> Targets:
        """Return real photos with the depth that the source's own depth map gives them."""
        cameras = Cameras.concatenate([view.camera for view in held_out])
        depth = Cache3D.from_clip(clip, self.cache).render(cameras).merged().depth[:, 0]
        rgb = unit_from_bytes(torch.stack([view.frame for view in held_out]))
        return Targets(
            rgb=rgb,
            depth=depth,
            depth_valid=depth > 0,
            filled=torch.zeros_like(depth, dtype=torch.bool),
            cameras=cameras.relative_to(clip.cameras.camera_to_world[0]),
            times=torch.zeros(len(rgb)),
        )
