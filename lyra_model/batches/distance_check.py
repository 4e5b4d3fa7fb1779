"""Check that the decoder can put Gaussians at the distances that the scenes' depth shows."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import ParamsError
from lyra_model.batches.targets import LeanTargets
from lyra_model.decoder import DecoderParams

log = logging.getLogger(__name__)

LEAST_SHARE, LARGEST_SHARE = 0.01, 0.5
"""Shares of a scene's known depth beyond the decoder's range: above the first a warning, from the
second on a refusal."""

EVERY_FRAME = 8
"""Every so many frames of every view are looked at where the frames of a step raise doubts."""

MOST_VALUES = 1_000_000
"""Depth values that quantiles are taken of; torch.quantile takes a few millions at most."""


@dataclass(frozen=True)
class DistantDepth:
    """Depth of a scene that lies outside the decoder's range.

    Attributes:
        share: of the scene's known depth, 0..1.
        what, fix: in words.
    """

    share: float
    what: str
    fix: str


class DistanceCheck:
    """Looks at every scene once, when a step reads it first.

    The step's own frames are read anyway. The scene's other frames are looked at only where some
    of these lie outside the range, so that a single frame of the sky refuses no scene.

    Several processes may look at scenes, each at those that it reads. One judges, in the order of
    the steps: so the outcome does not depend on who looked.
    """

    def __init__(self, dataset: SceneDataset, decoder: DecoderParams) -> None:
        self.dataset, self.decoder = dataset, decoder
        self._looked_at: set[str] = set()
        self._judged: set[str] = set()

    def check(self, scene_id: str, targets: LeanTargets) -> None:
        """Look at a scene and judge it; raises as both."""
        self.judge(scene_id, self.look(scene_id, targets))

    def judge(self, scene_id: str, distant: DistantDepth | None) -> None:
        """Warn of a scene of which some depth lies outside the decoder's range.

        Args:
            distant: what `look` returned for the step that reads the scene first; later steps'
                mean nothing.

        Raises:
            ParamsError: half of the scene's known depth or more does.
        """
        if scene_id in self._judged:
            return
        self._judged.add(scene_id)
        if distant is None:
            return
        if distant.share >= LARGEST_SHARE:
            raise ParamsError(distant.what, where="params.yaml: train.decoder", fix=distant.fix)
        log.warning("%s: %s", distant.what, distant.fix)

    def look(self, scene_id: str, targets: LeanTargets) -> DistantDepth | None:
        """Return the scene's depth outside the range; None: hardly any, or it was looked at before.

        Raises:
            CorruptDataError: a shard is cut or altered.
        """
        if scene_id in self._looked_at:
            return None
        self._looked_at.add(scene_id)
        if self._share_outside(targets.known_depth) < LEAST_SHARE:
            return None
        known = self._depth_of_scene(scene_id)
        outside = self._share_outside(known)
        if outside < LEAST_SHARE:
            return None
        low, high = (float(known.quantile(share)) for share in (0.01, 0.99))
        near, far = self._range()
        what = (
            f"{outside:.0%} of the depth of scene {scene_id!r} ({low:.3g} to {high:.3g}) lies "
            f"outside {near:.3g} to {far:.3g}, where the decoder can place Gaussians"
        )
        fix = "widen distance_near and distance_far, or bring the scene into them by scene_scale"
        return DistantDepth(outside, what, fix)

    def _range(self) -> tuple[float, float]:
        """Return the least and the largest distance in units of the dataset."""
        scale = self.decoder.scene_scale
        return self.decoder.distance_near / scale, self.decoder.distance_far / scale

    def _share_outside(self, known: Tensor) -> float:
        """Return the share of depth values outside the range; 0 where there are none."""
        if known.numel() == 0:  # colours alone can train, if not well
            return 0.0
        near, far = self._range()
        return float(((known < near) | (known > far)).float().mean())

    def _depth_of_scene(self, scene_id: str) -> Tensor:
        """Read the known depth of some frames of every view, view by view, as one row of values."""
        scene, values = self.dataset[scene_id], []
        for index in scene.view_indices:
            (sizes,) = scene.read_fields(["num_frames"], view_indices=[index])
            frames = range(0, sizes["num_frames"], EVERY_FRAME)
            (row,) = scene.read_fields(["depth"], view_indices=[index], frames=frames)
            values.append(row["depth"][row["depth"] > 0])
        known = torch.cat(values)
        return known[:: known.numel() // MOST_VALUES + 1]
