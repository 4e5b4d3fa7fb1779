"""Training: the decoder, phase by phase, resumable to the bit after any kill."""

from __future__ import annotations

import io
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.atomic import write_atomically
from lyra_data.codecs import CODECS
from lyra_data.codecs.base import LatentCodec
from lyra_data.dataset.reader import SceneDataset
from lyra_data.errors import CorruptDataError, ParamsError, StageOrderError
from lyra_data.hashing import content_key
from lyra_data.params import Params
from lyra_data.progress import Progress
from lyra_data.provenance import code_fingerprint, engine_version, params_hash
from lyra_data.seeds import derive_seed
from lyra_model.batches import SceneBatch, SceneLoader, Targets
from lyra_model.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
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
        StageOrderError: the phase that one of them starts from has not been trained.
        ParamsError: the data is of another codec, or has fewer frames than a phase asks for.
        CorruptDataError: a shard or a checkpoint is cut or altered.
        StorageError: the disk is full or cannot be written; the last state stays in scratch.
    """
    codec = _codec(params, dataset)
    trained = {}
    for name in names:
        phase = params.phases[name]
        start = None
        if phase.start_from != RANDOM_WEIGHTS:
            folder = models / phase.start_from
            if not folder.is_dir():
                raise StageOrderError(
                    f"phase {name!r} starts from {phase.start_from!r}, which is not trained yet",
                    where=str(folder),
                    fix=f"run `lyra-data train --phase {phase.start_from}` first, or `dvc repro`",
                )
            start = load_checkpoint(folder)
        trainer = PhaseTrainer(params, name, seed=seed, dataset=dataset, codec=codec, start=start)
        trained[name] = trainer.run(scratch, checkpoint_steps, progress)
        save_checkpoint(trained[name], models / name)
    return trained


@dataclass
class TrainingState:
    """All that the next step depends on, besides params and data."""

    step: int
    decoder: dict[str, Tensor]
    optimiser: dict[str, Any]
    history: list[dict[str, float]]


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
        self.num_views = len(dataset.view_indices(0))
        _check_frames(dataset, name, self.phase, params.held_out_frames)
        self.config = _config(params, name, seed, dataset, start)
        self.loader = SceneLoader(
            dataset,
            codec,
            height=self.phase.height,
            width=self.phase.width,
            num_frames=self.phase.num_frames,
            scene_scale=params.decoder.scene_scale,
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
            num_views=self.num_views,
            num_frames=self.phase.num_frames,
            num_targets=self.phase.num_target_frames,
        )
        rate = learning_rate(self.phase, step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        terms = self._backpropagate(self.loader.load(draw.scene_id), draw)
        torch.nn.utils.clip_grad_norm_(
            self.decoder.parameters(), self.params.optimiser.max_gradient_norm
        )
        self.optimiser.step()
        self.history.append({"step": step + 1.0, **terms, "learning_rate": rate})
        return terms

    def _backpropagate(self, batch: SceneBatch, draw: StepTargets) -> dict[str, float]:
        """Gradients of the mean loss over the drawn frames, one render in memory at a time."""
        targets = Targets.concatenate([batch.targets[view][[frame]] for view, frame in draw.frames])
        (gaussians,) = self.decoder(batch.inputs, prune_ratio=self.phase.prune_ratio)
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
        try:
            state = TrainingState(**torch.load(state_file, weights_only=True))
            self.decoder.load_state_dict(state.decoder)
            self.optimiser.load_state_dict(state.optimiser)
        except (RuntimeError, EOFError, TypeError, ValueError) as error:
            raise CorruptDataError(
                f"the training state cannot be read ({error})",
                where=str(state_file),
                fix="delete the file to train the phase from its start",
            ) from None
        self.history = state.history
        log.info("phase %s goes on after step %d", self.name, state.step)
        return state.step

    def _keep_state(self, step: int, state_file: Path) -> None:
        state = TrainingState(
            step, self.decoder.state_dict(), self.optimiser.state_dict(), self.history
        )
        buffer = (
            io.BytesIO()
        )  # torch reports a full disk as a RuntimeError; Python's write does not
        torch.save(vars(state), buffer)
        with write_atomically(state_file) as temporary:
            temporary.write_bytes(buffer.getbuffer())


def learning_rate(phase: PhaseParams, step: int) -> float:
    """Linear rise over `warmup_steps`, then half a cosine to `final_learning_rate`."""
    rise = min(1.0, (step + 1) / max(phase.warmup_steps, 1))
    done = step / max(phase.steps - 1, 1)
    low, high = phase.final_learning_rate, phase.learning_rate
    return rise * (low + (high - low) * 0.5 * (1.0 + math.cos(math.pi * done)))


def _codec(params: TrainParams, dataset: SceneDataset) -> LatentCodec:
    codec = CODECS.create(params.codec, where="train.codec")
    if (codec.name, codec.fingerprint) != (dataset.codec.name, dataset.codec.fingerprint):
        raise ParamsError(
            f"codec {codec.name} ({codec.fingerprint}) did not make the dataset's latents; "
            f"{dataset.codec.name} ({dataset.codec.fingerprint}) did",
            where="params.yaml: train.codec",
            fix="write the codec of `generate.codec`, or generate and package again",
        )
    return codec


def _check_frames(
    dataset: SceneDataset, name: str, phase: PhaseParams, held_out_frames: int
) -> None:
    (sizes,) = dataset.read_fields(0, ["num_frames"], view_indices=[dataset.view_indices(0)[0]])
    available = sizes["num_frames"] - held_out_frames
    if phase.num_frames > available:
        raise ParamsError(
            f"num_frames = {phase.num_frames}, but views have {sizes['num_frames']} frames, the "
            f"last {held_out_frames} of them held out",
            where=f"params.yaml: train.phases.{name}",
            fix=f"take at most {(available - 1) // 8 * 8 + 1}, or generate longer views",
        )


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
