"""Validate on scenes that training never sees, scored at the same moments every time."""

from __future__ import annotations

import torch

from lyra_model.batches.step_reader import StepReader
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.losses.perceptual_network import PerceptualNetwork
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.ssim import RADIUS, ssim
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.phases.view_sampling import StepDraw
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from lyra_model.training.view_loss import loss_of_frames

NUM_MOMENTS = 3
"""Moments of every view that are looked at: the first, the last that is read, and between."""

MAX_SCENES = 8
"""So many scenes are looked at, the first of the split: each time the same ones."""


class Validator:
    """Looks at the same frames of the same scenes every time; leaves no trace in the training.

    Args:
        reader: of the dataset's validation split.
        perceptual: the network of loss `lpips`, where that has a weight.
    """

    def __init__(
        self,
        reader: StepReader,
        phase: PhaseParams,
        rendering: RenderingParams,
        perceptual: PerceptualNetwork | None,
    ) -> None:
        self.reader, self.phase, self.rendering = reader, phase, rendering
        self.perceptual = perceptual
        self.scene_ids = reader.dataset.scene_ids[:MAX_SCENES]
        self.moments = _spread(reader.shape.num_different_frames)

    def validate(self, decoder: GaussianDecoder) -> dict[str, float]:
        """Return means over all scenes and frames.

        Returns:
            loss, its terms, psnr (dB) and, of pictures that are large enough, ssim.

        Raises:
            CorruptDataError: a shard is cut or altered.
        """
        rows: list[dict[str, float]] = []
        with torch.no_grad():
            for scene_id in self.scene_ids:
                for moment in self.moments:
                    rows.extend(self._score(decoder, scene_id, moment))
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    def _score(
        self, decoder: GaussianDecoder, scene_id: str, moment: int
    ) -> list[dict[str, float]]:
        """Return the scores of every view's render of a moment."""
        batch = self.reader.batch(self.reader.read(self._draw(scene_id, moment)))
        (gaussians,) = decoder(batch.inputs, prune_ratio=self.phase.prune_ratio)
        scored = []
        for index in range(len(batch.targets)):
            target = batch.targets[[index]]
            rendered = render(gaussians, target.cameras, self.rendering)
            losses = self.phase.losses
            value = loss_of_frames(
                losses, rendered, target, gaussians, self.perceptual, batch.inputs
            )
            scores = {"loss": float(value.total), **value.terms}
            scores["psnr"] = psnr(rendered.rgb, target.rgb).mean
            if min(target.rgb.shape[2:]) > 2 * RADIUS:
                scores["ssim"] = ssim(rendered.rgb, target.rgb).mean
            scored.append(scores)
        return scored

    def _draw(self, scene_id: str, moment: int) -> StepDraw:
        """Return the frames that show a moment: of all views, or of a still scene of forward ones.

        A decoder that was trained on at most so many views reads the first ones.
        """
        listed, is_dynamic = self.reader.views(scene_id).listed, self.reader.shape.dynamic
        frames = listed.at_time(moment)
        if not is_dynamic:
            frames = [frames[view] for view in listed.forward]
        read = listed.forward[: self.phase.max_views]
        return StepDraw(scene_id, tuple(frames), moment if is_dynamic else None, tuple(read))


def _spread(num_frames: int) -> list[int]:
    """Return the same moments every time, all different."""
    spread = [round(index * (num_frames - 1) / (NUM_MOMENTS - 1)) for index in range(NUM_MOMENTS)]
    return sorted(set(spread))
