"""PhaseTrainer: one phase of training, step by step, resumable to the bit after any kill."""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.atomic import write_atomically
from lyra_data.codecs.base import LatentCodec
from lyra_data.dataset.reader import SceneDataset
from lyra_data.errors import ParamsError
from lyra_data.hashing import content_key
from lyra_data.progress import Progress
from lyra_data.provenance import code_fingerprint
from lyra_data.seeds import derive_seed
from lyra_model.batches import SceneBatch, SceneLoader, Targets
from lyra_model.checkpoints import Checkpoint
from lyra_model.data_checks import check_distances, perceptual_of
from lyra_model.decoder import create_decoder
from lyra_model.gaussians import Gaussians
from lyra_model.losses import total_loss
from lyra_model.losses.base import LossInput
from lyra_model.metrics.psnr import psnr
from lyra_model.phases import PhaseParams
from lyra_model.processes import accelerator, mean_over_processes
from lyra_model.rendering.base import Render
from lyra_model.rendering.deferred import loss_over_views
from lyra_model.train_params import TrainParams
from lyra_model.training_log import TrainingLog
from lyra_model.training_record import record_of
from lyra_model.training_states import StateFolder, TrainingState, Upkeep
from lyra_model.validation import Validator
from lyra_model.view_sampling import StepTargets, sample_step

log = logging.getLogger(__name__)

ROWS_BEFORE_A_STOP = 20
"""Lines of the log that are saved with what stopped training."""


class PhaseTrainer:
    """One phase: builds everything from params and the seed, then steps.

    Args:
        start: checkpoint of the phase it starts from; None: weights drawn from the seed.
        scratch: where states, the log and sample pictures lie, in `train/<key>`.
        validation: its scenes are looked at and never trained on; may be empty.
        root: the folder that relative paths of weights start from.
    """

    def __init__(
        self,
        params: TrainParams,
        name: str,
        *,
        seed: int,
        dataset: SceneDataset,
        codec: LatentCodec,
        start: Checkpoint | None,
        scratch: Path,
        upkeep: Upkeep,
        validation: SceneDataset,
        root: Path,
    ) -> None:
        self.params, self.name, self.seed = params, name, seed
        self.phase: PhaseParams = params.phases[name]
        self.scene_ids = dataset.scene_ids
        self.perceptual, record = None, None
        if self.phase.losses.lpips > 0:
            self.perceptual, record = perceptual_of(params, self.phase, root)
        self.config = record_of(params, name, seed, dataset, start, record)
        self.loader = _loader(params, self.phase, dataset, codec)
        self.decoder = create_decoder(
            params.decoder, seed=derive_seed(seed, "decoder", "initial weights")
        )
        self.decoder.gradient_checkpointing = self.phase.gradient_checkpointing
        if start is not None:
            self.decoder.load_state_dict(start.weights, strict=True)
        self.optimiser = torch.optim.AdamW(
            self.decoder.parameters(),
            lr=self.phase.learning_rate,
            betas=params.optimiser.betas,
            weight_decay=params.optimiser.weight_decay,
        )
        # The same decoder and optimiser, or DDP's wrapping of them.
        self.network, self.optimiser = accelerator().prepare(self.decoder, self.optimiser)
        self.is_main = accelerator().is_main_process
        self.history: list[dict[str, float]] = []
        self.folder = scratch / "train" / self._key()
        self.upkeep = upkeep
        self.states = StateFolder(self.folder, upkeep)
        self.log = TrainingLog(self.folder / "log.jsonl")
        self.validator = None
        if upkeep.validation_steps and len(validation):
            loader = _loader(params, self.phase, validation, codec)
            samples = self.folder / "samples"
            self.validator = Validator(
                loader, self.phase, params.rendering, self.perceptual, samples
            )
        self._in_range: set[str] = set()

    def run(self, progress: Progress) -> Checkpoint:
        """Train to the last step, from the newest state in scratch if there is one."""
        first = self._resume()
        accelerator().wait_for_everyone()  # all have read the state before the first is written
        if self.is_main:
            self.log.go_on_after(first)
        log.info("phase %s is logged in %s", self.name, self.log.path)
        progress.start(f"Training {self.name}", self.phase.steps, "steps")
        progress.advance(first)
        for step in range(first, self.phase.steps):
            started = time.monotonic()
            row = self.step(step)
            seconds = time.monotonic() - started
            row["seconds"] = seconds
            row["frames_per_second"] = row["num_target_frames"] / seconds
            if self.is_main:
                self.log.append({"event": "step", **row})
            progress.advance(note=f"loss {row['loss']:.4f}, {row['psnr']:.1f} dB")
            self._validate(step + 1)
            if self.is_main and (step + 1) % self.upkeep.checkpoint_steps == 0:
                self._keep_state(step + 1)
        progress.finish()
        return Checkpoint(self.decoder.state_dict(), self.config, self.history)

    def step(self, step: int) -> dict[str, Any]:
        """Draw a scene and target frames, decode, compare, and take one optimiser step.

        Returns the step's line of the log, without times.

        Raises:
            ParamsError: a loss, a gradient or a Gaussian is no finite number. The weights stay as
                they were before the step.
        """
        draw = sample_step(
            seed=self.seed,
            phase=self.name,
            step=step,
            scene_ids=self.scene_ids,
            views_of=lambda scene_id: self.loader.load(scene_id).views,
            num_frames=self.phase.num_frames,
            held_out_frames=self.params.held_out_frames,
            num_targets=self.phase.num_target_frames,
            bias=self.params.target_bias,
            dynamic=self.params.decoder.dynamic,
            num_views=self.phase.num_views,
            supervision=self.phase.supervision,
            rank=accelerator().process_index,
        )
        rate = learning_rate(self.phase, step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        batch = self.loader.load(draw.scene_id)
        if draw.scene_id not in self._in_range:
            check_distances(batch, self.params.decoder)
            self._in_range.add(draw.scene_id)
        terms = mean_over_processes(
            self._backpropagate(self.loader.reading(batch, draw.read), draw, step)
        )
        norm = torch.nn.utils.clip_grad_norm_(
            self.decoder.parameters(), self.params.optimiser.max_gradient_norm
        )
        if not math.isfinite(norm):
            raise self._diverged("the gradient", step, draw)
        self.optimiser.step()
        self.history.append({"step": step + 1.0, **terms, "learning_rate": rate})
        return {
            "step": step + 1,
            **terms,
            "gradient_norm": float(norm),
            "learning_rate": rate,
            "scene_id": draw.scene_id,
            "num_views": len(draw.read),
            "num_target_frames": len(draw.frames),
        }

    def _backpropagate(self, batch: SceneBatch, draw: StepTargets, step: int) -> dict[str, float]:
        """Gradients of the mean loss over the drawn frames, one render in memory at a time."""
        targets = Targets.concatenate([batch.targets[view][[frame]] for view, frame in draw.frames])
        time = None if draw.time is None else float(draw.time)
        inputs = self.loader.inputs_at(batch, time)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.phase.precision == "bfloat16"):
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

    def _validate(self, step: int) -> None:
        """At intervals and at the end, where there are scenes for it."""
        is_due = step % max(self.upkeep.validation_steps, 1) == 0 or step == self.phase.steps
        if self.is_main and self.validator is not None and is_due:
            scores = self.validator.validate(self.decoder, step)
            self.log.append({"event": "validation", "step": step, **scores})

    def _key(self) -> str:
        """Names the state that belongs to exactly this phase, data, start and code."""
        return content_key(
            {"config": self.config, "code": code_fingerprint("lyra_data", "lyra_model")}
        )

    def _resume(self) -> int:
        state = self.states.newest()
        if state is None:
            return 0
        self.decoder.load_state_dict(state.decoder)
        self.optimiser.load_state_dict(state.optimiser)
        self.history = state.history
        log.info("phase %s goes on after step %d", self.name, state.step)
        return state.step

    def _keep_state(self, step: int) -> None:
        decoder, optimiser = self.decoder.state_dict(), self.optimiser.state_dict()
        self.states.keep(TrainingState(step, decoder, optimiser, self.history))

    def _diverged(self, what: str, step: int, draw: StepTargets) -> ParamsError:
        """The error; what was looked at when it came is saved for whoever has to find the cause."""
        found = self.folder / f"stopped_at_step_{step + 1:08d}.json"
        content = {
            "what": f"{what} is no finite number",
            "phase": self.name,
            "step": step + 1,
            "scene_id": draw.scene_id,
            "target_frames": [{"view": view, "frame": frame} for view, frame in draw.frames],
            "time": draw.time,
            "last_log_rows": self.log.rows()[-ROWS_BEFORE_A_STOP:],
        }
        with write_atomically(found) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")
        return ParamsError(
            f"training diverged: {what} is no finite number in step {step + 1}, scene "
            f"{draw.scene_id!r}; its frames and the steps before are in {found}",
            where=f"params.yaml: train.phases.{self.name}",
            fix="lower the phase's learning_rate, or raise its warmup_steps; look at the scene if "
            "it is always the same one",
        )


def _loader(
    params: TrainParams, phase: PhaseParams, dataset: SceneDataset, codec: LatentCodec
) -> SceneLoader:
    return SceneLoader(
        dataset,
        codec,
        height=phase.height,
        width=phase.width,
        num_frames=phase.num_frames,
        scene_scale=params.decoder.scene_scale,
        dynamic=params.decoder.dynamic,
    )


def learning_rate(phase: PhaseParams, step: int) -> float:
    """Linear rise over `warmup_steps`, then half a cosine to `final_learning_rate`."""
    rise = min(1.0, (step + 1) / max(phase.warmup_steps, 1))
    done = step / max(phase.steps - 1, 1)
    low, high = phase.final_learning_rate, phase.learning_rate
    return rise * (low + (high - low) * 0.5 * (1.0 + math.cos(math.pi * done)))
