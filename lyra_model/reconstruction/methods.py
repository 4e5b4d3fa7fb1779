"""The three ways to Gaussians: pixels with depth, these optimised, or a trained decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange

from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.codecs.latent_spaces import view_in_space_of
from lyra_data.scene.pixel_values import signed_from_bytes
from lyra_data.scene.view import View
from lyra_model.batches.targets import Targets
from lyra_model.fitting.depth_completion import complete_depth
from lyra_model.fitting.fit import Fitted, fit
from lyra_model.fitting.unproject import known_beyond, margins_beyond, unproject_frames
from lyra_model.gaussians import Gaussians
from lyra_model.phases.trained_decoder import TrainedDecoder
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.scene_source import (
    Observations,
    SceneSource,
    surroundings_of,
)
from lyra_model.rendering.base import RenderingParams

INVENTED_BESIDE_MOTION = 0.02
"""Weight of pixels that views of a moving scene invented, beside their weight in a still one."""

RELEASED_ORDER = ("clockwise", "left", "right", "up", "zoom_out", "zoom_in")
"""Order in which sample.py gives views to the released decoders: `static_view_indices_fixed` of
configs/demo/lyra_static.yaml and lyra_dynamic.yaml. The first one's first pose is the origin."""


@dataclass(frozen=True)
class Reconstructor:
    """Makes Gaussians of scenes; holds what is the same for all of them.

    Attributes:
        decoder: None with a method that needs none.
        codec: of the views' latents, for the decoder alone.
        device: where Gaussians are made and rendered.
        root: the folder that relative paths start from.
    """

    params: ReconstructParams
    rendering: RenderingParams
    seed: int
    device: torch.device
    decoder: TrainedDecoder | None = None
    codec: LatentCodec | None = None
    root: Path = Path()

    @property
    def video_path(self) -> str | Path:
        """Return the name of a built-in camera path, or a file of cameras."""
        return self.params.video.path_from(self.root)

    def make(
        self,
        scene: SceneSource,
        observations: Observations,
        *,
        moment: int | None,
        state_folder: Path,
        progress: Progress,
    ) -> Fitted:
        """Return the scene's Gaussians, in the world of its views.

        Args:
            moment: of a moving scene; None: the scene stands still.
            state_folder: where a killed fit goes on from; it is removed by the caller.

        Raises:
            InputError: no depth is known in any frame; the decoder cannot read these views, or
                gives no Gaussians.
        """
        start = self._start(scene, observations, moment)
        steps = self._steps(moment)
        if steps == 0:
            return Fitted(start.detach().to("cpu"), steps=0, best_step=0, history=[])
        return fit(
            start,
            observations.read,
            observations.kept_back,
            self.params.fit.model_copy(update=self._changes_of_fit(steps, moment)),
            self.rendering,
            seed=self.seed,
            device=self.device,
            state_folder=state_folder,
            progress=progress,
        )

    def prepared(self, scene: SceneSource) -> SceneSource:
        """Return the scene with latents that the decoder reads: those of its views, or, where
        another codec made them, those of their frames. Other methods read no latents.

        Raises:
            InputError, ParamsError: as `view_in_space_of`.
        """
        if self.decoder is None or self.codec is None:
            return scene
        codec, read = self.codec, views_read(scene.views, self.decoder)
        views = tuple(
            (view_in_space_of(view, codec) or encoded_again(view, codec))
            if any(view is one for one in read)
            else view
            for view in scene.views
        )
        return replace(scene, views=views)

    def _steps(self, moment: int | None) -> int:
        if self.params.method == "unproject":
            return 0
        if self.params.method == "decoder":
            return self.params.refine_steps
        return self.params.fit.steps if moment is None else self.params.moment_steps

    def _changes_of_fit(self, steps: int, moment: int | None) -> dict[str, Any]:
        """Return the settings of a fit that differ from params: what moves is in one frame alone,
        and what the views invented in its place hardly counts against it."""
        if moment is None:
            return {"steps": steps}
        filled = INVENTED_BESIDE_MOTION * self.params.fit.filled
        return {"steps": steps, "filled": filled, "judge_invented": False}

    def _start(
        self, scene: SceneSource, observations: Observations, moment: int | None
    ) -> Gaussians:
        if self.params.method == "decoder":
            return self._decoded(scene, moment)
        if not bool(observations.read.depth_valid.any()):
            raise InputError(
                "no depth is known in any frame that is read",
                where=f"scene {scene.scene_id}",
                fix="give depth of your own, or annotate with a depth model (docs/inputs.md)",
            )
        if moment is None:
            return unproject_frames(observations.read, self.params.unproject, seed=self.seed)
        return self._start_of_moment(scene, observations.read, moment)

    def _start_of_moment(self, scene: SceneSource, read: Targets, moment: int) -> Gaussians:
        """Return the Gaussians of the source's own frame, and of others where it shows nothing.

        Views show what moves, and has no depth, painted over: what they invented comes last.
        """
        params = self.params.unproject.model_copy(update={"frame_stride": 1})
        around = surroundings_of(scene, moment)
        if around is None:
            return unproject_frames(read, params, seed=self.seed)
        completed = replace(
            read,
            depth=complete_depth(read.rgb, read.depth, read.depth_valid),
            depth_valid=torch.ones_like(read.depth_valid),
        )
        own, views = [0], list(range(1, len(read)))
        without_margin = params.model_copy(update={"margin": 0.0})
        made = unproject_frames(read[own], without_margin, seed=self.seed)
        for frames in (read[views], around, completed[views]):
            made = known_beyond(made, frames, params, seed=self.seed)
        return margins_beyond(made, completed, params, seed=self.seed)

    def _decoded(self, scene: SceneSource, moment: int | None) -> Gaussians:
        assert self.decoder is not None, "the method decoder has one"
        assert self.codec is not None, "the method decoder has a codec"
        if moment is not None and not self.decoder.params.dynamic:
            raise InputError(
                "this scene moves, and the decoder reconstructs scenes that stand still",
                where=f"scene {scene.scene_id}",
                fix="give the weights of a dynamic decoder, or take --method fit",
            )
        read = views_read(scene.views, self.decoder)
        at = None if moment is None else float(moment)
        gaussians = self.decoder.reconstruct(read, self.codec, moment=at)
        if not len(gaussians):
            raise InputError(
                "the decoder's pruning leaves no Gaussian",
                where=f"scene {scene.scene_id}",
                fix="give weights that were trained with a lower prune_ratio",
            )
        return gaussians


def views_read(views: Sequence[View], decoder: TrainedDecoder) -> list[View]:
    """Return the views that a decoder reads, in their order: those that show the motion forwards.

    A phase of training reads at most as many as it was trained with. Released weights get them as
    sample.py gives them, paths of other names last.
    """
    forward = [view for view in views if not view.motion_reversed]
    if decoder.phase is not None:
        return forward[: decoder.phase.max_views]
    ranks = {name: rank for rank, name in enumerate(RELEASED_ORDER)}
    return sorted(forward, key=lambda view: ranks.get(view.trajectory, len(ranks)))


def encoded_again(view: View, codec: LatentCodec) -> View:
    """Return a view with the codec's latents of its frames."""
    video = rearrange(view.frames, "frame channel height width -> channel frame height width")
    named = {"codec": codec.name, "codec_fingerprint": codec.fingerprint}
    return replace(
        view,
        latents=codec.encode(signed_from_bytes(video)),
        provenance={**view.provenance, **named},
    )
