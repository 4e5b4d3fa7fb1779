"""Return values of a pipeline, and the forms its frames can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import suggestion
from lyra_data.scene.pixel_values import bytes_from_signed, signed_from_bytes

OUTPUT_TYPES = ["uint8", "pt", "np", "pil", "decoded", "latent"]


@dataclass(frozen=True)
class Gen3CPipelineOutput:
    """The whole video, on the CPU.

    Attributes:
        frames: by output_type. "uint8": bytes [batch frame 3 height width]; "pt": the same in
            [0, 1]; "np": [batch frame height width 3] in [0, 1]; "pil": lists of images;
            "decoded": what the VAE decoded [batch 3 frame height width], nominally [-1, 1], not
            clipped; "latent": None.
        latents: as the VAE encodes and decodes them (not normalised), all segments.
    """

    frames: Any
    latents: Float[Tensor, "batch 16 latent_frame latent_height latent_width"]


def check_output_type(output_type: str) -> None:
    """Raises ParamsError unless it is one of OUTPUT_TYPES."""
    if output_type not in OUTPUT_TYPES:
        raise ParamsError(
            f"unknown output_type {output_type!r}", fix=suggestion(output_type, OUTPUT_TYPES)
        )


def kept_frames(
    decoded: Float[Tensor, "batch 3 frame height width"], output_type: str
) -> Shaped[Tensor, "batch frame 3 height width"]:
    """Return what has to be kept of a segment's decoded video: bytes where bytes are asked for."""
    video = rearrange(decoded, "b c f h w -> b f c h w")
    return bytes_from_signed(video) if output_type in ("uint8", "pil") else video


def convert_frames(parts: list[Tensor], output_type: str) -> Any:
    """The kept frames of all segments in one of the forms of Gen3CPipelineOutput."""
    if output_type == "latent":
        return None
    video = torch.cat(parts, dim=1)
    if output_type == "decoded":
        return rearrange(video, "b f c h w -> b c f h w")
    if output_type == "pt":
        return (video / 2 + 0.5).clamp(0, 1)
    if output_type == "np":
        return rearrange((video / 2 + 0.5).clamp(0, 1), "b f c h w -> b f h w c").numpy()
    if output_type == "pil":
        from PIL import Image

        pixels = rearrange(video, "b f c h w -> b f h w c").numpy()
        return [[Image.fromarray(frame) for frame in frames] for frames in pixels]
    return video.contiguous()


def stored_as_bytes(
    decoded: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """A frame as it is after being stored in 8 bits: what a later segment starts from."""
    return signed_from_bytes(bytes_from_signed(decoded))
