"""Make what the decoder reads of a scene, from cameras and latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.models.codecs.base import SPATIAL_FACTOR, LatentCodec, num_latent_frames
from lyra_data.scene.cameras import Cameras
from lyra_model.decoder.latents import encode_rays, encode_times, join_views
from lyra_model.decoder.pictures.inputs import InputPictures, ViewPictures, select_pictures
from lyra_model.decoder.rays import coarse_rays, pluecker
from lyra_model.decoder.times import embed_times, normalise_times


@dataclass(frozen=True)
class DecoderInput:
    """Inputs of scenes with the same number of views and frames.

    Views lie on the frame axis, view slowest.

    Attributes:
        latents: of the views' frames.
        plucker_latents: the views' rays as a codec sees them: 16 channels of o x d, 16 of d.
        rays_o: origins of the coarse grid's rays, in the first input camera's frame, scaled.
        rays_d: their unit directions.
        num_views: views of a scene.
        scene_scale: what poses were multiplied by; the decoder divides Gaussians by it.
        time_latents: of the input times and, last, of the target time; dynamic scenes only.
        pictures: for decoders that are also given some of the frames themselves.
    """

    latents: Float[Tensor, "scene view_latent 16 h w"]
    plucker_latents: Float[Tensor, "scene view_latent 32 h w"]
    rays_o: Float[Tensor, "scene view_frame 3 h w"]
    rays_d: Float[Tensor, "scene view_frame 3 h w"]
    num_views: int
    scene_scale: float
    time_latents: Float[Tensor, "scene latents_and_target 16 h w"] | None = None
    pictures: InputPictures | None = None

    def __post_init__(self) -> None:
        _, frames, _, height, width = self.latents.shape
        assert frames % self.num_views == 0, (frames, self.num_views)
        assert height % 2 == 0, f"latent height {height} is odd: image sizes are multiples of 16"
        assert width % 2 == 0, f"latent width {width} is odd: image sizes are multiples of 16"

    def __len__(self) -> int:
        return len(self.latents)

    def to(self, *args, **kwargs) -> DecoderInput:
        """Move or convert every tensor, as torch.Tensor.to does."""
        moved = {
            field.name: value.to(*args, **kwargs)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor | InputPictures)
        }
        return replace(self, **moved)

    @staticmethod
    def concatenate(parts: list[DecoderInput]) -> DecoderInput:
        """Join the scenes of several inputs of one shape and scale."""
        first = parts[0]
        assert all(part.num_views == first.num_views for part in parts)
        assert all(part.scene_scale == first.scene_scale for part in parts)
        joined: dict[str, Any] = {
            field.name: torch.cat([getattr(part, field.name) for part in parts])
            for field in fields(first)
            if isinstance(getattr(first, field.name), Tensor)
        }
        pictures = [part.pictures for part in parts if part.pictures is not None]
        if pictures:
            joined["pictures"] = InputPictures.concatenate(pictures)
        return replace(first, **joined)


def prepare_inputs(
    cameras: list[Cameras],
    latents: list[Float[Tensor, "16 t h w"]],
    codec: LatentCodec,
    *,
    scene_scale: float,
    frame_times: Float[Tensor, " frame"] | None = None,
    target_time: float | None = None,
    pictures: Sequence[ViewPictures] = (),
) -> DecoderInput:
    """Return one scene as the decoder reads it; `at_time` gives it another target time.

    Args:
        cameras: of every view; all with 8k+1 frames and image sizes of 8 times the latents'.
        latents: of every view, as `codec` encodes its frames.
        codec: the one that made the latents; it encodes rays and times here.
        scene_scale: multiplies the poses, see DecoderParams.
        frame_times: time of every frame, in any unit; all views share them. Dynamic scenes only.
        target_time: the moment to reconstruct, in the same unit.
        pictures: of every view, for decoders that are given them.
    """
    assert len(cameras) == len(latents), (len(cameras), len(latents))
    for view, of_view in zip(cameras, latents, strict=True):
        expected = (
            num_latent_frames(len(view)),
            view.height // SPATIAL_FACTOR,
            view.width // SPATIAL_FACTOR,
        )
        assert of_view.shape[1:] == expected, (of_view.shape, expected)

    first_camera = cameras[0].camera_to_world[0]
    relative = [scaled(view.relative_to(first_camera), scene_scale) for view in cameras]
    origins, directions = zip(
        *(coarse_rays(view, SPATIAL_FACTOR) for view in relative), strict=True
    )
    inputs = DecoderInput(
        latents=join_views(latents)[None],
        plucker_latents=torch.cat([encode_rays(pluecker(view), codec) for view in relative])[None],
        rays_o=torch.cat(origins)[None],
        rays_d=torch.cat(directions)[None],
        num_views=len(cameras),
        scene_scale=scene_scale,
        pictures=select_pictures(pictures, relative, scene_scale) if pictures else None,
    )
    if frame_times is None:
        return inputs
    assert target_time is not None, "frame_times without a target_time"
    return at_time(inputs, codec, frame_times=frame_times, target_time=target_time)


def at_time(
    inputs: DecoderInput,
    codec: LatentCodec,
    *,
    frame_times: Float[Tensor, " frame"],
    target_time: float,
) -> DecoderInput:
    """Return the same scene, to be reconstructed at another moment.

    Arguments are those of `prepare_inputs`.
    """
    times = torch.cat([frame_times, frame_times.new_tensor([target_time])])
    latent_height, latent_width = inputs.latents.shape[-2:]
    encoded = encode_times(
        embed_times(normalise_times(times)),
        codec,
        height=latent_height * SPATIAL_FACTOR,
        width=latent_width * SPATIAL_FACTOR,
    )
    return replace(inputs, time_latents=encoded[None])


def scaled(cameras: Cameras, factor: float) -> Cameras:
    """Return the cameras of the same scene in another unit: positions times `factor`."""
    pose = cameras.camera_to_world.clone()
    pose[:, :3, 3] *= factor
    return replace(cameras, camera_to_world=pose)
