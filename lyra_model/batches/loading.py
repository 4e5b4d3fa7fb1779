"""Make batches of whole scenes, as evaluation needs them, of views that were read before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.models.codecs.base import LatentCodec, num_latent_frames
from lyra_data.scene.view import View
from lyra_model.batches.input_shape import InputShape, input_shape
from lyra_model.batches.resizing import resize_frames, sample_nearest
from lyra_model.batches.scene_inputs import encode_frames, inputs_at_time
from lyra_model.batches.scene_views import require_forward_view
from lyra_model.batches.targets import Targets
from lyra_model.decoder import DecoderParams
from lyra_model.decoder.inputs import DecoderInput, prepare_inputs
from lyra_model.decoder.pictures.inputs import ViewPictures
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.phases.view_sampling import ViewList


@dataclass(frozen=True)
class SceneBatch:
    """One scene, ready for the decoder.

    Attributes:
        inputs: what the decoder reads, of the views that show the motion forwards.
        targets: every frame of every view, held-out ones included, in the CPU's memory.
        views: which of them are read.
    """

    scene_id: str
    inputs: DecoderInput
    targets: list[Targets]
    views: ViewList

    @property
    def input_targets(self) -> list[Targets]:
        """Return every frame of the views that the decoder reads."""
        return [self.targets[view] for view in self.views.forward]


class SceneLoader:
    """Makes batches of whole scenes for decoders of one shape.

    Args:
        codec: the codec of the dataset's latents; re-encodes frames at other sizes.
        device: where the decoder runs.
    """

    def __init__(
        self, dataset: SceneDataset, codec: LatentCodec, shape: InputShape, *, device: torch.device
    ) -> None:
        self.dataset, self.codec, self.shape, self.device = dataset, codec, shape, device

    @property
    def num_different_frames(self) -> int:
        """Count the leading frames of every view that are read, each once."""
        return self.shape.num_different_frames

    def batch_of(self, scene_id: str, views: list[View]) -> SceneBatch:
        """Return the batch of a scene's views.

        Raises:
            InputError: the scene has no view that shows its motion forwards.
        """
        listed = ViewList(tuple(view.motion_reversed for view in views), len(views[0].frames))
        require_forward_view(listed, scene_id)
        read = [views[view] for view in listed.forward]
        size, frames = (self.shape.height, self.shape.width), list(self.shape.frames)
        inputs = prepare_inputs(
            [view.cameras.resized(*size)[frames] for view in read],
            [self._latents(view) for view in read],
            self.codec,
            scene_scale=self.shape.scene_scale,
            pictures=self._pictures([resize_frames(view.frames, *size) for view in read]),
        )
        first_camera = read[0].cameras.camera_to_world[0]
        targets = [self._targets(view, first_camera) for view in views]
        return SceneBatch(scene_id, inputs, targets, listed)

    def reading(self, batch: SceneBatch, views: Sequence[int]) -> SceneBatch:
        """Return the batch of a decoder that reads some of the forward views.

        The first camera of them is the world of its inputs and targets.

        Args:
            views: positions of forward views, in the order they are read.
        """
        forward = batch.views.forward
        if list(views) == forward:
            return batch
        latents = rearrange(
            batch.inputs.latents[0], "(view t) c h w -> view c t h w", view=len(forward)
        )
        first_camera = batch.targets[views[0]].cameras.camera_to_world[0]
        targets = [
            replace(target, cameras=target.cameras.relative_to(first_camera))
            for target in batch.targets
        ]
        inputs = prepare_inputs(
            [targets[view].cameras[list(self.shape.frames)] for view in views],
            [latents[forward.index(view)] for view in views],
            self.codec,
            scene_scale=self.shape.scene_scale,
            pictures=self._pictures([targets[view].rgb for view in views]),
        )
        return replace(batch, inputs=inputs, targets=targets)

    def judging(self, batch: SceneBatch, most: int | None) -> SceneBatch:
        """Return the batch as a decoder is judged on it.

        One that was trained on at most so many views (None: all) reads the first ones.
        """
        return self.reading(batch, batch.views.forward[:most])

    def inputs_at(self, batch: SceneBatch, time: float | None) -> DecoderInput:
        """Return what the decoder reads to reconstruct a moment, on its device.

        Args:
            time: in frames, as `Targets.times`; a still decoder knows no moments.
        """
        return inputs_at_time(batch.inputs, self.shape, self.codec, time).to(self.device)

    def _latents(self, view: View) -> Float[Tensor, "16 t h w"]:
        """Return stored latents of leading frames at the stored size, fresh ones of any others."""
        if self.shape.reads_stored_latents(view.cameras.height, view.cameras.width):
            return view.latents[:, : num_latent_frames(len(self.shape.frames))]
        leading = view.frames[: self.shape.num_different_frames]
        images = resize_frames(leading, self.shape.height, self.shape.width)
        return encode_frames(images, self.shape, self.codec)

    def _pictures(
        self, frames: Sequence[Float[Tensor, "frame 3 height width"]]
    ) -> list[ViewPictures]:
        """Return what a decoder of pictures is given of every view's frames; others: nothing."""
        if not self.shape.picture_positions:
            return []
        chosen = self.shape.picture_frames
        return [ViewPictures(self.shape.picture_positions, rgb[chosen]) for rgb in frames]

    def _targets(self, view: View, first_camera: Float[Tensor, "4 4"]) -> Targets:
        size = (self.shape.height, self.shape.width)
        times = torch.arange(len(view.frames), dtype=torch.float32, device="cpu")
        return Targets(
            rgb=resize_frames(view.frames, *size),
            depth=sample_nearest(view.depth, *size),
            depth_valid=sample_nearest(view.depth_valid, *size),
            filled=sample_nearest(view.filled, *size),
            cameras=view.cameras.resized(*size).relative_to(first_camera),
            times=times.flip(0) if view.motion_reversed else times,
        )


def loader_of(
    name: str,
    phase: PhaseParams,
    decoder: DecoderParams,
    dataset: SceneDataset,
    codec: LatentCodec,
    *,
    device: torch.device,
    held_out_frames: int,
) -> SceneLoader:
    """Return the loader of phase `name`.

    Raises:
        ParamsError: as `readable_frames`.
    """
    shape = input_shape(name, phase, decoder, dataset, held_out_frames=held_out_frames)
    return SceneLoader(dataset, codec, shape, device=device)
