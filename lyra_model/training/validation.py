"""Validation: scenes that training never sees, scored and drawn at the same moments every time."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.engine.atomic import folder_atomically
from lyra_data.media.images import write_png
from lyra_data.scene.pixel_values import bytes_from_unit
from lyra_model.batches.loading import SceneBatch, SceneLoader, Targets
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.losses import total_loss
from lyra_model.losses.base import LossInput
from lyra_model.losses.perceptual_network import PerceptualNetwork
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.ssim import RADIUS, ssim
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

NUM_MOMENTS = 3
"""Moments of every view that are looked at: the first, the last that is read, and between."""

MAX_SCENES = 8
"""So many scenes are looked at, the first of the split: each time the same ones."""


class Validator:
    """Holds what is the same every time. Draws nothing, so it leaves no trace in the training.

    Args:
        loader: of the dataset's validation split.
        perceptual: the network of loss `lpips`, where that has a weight.
        samples: where pictures go, in a folder for each step.
    """

    def __init__(
        self,
        loader: SceneLoader,
        phase: PhaseParams,
        rendering: RenderingParams,
        perceptual: PerceptualNetwork | None,
        samples: Path,
    ) -> None:
        self.loader, self.phase, self.rendering = loader, phase, rendering
        self.perceptual, self.samples = perceptual, samples
        self.scene_ids = loader.dataset.scene_ids[:MAX_SCENES]
        self.moments = _spread(loader.num_different_frames)

    def validate(self, decoder: GaussianDecoder, step: int, *, writes: bool) -> dict[str, float]:
        """Means over all scenes and frames, and pictures: truth and render, side by side.

        Args:
            writes: whether this process keeps the pictures.

        Returns:
            loss, its terms, psnr (dB) and, of pictures that are large enough, ssim.

        Raises:
            CorruptDataError: a shard is cut or altered.
            StorageError: the disk is full or cannot be written.
        """
        rows: list[dict[str, float]] = []
        folder = self.samples / f"step_{step:08d}"
        with torch.no_grad(), folder_atomically(folder) if writes else nullcontext() as temporary:
            for scene_id in self.scene_ids:
                batch = self.loader.load(scene_id)
                pictures = []
                for moment in self.moments:
                    targets, of_views = self._look(decoder, batch, moment)
                    rows.extend(scores for scores, _ in of_views)
                    shown = torch.stack([rgb for _, rgb in of_views])
                    pictures += [targets.rgb, shown]
                if temporary is not None:
                    write_png(_sheet(pictures), temporary / f"{scene_id}.png")
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    def _look(
        self, decoder: GaussianDecoder, batch: SceneBatch, moment: int
    ) -> tuple[Targets, list[tuple[dict[str, float], Float[Tensor, "3 height width"]]]]:
        """What views show of a moment, and scores and render of each."""
        moves = self.loader.dynamic
        read = self.loader.judging(batch, self.phase.max_views)
        inputs = self.loader.inputs_at(read, float(moment) if moves else None)
        (gaussians,) = decoder(inputs, prune_ratio=self.phase.prune_ratio)
        places = batch.views.at_time(moment)
        if not moves:
            places = [places[view] for view in batch.views.forward]
        looked_at = [batch.targets[view][[frame]] for view, frame in places]
        targets = Targets.concatenate(looked_at).to(self.loader.device)
        found = []
        for index in range(len(targets)):
            target = targets[[index]]
            shown = render(gaussians, target.cameras, self.rendering)
            value = total_loss(
                self.phase.losses,
                LossInput(
                    render=shown,
                    rgb=target.rgb,
                    depth=target.depth,
                    depth_valid=target.depth_valid,
                    gaussians=gaussians,
                    perceptual=self.perceptual,
                ),
            )
            scores = {"loss": float(value.total), **value.terms}
            scores["psnr"] = psnr(shown.rgb, target.rgb).mean
            if min(self.loader.height, self.loader.width) > 2 * RADIUS:
                scores["ssim"] = ssim(shown.rgb, target.rgb).mean
            found.append((scores, shown.rgb[0]))
        return targets, found


def _sheet(
    pictures: list[Float[Tensor, "view 3 height width"]],
) -> UInt8[Tensor, "3 rows columns"]:
    """One picture: a row a view."""
    sheet = rearrange(torch.stack(pictures), "column view c y x -> c (view y) (column x)")
    return bytes_from_unit(sheet).cpu()


def _spread(num_frames: int) -> list[int]:
    """The same moments every time, all different."""
    spread = [round(index * (num_frames - 1) / (NUM_MOMENTS - 1)) for index in range(NUM_MOMENTS)]
    return sorted(set(spread))
