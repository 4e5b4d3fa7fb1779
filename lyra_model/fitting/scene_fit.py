"""SceneFit: one optimisation under way, step by step."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.seeds import torch_generator
from lyra_model.batches.targets import Targets
from lyra_model.fitting.measuring import even_choice, mean_psnr_db
from lyra_model.fitting.objective import objective
from lyra_model.fitting.params import FitParams
from lyra_model.fitting.states import FitState
from lyra_model.fitting.variables import Variables
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

BETAS = (0.9, 0.99)
"""Adam forgets squared gradients within 100 steps: a fit has some hundreds."""


class SceneFit:
    """Gaussians between their start and their best; every step is a function of its number.

    Args:
        start: on any device.
        read: frames to optimise against, in the CPU's memory.
        kept_back: frames that no step sees; None: there are none.
        device: where it is computed.
    """

    def __init__(
        self,
        start: Gaussians,
        read: Targets,
        kept_back: Targets | None,
        params: FitParams,
        rendering: RenderingParams,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.read, self.kept_back, self.params, self.rendering = read, kept_back, params, rendering
        self.photos = torch.nonzero(~read.filled.flatten(1).any(1))[:, 0].tolist()
        self.seed, self.device = seed, device
        self.start = start.detach().to(device)
        self.variables = Variables.of(self.start, read.cameras)
        groups = self.variables.groups(params)
        self.rates = [group["lr"] for group in groups]
        self.optimiser = torch.optim.Adam(groups, betas=BETAS, eps=1e-15, fused=True)
        self.step, self.best_step = 0, 0
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []

    def resume(self, state: FitState) -> None:
        """Go on from a state that `state` returned."""
        with torch.no_grad():
            for name, tensor in self.variables.free.items():
                tensor.copy_(state.variables[name])
        self.optimiser.load_state_dict(state.optimiser)
        self.step, self.best_step, self.history = state.step, state.best_step, state.history
        self.best = {name: tensor.to(self.device) for name, tensor in state.best.items()}

    def state(self) -> FitState:
        """Return all that the next steps depend on."""
        free = {name: tensor.detach() for name, tensor in self.variables.free.items()}
        optimiser = self.optimiser.state_dict()
        return FitState(self.step, free, optimiser, self.best, self.best_step, self.history)

    def take_step(self) -> None:
        """Compare some frames and change the variables once.

        Raises:
            ParamsError: the Gaussians have become no finite numbers.
        """
        targets = self.read[self._frames_of_step()].to(self.device)
        with torch.enable_grad():
            gaussians = self.variables.gaussians()
            rendered = render(gaussians, targets.cameras, self.rendering)
            loss = objective(rendered, targets, gaussians, self.params)
        if not bool(loss.isfinite()):
            raise ParamsError(
                f"the fit diverged: its loss is {float(loss.detach())} at step {self.step + 1}",
                where="reconstruct.fit",
                fix="lower its learning rates",
            )
        self.optimiser.zero_grad()
        loss.backward()
        decay = self.params.final_rate_share ** (self.step / max(self.params.steps - 1, 1))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * decay
        self.optimiser.step()
        self.step += 1

    def measure(self) -> None:
        """Measure on frames kept back, where that is due, and remember the best state.

        The last step is always measured; the state of step 0 too.
        """
        is_due = self.step % self.params.measure_every == 0 or self.step == self.params.steps
        is_done = any(row["step"] == self.step for row in self.history)
        if self.kept_back is None or not is_due or is_done:
            return
        few = even_choice(self.kept_back, self.params.measured_frames)
        psnr_db = self._psnr_db(self.current(), few)
        if all(psnr_db > row["psnr_db"] for row in self.history):
            self.best_step = self.step
            self.best = {name: t.detach().clone() for name, t in self.variables.free.items()}
        self.history.append({"step": float(self.step), "psnr_db": psnr_db})

    @torch.no_grad()
    def current(self) -> Gaussians:
        """Return the Gaussians as they are now."""
        return self.variables.gaussians()

    @torch.no_grad()
    def result(self) -> tuple[Gaussians, int]:
        """Return the best Gaussians and the step they are of.

        Without frames kept back those are the last. With them, the choice was made on a few, but
        the promise, never worse than the start, is about all of them: they are measured here.
        """
        if self.step == 0 or self.kept_back is None:
            return (self.current(), self.step) if self.step else (self.start, 0)
        if self.best_step > 0:
            best = replace(self.variables, **self.best).gaussians()
            before, after = (self._psnr_db(each, self.kept_back) for each in (self.start, best))
            if after >= before:
                return best, self.best_step
        return self.start, 0

    def _psnr_db(self, gaussians: Gaussians, frames: Targets) -> float:
        return mean_psnr_db(gaussians, frames, self.rendering, invented=self.params.judge_invented)

    def _frames_of_step(self) -> list[int]:
        """Return the frames of the next step: photos for their share, else each of all in turn."""
        count = self.params.frames_per_step
        first = self.step * count
        return [self._drawn(position) for position in range(first, first + count)]

    def _drawn(self, position: int) -> int:
        """Return the frame at a position of the whole fit: a function of the position alone."""
        generator = torch_generator(self.seed, str(position), "fitting.photo")
        is_photo = float(torch.rand((), generator=generator)) < self.params.photo_share
        frames = self.photos if is_photo and self.photos else list(range(len(self.read)))
        # Each comes once in a round, every round in an order of its own.
        generator = torch_generator(self.seed, str(position // len(frames)), "fitting.frames")
        order = torch.randperm(len(frames), generator=generator)
        return frames[int(order[position % len(frames)])]
