"""Make what a decoder reads of a scene: latents of its views, and inputs of latents and rays.

The codec encodes rays, times and, at other sizes, pictures; it may run on an accelerator. So it
works in the thread that trains, where a step first needs its result, and never in the one that
reads ahead: its memory is never needed beside that of a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lyra_data.models.codecs.base import (
    LATENT_CHANNELS,
    SPATIAL_FACTOR,
    LatentCodec,
    num_latent_frames,
)
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.pixel_values import signed_from_unit
from lyra_model.batches.input_shape import InputShape
from lyra_model.decoder.inputs import DecoderInput, at_time, prepare_inputs
from lyra_model.decoder.pictures.inputs import ViewPictures

Latents = Float[Tensor, "16 t h w"]


class ViewLatents:
    """The latents of one view: as the dataset holds them, or encoded when they are first needed.

    Args:
        stored: those of the dataset, halves where they are stored so; None: there are none of this
            size.
        frames: the view's leading frames at the phase's size, 0..1, to encode in that case; each
            once, whether it is read once or, of a short view, again and again.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        stored: Latents | None = None,
        frames: Float[Tensor, "frame 3 height width"] | None = None,
    ) -> None:
        assert (stored is None) != (frames is None), "either latents or the frames to encode"
        self.shape = shape
        self._latents, self._frames = stored, frames

    def encoded(self, codec: LatentCodec) -> Latents:
        """Return the latents; the pictures they are made of are let go."""
        if self._latents is None:
            assert self._frames is not None
            self._latents = encode_frames(self._frames, self.shape, codec)
            self._frames = None
        return self._latents.float()

    @property
    def num_bytes(self) -> int:
        """Return the size of what is held: the latents, or the frames that they are made of."""
        held = self._frames if self._latents is None else self._latents
        assert held is not None
        return held.nbytes


class SceneInputs:
    """The inputs of some views of a scene, made when they are first needed.

    Args:
        cameras: of those views, all their frames, in any world.
        pictures: of those views, what `shape.picture_frames` show; none where that is empty.
    """

    def __init__(
        self,
        cameras: Sequence[Cameras],
        latents: Sequence[ViewLatents],
        shape: InputShape,
        pictures: Sequence[ViewPictures] = (),
    ) -> None:
        self.cameras, self.shape, self.pictures = cameras, shape, pictures
        self._latents = latents
        self._prepared: DecoderInput | None = None

    def prepared(self, codec: LatentCodec) -> DecoderInput:
        """Return the inputs in the CPU's memory, without a moment."""
        if self._prepared is None:
            frames = list(self.shape.frames)
            self._prepared = prepare_inputs(
                [view[frames] for view in self.cameras],
                [view.encoded(codec) for view in self._latents],
                codec,
                scene_scale=self.shape.scene_scale,
                pictures=self.pictures,
            )
            self._latents, self.pictures = (), ()
        return self._prepared

    @property
    def num_bytes(self) -> int:
        """Return the size of the inputs, prepared or not, in float32.

        A latent frame has the channels of the pictures, of o x d and of d; a frame has the three
        numbers of o and of d on the coarse grid; a picture has colours and depth.
        """
        num_frames = len(self.shape.frames)
        numbers = 3 * LATENT_CHANNELS * num_latent_frames(num_frames) + 6 * num_frames
        numbers *= _cells(self.shape)
        numbers += 4 * len(self.shape.picture_positions) * self.shape.height * self.shape.width
        return 4 * len(self.cameras) * numbers


def encode_frames(
    frames: Float[Tensor, "frame 3 height width"], shape: InputShape, codec: LatentCodec
) -> Latents:
    """Encode the frames that the decoder reads, given the view's leading ones, 0..1."""
    images = frames[list(shape.frames)]
    video = rearrange(images, "frame channel height width -> channel frame height width")
    return codec.encode(signed_from_unit(video))


def _cells(shape: InputShape) -> int:
    """Count the positions of the latents' grid."""
    return (shape.height // SPATIAL_FACTOR) * (shape.width // SPATIAL_FACTOR)


def inputs_at_time(
    inputs: DecoderInput, shape: InputShape, codec: LatentCodec, time: float | None
) -> DecoderInput:
    """Return the inputs to reconstruct a moment; those of a still decoder know no moments.

    Args:
        time: in frames, as `TargetFrames.times`.
    """
    if not shape.dynamic:
        return inputs
    assert time is not None, "a dynamic decoder reconstructs a moment"
    times = torch.tensor(shape.frames, dtype=torch.float32, device="cpu")
    return at_time(inputs, codec, frame_times=times, target_time=time)
