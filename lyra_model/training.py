"""Training: the decoder, phase by phase, resumable to the bit after any kill."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.codecs.base import LatentCodec
from lyra_data.dataset.reader import SceneDataset
from lyra_data.errors import ParamsError, StageOrderError
from lyra_data.hashing import content_key
from lyra_data.params import Params
from lyra_data.progress import Progress
from lyra_data.provenance import code_fingerprint, engine_commit, engine_version, params_hash
from lyra_data.seeds import derive_seed
from lyra_model.batches import SceneBatch, SceneLoader, Targets
from lyra_model.checkpoints import (
    Checkpoint,
    TrainingState,
    load_checkpoint,
    load_state,
    save_checkpoint,
    save_state,
)
from lyra_model.data_checks import check_distances, check_frames, codec_of
from lyra_model.decoder import create_decoder
from lyra_model.gaussians import Gaussians
from lyra_model.losses import total_loss
from lyra_model.losses.base import LossInput
from lyra_model.metrics.psnr import psnr
from lyra_model.phases import RANDOM_WEIGHTS, PhaseParams
from lyra_model.rendering.base import Render
from lyra_model.rendering.deferred import loss_over_views
from lyra_model.train_params import TrainParams
from lyra_model.view_sampling import StepTargets, sample_step

log = logging.getLogger(__name__)


def train_phases(
    params: TrainParams,
    names: list[str],
    *,
    seed: int,
    dataset: SceneDataset,
    models: Path,
    scratch: Path,
    checkpoint_steps: int,
    progress: Progress,
) -> dict[str, Checkpoint]:
    """Train phases in order and write each as `<models>/<name>`.

    Raises:
        StageOrderError: the phase that one of them starts from has not been trained, or with
            another decoder or codec.
        ParamsError: the data is of another codec, has fewer frames than a phase asks for, or
            training diverged.
        CorruptDataError: a shard or a checkpoint is cut or altered.
        StorageError: the disk is full or cannot be written; the last state stays in scratch.
    """
    codec = codec_of(params, dataset)
    trained = {}
    for name in names:
        check_frames(dataset, name, params.phases[name], params.held_out_frames)
    for name in names:
        is_fresh = params.phases[name].start_from == RANDOM_WEIGHTS
        start = None if is_fresh else _load_start(name, params, dataset, models)
        trainer = PhaseTrainer(params, name, seed=seed, dataset=dataset, codec=codec, start=start)
        trained[name] = trainer.run(scratch, checkpoint_steps, progress)
        config = {**trained[name].config, "trained_at_commit": engine_commit()}
        save_checkpoint(replace(trained[name], config=config), models / name)
    return trained


class PhaseTrainer:
    """One phase: builds everything from params and the seed, then steps.

    Args:
        start: checkpoint of the phase it starts from; None: weights drawn from the seed.
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
    ) -> None:
        self.params, self.name, self.seed = params, name, seed
        self.phase: PhaseParams = params.phases[name]
        self.scene_ids = dataset.scene_ids
        self.config = _config(params, name, seed, dataset, start)
        self.loader = SceneLoader(
            dataset,
            codec,
            height=self.phase.height,
            width=self.phase.width,
            num_frames=self.phase.num_frames,
            scene_scale=params.decoder.scene_scale,
            dynamic=params.decoder.dynamic,
        )
        self.decoder = create_decoder(
            params.decoder, seed=derive_seed(seed, "decoder", "initial weights")
        )
        if start is not None:
            self.decoder.load_state_dict(start.weights, strict=True)
        self.optimiser = torch.optim.AdamW(
            self.decoder.parameters(),
            lr=self.phase.learning_rate,
            betas=params.optimiser.betas,
            weight_decay=params.optimiser.weight_decay,
        )
        self.history: list[dict[str, float]] = []
        self._in_range: set[str] = set()

    def run(self, scratch: Path, checkpoint_steps: int, progress: Progress) -> Checkpoint:
        """Train to the last step, from the newest state in scratch if there is one."""
        state_file = scratch / "train" / self._key() / "state.pt"
        first = self._resume(state_file)
        progress.start(f"Training {self.name}", self.phase.steps, "steps")
        progress.advance(first)
        for step in range(first, self.phase.steps):
            terms = self.step(step)
            progress.advance(note=f"loss {terms['loss']:.4f}, {terms['psnr']:.1f} dB")
            if (step + 1) % checkpoint_steps == 0:
                self._keep_state(step + 1, state_file)
        progress.finish()
        return Checkpoint(self.decoder.state_dict(), self.config, self.history)

    def step(self, step: int) -> dict[str, float]:
        """Draw a scene and target frames, decode, compare, and take one optimiser step."""
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
        )
        rate = learning_rate(self.phase, step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        batch = self.loader.load(draw.scene_id)
        if draw.scene_id not in self._in_range:
            check_distances(batch, self.params.decoder)
            self._in_range.add(draw.scene_id)
        terms = self._backpropagate(batch, draw)
        norm = torch.nn.utils.clip_grad_norm_(
            self.decoder.parameters(), self.params.optimiser.max_gradient_norm
        )
        if not math.isfinite(norm):
            raise self._diverged("the gradient", step)
        self.optimiser.step()
        self.history.append({"step": step + 1.0, **terms, "learning_rate": rate})
        return terms

    def _backpropagate(self, batch: SceneBatch, draw: StepTargets) -> dict[str, float]:
        """Gradients of the mean loss over the drawn frames, one render in memory at a time."""
        targets = Targets.concatenate([batch.targets[view][[frame]] for view, frame in draw.frames])
        time = None if draw.time is None else float(draw.time)
        inputs = self.loader.inputs_at(batch, time)
        (gaussians,) = self.decoder(inputs, prune_ratio=self.phase.prune_ratio)
        if not all(bool(values.isfinite().all()) for values in vars(gaussians).values()):
            raise self._diverged("a Gaussian", len(self.history))
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
                ),
            )
            quality = psnr(render.rgb.detach(), target.rgb).mean
            log_row = {"loss": float(value.total.detach()), "psnr": quality, **value.terms}
            for name, term in log_row.items():
                sums[name] = sums.get(name, 0.0) + term / len(targets)
            return value.total / len(targets)

        loss_over_views(gaussians, targets.cameras, self.params.rendering, loss_of_view).backward()
        return sums

    def _key(self) -> str:
        """Names the state that belongs to exactly this phase, data, start and code."""
        return content_key(
            {"config": self.config, "code": code_fingerprint("lyra_data", "lyra_model")}
        )

    def _resume(self, state_file: Path) -> int:
        if not state_file.is_file():
            return 0
        state = load_state(state_file)
        self.decoder.load_state_dict(state.decoder)
        self.optimiser.load_state_dict(state.optimiser)
        self.history = state.history
        log.info("phase %s goes on after step %d", self.name, state.step)
        return state.step

    def _keep_state(self, step: int, state_file: Path) -> None:
        decoder, optimiser = self.decoder.state_dict(), self.optimiser.state_dict()
        save_state(TrainingState(step, decoder, optimiser, self.history), state_file)

    def _diverged(self, what: str, step: int) -> ParamsError:
        return ParamsError(
            f"training diverged: {what} is no finite number in step {step + 1}",
            where=f"params.yaml: train.phases.{self.name}",
            fix="lower the phase's learning_rate, or raise its warmup_steps",
        )


def learning_rate(phase: PhaseParams, step: int) -> float:
    """Linear rise over `warmup_steps`, then half a cosine to `final_learning_rate`."""
    rise = min(1.0, (step + 1) / max(phase.warmup_steps, 1))
    done = step / max(phase.steps - 1, 1)
    low, high = phase.final_learning_rate, phase.learning_rate
    return rise * (low + (high - low) * 0.5 * (1.0 + math.cos(math.pi * done)))


def _load_start(name: str, params: TrainParams, dataset: SceneDataset, models: Path) -> Checkpoint:
    """The checkpoint that phase `name` begins with, trained with the decoder and codec of now."""
    start_from = params.phases[name].start_from
    folder = models / start_from
    fix = f"run `lyra-data train --phase {start_from}` first, or `dvc repro`"
    if not folder.is_dir():
        raise StageOrderError(
            f"phase {name!r} starts from {start_from!r}, which is not trained yet",
            where=str(folder),
            fix=fix,
        )
    start = load_checkpoint(folder)
    now = {
        **params.decoder.model_dump(mode="json"),
        "codec_fingerprint": dataset.codec.fingerprint,
    }
    then = {**start.config["decoder"], "codec_fingerprint": start.config["codec_fingerprint"]}
    changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    if changed:
        values = ", ".join(f"{key} = {then.get(key)} (now {now.get(key)})" for key in changed)
        raise StageOrderError(
            f"phase {start_from!r} was trained with {values}; {name!r} cannot go on from it",
            where=str(folder),
            fix=fix,
        )
    return start


def _config(
    params: TrainParams, name: str, seed: int, dataset: SceneDataset, start: Checkpoint | None
) -> dict[str, Any]:
    """What the checkpoint says of itself, as plain JSON values."""
    phase = params.phases[name]
    settings: Params = params.model_copy(update={"phases": {name: phase}})
    return {
        "phase_name": name,
        "phase": phase.model_dump(mode="json"),
        "decoder": params.decoder.model_dump(mode="json"),
        "rendering": params.rendering.model_dump(mode="json"),
        "optimiser": params.optimiser.model_dump(mode="json"),
        "held_out_frames": params.held_out_frames,
        "seed": seed,
        "codec": dataset.codec.name,
        "codec_fingerprint": dataset.codec.fingerprint,
        "dataset_hash": dataset.manifest.dataset_hash,
        "params_hash": params_hash(settings),
        "started_from_weights": None if start is None else start.config["weights_sha256"],
        "engine_version": engine_version(),
    }
