"""Scoring: one method's pictures against the true ones, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from lyra_model.batches.loading import Targets
from lyra_model.evaluation.baselines import Prediction
from lyra_model.metrics.depth import depth_scores
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.scores import Scores
from lyra_model.metrics.ssim import ssim


@dataclass(frozen=True)
class FrameScores:
    """Scores of a method against some targets: one value a frame, with its number of pixels.

    Attributes:
        psnr_db: over all pixels, those that the teacher invented among them.
        psnr_known_db: over the pixels that the teacher did not invent.
        ssim: over all pixels.
    """

    psnr_db: Scores
    psnr_known_db: Scores
    ssim: Scores
    depth_abs_rel: Scores
    depth_within_delta: Scores

    def summary(self) -> dict[str, float | int]:
        """Return means over frames, as plain values."""
        return {
            "psnr_db": self.psnr_db.mean,
            "psnr_known_db": self.psnr_known_db.mean,
            "ssim": self.ssim.mean,
            "depth_abs_rel": self.depth_abs_rel.mean,
            "depth_within_delta": self.depth_within_delta.mean,
            "num_pixels": self.psnr_db.total_pixels,
            "num_known_pixels": self.psnr_known_db.total_pixels,
            "num_depth_pixels": self.depth_abs_rel.total_pixels,
        }


def score(prediction: Prediction, targets: Targets) -> FrameScores:
    """Return the scores of a prediction.

    Colour counts all pixels, depth those of known true depth; where none is predicted it is wrong.
    """
    depth = depth_scores(prediction.depth, targets.depth, targets.depth_valid)
    return FrameScores(
        psnr_db=psnr(prediction.rgb, targets.rgb),
        psnr_known_db=psnr(prediction.rgb, targets.rgb, ~targets.filled),
        ssim=ssim(prediction.rgb, targets.rgb),
        depth_abs_rel=depth.absolute_relative,
        depth_within_delta=depth.within_delta,
    )


def pool(scores: list[FrameScores]) -> FrameScores:
    """Return the frames of several scenes as one list."""

    def join(name: str) -> Scores:
        parts: list[Scores] = [getattr(score, name) for score in scores]
        return Scores(
            torch.cat([part.values for part in parts]),
            torch.cat([part.num_pixels for part in parts]),
        )

    first = scores[0]
    return replace(first, **{name: join(name) for name in vars(first)})
