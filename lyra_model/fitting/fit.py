"""Optimise Gaussians against the frames of one scene: no weights, no training, this scene alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from lyra_data.engine.progress import Progress, silent
from lyra_model.batches.targets import Targets
from lyra_model.fitting.params import FitParams
from lyra_model.fitting.scene_fit import SceneFit
from lyra_model.fitting.states import load_state, save_state
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import RenderingParams
from lyra_model.rendering.threads import torch_in_one_thread


@dataclass(frozen=True)
class Fitted:
    """Gaussians after a fit.

    Attributes:
        gaussians: on the CPU, without gradients.
        steps: steps that were taken.
        best_step: the step that `gaussians` are of; 0: they are the start, unchanged.
        history: a row of "step" and "psnr_db" for every measurement on frames kept back.
    """

    gaussians: Gaussians
    steps: int
    best_step: int
    history: list[dict[str, float]]


def fit(
    start: Gaussians,
    read: Targets,
    kept_back: Targets | None,
    params: FitParams,
    rendering: RenderingParams,
    *,
    seed: int,
    device: torch.device,
    state_folder: Path | None = None,
    state_steps: int = 100,
    progress: Progress = silent,
) -> Fitted:
    """Return the Gaussians that show the frames best, moved from `start` by Adam.

    With frames kept back, those of the best measured step are returned, and the start where it
    shows them better; without, those of the last step. On one machine's CPU the same values give
    the same bytes, killed in between or not, for any number of threads; on CUDA gradients are
    summed in any order.

    Args:
        start: Gaussians of any origin, in the world of the frames; there has to be one.
        read: frames to optimise against.
        kept_back: frames that no step sees, to measure on.
        device: where it is computed; frames are brought there step by step.
        state_folder: keeps a state every `state_steps` steps; a fit that finds one there goes on
            from it. It has to be one of these very values, which the caller sees to, as by a
            folder that a content key names.

    Raises:
        ParamsError: the learning rates are so high that the Gaussians are no finite numbers.
        CorruptDataError: the state is cut or altered.
        StorageError: the state cannot be written.
    """
    assert len(start) > 0, "no Gaussian to begin with"
    if kept_back is not None and len(kept_back) == 0:
        kept_back = None
    with torch_in_one_thread():
        scene = SceneFit(start, read, kept_back, params, rendering, seed=seed, device=device)
        _take_steps(scene, params.steps, state_folder, state_steps, progress)
        gaussians, best_step = scene.result()
    return Fitted(gaussians.to("cpu"), scene.step, best_step, scene.history)


def _take_steps(
    scene: SceneFit, steps: int, state_folder: Path | None, state_steps: int, progress: Progress
) -> None:
    """Take the steps that are left, from the state that is kept, where there is one."""
    state = None if state_folder is None else load_state(state_folder)
    if state is not None:
        scene.resume(state)
    progress.start("Fitting", steps, "steps")
    progress.advance(scene.step)
    scene.measure()
    while scene.step < steps:
        scene.take_step()
        scene.measure()
        if state_folder is not None and scene.step % state_steps == 0:
            save_state(scene.state(), state_folder)
        progress.advance(note=_note(scene.history))
    progress.finish()


def _note(history: list[dict[str, float]]) -> str:
    """Return the newest measurement in words; none without frames kept back."""
    return f"{history[-1]['psnr_db']:.1f} dB" if history else ""
