"""PhaseTrainer: one phase of training, step by step, resumable to the bit after any kill."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.seeds import derive_seed
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_model.batches.data_checks import check_distances, perceptual_of
from lyra_model.batches.loading import SceneBatch, SceneLoader, Targets
from lyra_model.batches.step_draws import StepDraws, loader_of, room_for_scenes
from lyra_model.decoder import create_decoder
from lyra_model.gaussians import Gaussians
from lyra_model.losses import total_loss
from lyra_model.losses.base import LossInput
from lyra_model.metrics.psnr import psnr
from lyra_model.phases.checkpoints import Checkpoint
from lyra_model.phases.memory_advice import memory_advice
from lyra_model.phases.phase_params import PhaseParams, learning_rate
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.view_sampling import StepTargets
from lyra_model.rendering.base import Render
from lyra_model.rendering.deferred import loss_over_views
from lyra_model.training.divergence import diverged
from lyra_model.training.log import TrainingLog, in_words
from lyra_model.training.processes import Processes, clip_gradients
from lyra_model.training.record import record_of
from lyra_model.training.sharding import (
    load_optimiser,
    load_weights,
    whole_optimiser,
    whole_weights,
)
from lyra_model.training.starts import Start
from lyra_model.training.states import StateFolder, TrainingState, Upkeep
from lyra_model.training.trackers import TrackerName, Trackers
from lyra_model.training.validation import Validator

log = logging.getLogger(__name__)


class PhaseTrainer:
    """One phase: builds everything from params and the seed, then steps.

    Args:
        start: the weights of the phase it starts from; None: weights drawn from the seed.
        scratch: where states, the log and sample pictures lie, in `train/<key>`.
        validation: its scenes are looked at and never trained on; may be empty.
        root: the folder that relative paths of weights start from.
        processes: those that train together, and the device of this one.
        trackers: what shows the log's figures besides.
    """

    def __init__(
        self,
        params: TrainParams,
        name: str,
        *,
        seed: int,
        dataset: SceneDataset,
        codec: LatentCodec,
        start: Start | None,
        scratch: Path,
        upkeep: Upkeep,
        validation: SceneDataset,
        root: Path,
        processes: Processes,
        trackers: Sequence[TrackerName] = (),
    ) -> None:
        self.params, self.name, self.seed = params, name, seed
        self.processes, self.device = processes, processes.device
        self.phase: PhaseParams = params.phases[name]
        self.root, self.tracker_names = root, trackers
        self.perceptual, record = None, None
        if self.phase.losses.lpips > 0:
            self.perceptual, record = perceptual_of(params, self.phase, root)
            self.perceptual.to(self.device)
        self.config = record_of(
            params, name, seed, dataset, start, record, num_processes=processes.num_processes
        )
        self.loader = self._loader(dataset, codec)
        self.draws = StepDraws(
            params,
            name,
            seed,
            self.loader,
            rank=processes.rank,
            num_processes=processes.num_processes,
        )
        self.decoder = create_decoder(
            params.decoder, seed=derive_seed(seed, "decoder", "initial weights")
        )
        self.decoder.gradient_checkpointing = self.phase.gradient_checkpointing
        if start is not None:
            self.decoder.load_state_dict(start.weights, strict=True)
        self.network = processes.spread(self.decoder)
        self.optimiser = torch.optim.AdamW(
            self.decoder.parameters(),
            lr=self.phase.learning_rate,
            betas=params.optimiser.betas,
            weight_decay=params.optimiser.weight_decay,
        )
        self.is_main = processes.is_main
        self.history: list[dict[str, float]] = []
        self.folder = scratch / "train" / self._key()
        self.upkeep = upkeep
        self.states = StateFolder(self.folder, upkeep)
        self.log = TrainingLog(self.folder / "log.jsonl")
        self.validator = None
        if upkeep.validation_steps and len(validation):
            loader = self._loader(validation, codec)
            samples = self.folder / "samples"
            self.validator = Validator(
                loader, self.phase, params.rendering, self.perceptual, samples
            )
        self._in_range: set[str] = set()

    def run(self, progress: Progress) -> Checkpoint:
        """Train to the last step, from the newest state in scratch if there is one."""
        first = self._resume()
        self.processes.wait()  # all have read the state before the first is written
        trackers = None
        if self.is_main:
            self.log.go_on_after(first)
            trackers = Trackers(
                self.tracker_names,
                folder=self.folder,
                project=self.root.name,
                phase=self.name,
                first=first,
            )
        log.info("phase %s is logged in %s", self.name, self.log.path)
        progress.start(f"Training {self.name}", self.phase.steps, "steps")
        progress.advance(first)
        try:
            for step in range(first, self.phase.steps):
                with self._memory_advice(f"step {step + 1}"):
                    rows = self._step_and_look(step)
                if trackers is not None:
                    for row in rows:
                        self.log.append(row)
                        trackers.append(row)
                progress.advance(note=in_words(rows[0]))
                if (step + 1) % self.upkeep.checkpoint_steps == 0:
                    self._keep_state(step + 1)
        finally:
            if trackers is not None:
                trackers.finish()
        progress.finish()
        return Checkpoint(whole_weights(self.decoder), self.config, self.history)

    def _loader(self, dataset: SceneDataset, codec: LatentCodec) -> SceneLoader:
        return loader_of(
            self.name,
            self.phase,
            self.params.decoder,
            dataset,
            codec,
            device=self.device,
            held_out_frames=self.params.held_out_frames,
            keep_bytes=room_for_scenes(),
        )

    def _step_and_look(self, step: int) -> list[dict[str, Any]]:
        """One step and, if it is due, a validation: their lines of the log."""
        started = time.monotonic()
        row = self.step(step)
        seconds = time.monotonic() - started
        row |= {"seconds": seconds, "frames_per_second": row["num_target_frames"] / seconds}
        scores = self._validate(step + 1)
        rows = [{"event": "step", **row}]
        if scores is not None:
            rows.append({"event": "validation", "step": step + 1, **scores})
        return rows

    def _memory_advice(self, doing: str) -> AbstractContextManager[None]:
        return memory_advice(
            self.name, self.phase, self.params.decoder, device=self.device, doing=doing
        )

    def step(self, step: int) -> dict[str, Any]:
        """Draw a scene and target frames, decode, compare, and take one optimiser step.

        Returns the step's line of the log, without times.

        Raises:
            ParamsError: a loss, a gradient or a Gaussian is no finite number. The weights stay as
                they were before the step.
        """
        draw = self.draws.draw(step)
        rate = learning_rate(self.phase, step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        batch = self.loader.load(draw.scene_id)
        if draw.scene_id not in self._in_range:
            check_distances(batch, self.params.decoder)
            self._in_range.add(draw.scene_id)
        terms = self.processes.mean(
            self._backpropagate(self.loader.reading(batch, draw.read), draw, step)
        )
        norm = clip_gradients(self.decoder, self.params.optimiser.max_gradient_norm)
        if not math.isfinite(norm):
            raise self._diverged("the gradient", step, draw)
        self.optimiser.step()
        self.history.append({"step": step + 1.0, **terms, "learning_rate": rate})
        return {
            "step": step + 1,
            **terms,
            "gradient_norm": norm,
            "learning_rate": rate,
            "scene_id": draw.scene_id,
            "num_views": len(draw.read),
            "num_target_frames": len(draw.frames),
        }

    def _backpropagate(self, batch: SceneBatch, draw: StepTargets, step: int) -> dict[str, float]:
        """Gradients of the mean loss over the drawn frames, one render in memory at a time."""
        shown = [batch.targets[view][[frame]] for view, frame in draw.frames]
        targets = Targets.concatenate(shown).to(self.device)
        time = None if draw.time is None else float(draw.time)
        inputs = self.loader.inputs_at(batch, time)
        half = self.phase.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            (gaussians,) = self.network(inputs, prune_ratio=self.phase.prune_ratio)
        if not all(bool(values.isfinite().all()) for values in vars(gaussians).values()):
            raise self._diverged("a Gaussian", step, draw)
        sums: dict[str, float] = {}

        def loss_of_view(render: Render, shown: Gaussians, index: int) -> Tensor:
            target = targets[[index]]
            value = total_loss(
                self.phase.losses,
                LossInput(
                    render=render,
                    rgb=target.rgb,
                    depth=target.depth,
                    depth_valid=target.depth_valid,
                    gaussians=shown,
                    perceptual=self.perceptual,
                ),
            )
            quality = psnr(render.rgb.detach(), target.rgb).mean
            log_row = {"loss": float(value.total.detach()), "psnr": quality, **value.terms}
            if not math.isfinite(log_row["loss"]):
                raise self._diverged("the loss", step, draw)
            for name, term in log_row.items():
                sums[name] = sums.get(name, 0.0) + term / len(targets)
            return value.total / len(targets)

        loss_over_views(gaussians, targets.cameras, self.params.rendering, loss_of_view).backward()
        return sums

    def _validate(self, step: int) -> dict[str, float] | None:
        """At intervals and at the end, where there are scenes for it."""
        is_due = step % max(self.upkeep.validation_steps, 1) == 0 or step == self.phase.steps
        # Split weights are put together by all processes at once.
        if self.validator is None or not is_due or not (self.is_main or self.processes.shards):
            return None
        return self.validator.validate(self.decoder, step, writes=self.is_main)

    def _key(self) -> str:
        """Names the state that belongs to exactly this phase, data, start and code."""
        code = code_fingerprint(__name__, CODECS.module(self.params.codec.name))
        return content_key({"config": self.config, "code": code})

    def _resume(self) -> int:
        state = self.states.newest()
        if state is None:
            return 0
        load_weights(self.decoder, state.decoder)
        load_optimiser(self.optimiser, state.optimiser)
        self.history = state.history
        log.info("phase %s goes on after step %d", self.name, state.step)
        return state.step

    def _keep_state(self, step: int) -> None:
        if not (self.is_main or self.processes.shards):
            return
        decoder, optimiser = whole_weights(self.decoder), whole_optimiser(self.optimiser)
        if self.is_main:
            self.states.keep(TrainingState(step, decoder, optimiser, self.history))

    def _diverged(self, what: str, step: int, draw: StepTargets) -> ParamsError:
        return diverged(
            what, phase=self.name, step=step, draw=draw, folder=self.folder, log=self.log
        )
