"""The baseline of per-scene optimisation: Gaussians fitted to the frames that the decoder reads."""

from __future__ import annotations

import torch

from lyra_model.batches.targets import Targets
from lyra_model.evaluation.baselines import Prediction, Viewpoints
from lyra_model.fitting.fit import fit
from lyra_model.fitting.params import FitParams
from lyra_model.fitting.unproject import UnprojectParams, unproject_frames
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from lyra_model.rendering.threads import torch_in_one_thread

SEED = 0


class FitBaseline:
    """Fits a scene once, or, where it moves, once for every moment that is asked for.

    It is given the depth maps, which the decoder never sees, and keeps no frame back to stop by:
    what it is judged on has no influence.

    Args:
        inputs: the frames that the decoder reads; some depth is known.
        steps: of every fit.
        device: where it is fitted and rendered.
    """

    def __init__(
        self, inputs: Targets, rendering: RenderingParams, *, steps: int, device: torch.device
    ) -> None:
        self.inputs, self.rendering, self.device = inputs, rendering, device
        self.params = FitParams(steps=steps)
        self._fitted: dict[float | None, Gaussians] = {}

    def predict(self, viewpoints: Viewpoints) -> Prediction:
        """Return the fitted Gaussians' pictures, and their depth, for every camera."""
        cameras, times = viewpoints.cameras, viewpoints.times
        rgb, depth = [], []
        for index in range(len(cameras)):
            gaussians = self._gaussians(None if times is None else float(times[index]))
            made = render(
                gaussians.to(self.device), cameras[[index]].to(self.device), self.rendering
            )
            rgb.append(made.rgb.clamp(0, 1).cpu())
            depth.append(made.depth.cpu())
        return Prediction(torch.cat(rgb), torch.cat(depth))

    def _gaussians(self, moment: float | None) -> Gaussians:
        if moment not in self._fitted:
            frames = self.inputs if moment is None else self._frames_of(moment)
            with torch_in_one_thread():  # workers have fewer threads than the command
                start = unproject_frames(frames, UnprojectParams(), seed=SEED)
                self._fitted[moment] = fit(
                    start, frames, None, self.params, self.rendering, seed=SEED, device=self.device
                ).gaussians
        return self._fitted[moment]

    def _frames_of(self, moment: float) -> Targets:
        """Return the input frames of the nearest moment at which some depth is known."""
        late = (self.inputs.times - moment).abs()
        has_depth = self.inputs.depth_valid.flatten(1).any(1)
        late = torch.where(has_depth, late, torch.inf)
        nearest = torch.nonzero((self.inputs.times - moment).abs() == late.min())[:, 0]
        return self.inputs[nearest.tolist()]
