"""TrainedDecoder: a phase's decoder with its weights, ready to turn views into Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import CorruptDataError, InputError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.codecs.base import TEMPORAL_FACTOR, LatentCodec, num_latent_frames
from lyra_data.models.codecs.latent_spaces import view_in_space_of
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_data.scene.view import View
from lyra_model.decoder import DecoderParams, create_decoder
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.decoder.inputs import prepare_inputs
from lyra_model.decoder.pictures.inputs import ViewPictures, picture_positions
from lyra_model.gaussians import Gaussians
from lyra_model.phases.checkpoint_locations import checkpoint_folder
from lyra_model.phases.checkpoints import Checkpoint, load_checkpoint
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.rendering.base import RenderingParams

SIZE_MULTIPLE = 16
"""Sides of pictures: 8 for a latent, two latents for a token."""


@dataclass(frozen=True)
class TrainedDecoder:
    """A decoder with the settings that it was trained with; `load_decoder` makes it.

    Attributes:
        network: in evaluation mode, without gradients, on its device.
        params: settings of the network.
        phase: settings of its training; None: released weights, which come without.
        rendering: how its training rendered; None: as `phase`.
        codec_name: the codec of the latents that it reads.
        codec_fingerprint: exact codec; None: not known.
        prune_ratio: share of the Gaussians that are dropped where nobody says otherwise: as in
            training, and of released weights as Lyra's own sample.py.
        weights_sha256: of the file that holds them.
    """

    network: GaussianDecoder
    params: DecoderParams
    phase: PhaseParams | None
    rendering: RenderingParams | None
    codec_name: str
    codec_fingerprint: str | None
    prune_ratio: float
    weights_sha256: str

    @property
    def device(self) -> torch.device:
        """Return where the network lies."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def reconstruct(
        self,
        views: Sequence[View],
        codec: LatentCodec,
        *,
        num_frames: int | None = None,
        moment: float | None = None,
        prune_ratio: float | None = None,
    ) -> Gaussians:
        """Return one scene's Gaussians in the world of the views' cameras, on the network's device.

        Args:
            views: of one scene, all of one size; of those that show the motion forwards.
            codec: the one that made the views' latents; it encodes rays and times here. Of `cosmos`
                they may be normalised, as Lyra's data has them.
            num_frames: leading frames of every view to read, 8k+1; None: as in training, or all.
            moment: the frame to reconstruct, 0 for the first; dynamic decoders only.
            prune_ratio: share of the Gaussians to drop, the least opaque ones; None: the decoder's
                own.

        Raises:
            InputError: there are no views, too few frames, a reversed view, sizes that differ or
                are no multiples of 16, another codec, or a moment where the decoder is static.
        """
        self._refuse_codec(codec)
        num_frames = self._num_frames(views) if num_frames is None else num_frames
        _refuse_views(views, num_frames)
        views = [_with_latents_of(codec, view) for view in views]
        if moment is not None and not self.params.dynamic:
            raise InputError(
                f"moment {moment} of a static decoder", where="moment", fix="leave it out"
            )
        times = torch.arange(num_frames, dtype=torch.float32) if self.params.dynamic else None
        inputs = prepare_inputs(
            [view.cameras[:num_frames] for view in views],
            [view.latents[:, : num_latent_frames(num_frames)].float() for view in views],
            codec,
            scene_scale=self.params.scene_scale,
            frame_times=times,
            target_time=None if times is None else float(moment or 0),
            pictures=self._pictures(views, num_frames),
        )
        if prune_ratio is None:
            prune_ratio = self.prune_ratio
        (gaussians,) = self.network(inputs.to(self.device), prune_ratio=prune_ratio)
        return gaussians.transformed(_world_from_first_camera(views).to(self.device))

    def _pictures(self, views: Sequence[View], num_frames: int) -> list[ViewPictures]:
        if self.params.pictures is None:
            return []
        chosen = picture_positions(num_frames, self.params.pictures.per_view)
        return [ViewPictures(chosen, unit_from_bytes(view.frames[list(chosen)])) for view in views]

    def _num_frames(self, views: Sequence[View]) -> int:
        if self.phase is not None:
            return self.phase.num_frames
        shortest = min((len(view.cameras) for view in views), default=1)
        return (shortest - 1) // TEMPORAL_FACTOR * TEMPORAL_FACTOR + 1

    def _refuse_codec(self, codec: LatentCodec) -> None:
        given, trained_on = codec.name, self.codec_name
        if given == trained_on and self.codec_fingerprint is not None:
            given, trained_on = codec.fingerprint, self.codec_fingerprint
        if given != trained_on:
            raise InputError(
                f"the codec is {given}, and the decoder was trained on latents of {trained_on}",
                where="codec",
                fix=f"create_codec({self.codec_name!r}, ...), and views with its latents",
            )


def load_decoder(location: Path | str, *, device: str | None = None) -> TrainedDecoder:
    """Return the decoder of a checkpoint, ready to run.

    Args:
        location: the folder of a trained phase, e.g. outputs/models/demo, or what `lyra-data
            weights convert lyra` made of released weights; or a model of the Hub, "you/model",
            "you/model@v1" or "hf://you/model@v1/folder", which is kept in the Hub's cache.
        device: as torch spells it; None: a GPU where there is one.

    Raises:
        InputError: there is no such folder.
        DownloadError: the Hub does not have it, refuses it, or cannot be reached.
        CorruptDataError: a file in it is missing, cut, altered, or of another release.
        ExecutorError: this machine has no such device.
    """
    path = checkpoint_folder(location)
    checkpoint = load_checkpoint(path)
    placement = Placement.asked_for(device, "none", Path())
    try:
        return _assemble(checkpoint, placement)
    except ParamsError as error:
        raise CorruptDataError(
            f"written by another release: {error.what}",
            where=str(path),
            fix="train again with this release, or install the one that wrote it",
        ) from None


def _assemble(checkpoint: Checkpoint, placement: Placement) -> TrainedDecoder:
    config = checkpoint.config
    params = DecoderParams.parse(config.get("decoder"), where="decoder")
    network = create_decoder(params)
    network.load_state_dict(checkpoint.weights, strict=True, assign=True)
    network.to(placement.device).eval().requires_grad_(False)
    stated, rendering = config.get("phase"), config.get("rendering")
    phase = None if stated is None else PhaseParams.parse(stated, where="phase")
    return TrainedDecoder(
        network=network,
        params=params,
        phase=phase,
        rendering=None
        if rendering is None
        else RenderingParams.parse(rendering, where="rendering"),
        codec_name=config["codec"],
        codec_fingerprint=config["codec_fingerprint"],
        prune_ratio=float(config.get("prune_ratio", 0.0)) if phase is None else phase.prune_ratio,
        weights_sha256=config["weights_sha256"],
    )


def _refuse_views(views: Sequence[View], num_frames: int) -> None:
    if not views:
        raise InputError("there are no views", where="views", fix="give one or more")
    if num_frames % TEMPORAL_FACTOR != 1:
        raise InputError(f"{num_frames} frames is not 8k+1", where="num_frames", fix="e.g. 17")
    sizes = sorted({(view.cameras.height, view.cameras.width) for view in views})
    if len(sizes) > 1 or any(length % SIZE_MULTIPLE for length in sizes[0]):
        raise InputError(
            f"pictures of {', '.join(f'{height}x{width}' for height, width in sizes)}",
            where="views",
            fix="give views of one size, its sides multiples of 16",
        )
    for view in views:
        where = f"scene {view.scene_id}, {view.trajectory}"
        if view.motion_reversed:
            raise InputError(
                "this view shows its motion backwards", where=where, fix="leave it out"
            )
        if len(view.cameras) < num_frames:
            raise InputError(
                f"{len(view.cameras)} frames, {num_frames} are read",
                where=where,
                fix="give a smaller num_frames, or longer views",
            )


def _with_latents_of(codec: LatentCodec, view: View) -> View:
    read = view_in_space_of(view, codec)
    if read is None:
        raise InputError(
            f"the view's latents are of codec {view.provenance['codec']} "
            f"({view.provenance['codec_fingerprint']}), not of {codec.name} ({codec.fingerprint})",
            where=f"scene {view.scene_id}, {view.trajectory}",
            fix="give views with its latents: encode their frames with the codec",
        )
    return read


def _world_from_first_camera(views: Sequence[View]) -> Float[Tensor, "4 4"]:
    return views[0].cameras.camera_to_world[0]
