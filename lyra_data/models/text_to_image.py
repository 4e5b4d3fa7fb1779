"""Text to image: a picture from words, by a diffusers pipeline (FLUX.1-dev unless told otherwise).

The picture depends on the words, the settings and the seed alone; the noise is drawn on the CPU, so
that another device starts from the same.
"""

from __future__ import annotations

import gc
import inspect
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from einops import rearrange
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.params import Params, multiple_of
from lyra_data.engine.placement import Placement
from lyra_data.engine.seeds import torch_generator
from lyra_data.models.folders import ModelFolder, fetching_command, find_model

WHERE = "annotate.text_to_image"
SIZE_MULTIPLE = 16
"""Pixels: what FLUX's autoencoder and its patches of two divide by."""


Size = Annotated[int, multiple_of(SIZE_MULTIPLE, "pixels")]


class TextToImageParams(Params):
    """The way pictures are made from text.

    Attributes:
        model: Hub repository or folder of a diffusers pipeline that makes pictures from text.
        revision: commit, tag or branch of the repository; null for a folder, or for the one its
            default branch had when it was fetched.
        precision: number format of the weights.
        height, width: of the picture, in pixels; multiples of 16.
        num_steps: denoising steps.
        guidance: guidance scale; how closely the picture follows the text.
        true_guidance: of models that were trained with guidance as an input, such as FLUX: above 1,
            the text is also set against the negative text, in twice the time; 1 for all others.
    """

    model: Annotated[str, Field(min_length=1)]
    revision: str | None
    precision: Literal["bfloat16", "float32"]
    height: Size
    width: Size
    num_steps: Annotated[int, Field(ge=1)]
    guidance: Annotated[float, Field(ge=0)]
    true_guidance: Annotated[float, Field(ge=1)]


class TextToImage:
    """A text-to-image model, loaded at its first picture."""

    def __init__(self, params: TextToImageParams, placement: Placement) -> None:
        self.params = params
        self._placement = placement

    @property
    def model_identity(self) -> str:
        """Names the exact weights."""
        return self._folder.identity

    def paint(self, text: str, *, negative_text: str, seed: int) -> UInt8[Tensor, "3 height width"]:
        """Make a picture of the text.

        Args:
            negative_text: what the picture is to keep away from, or "".

        Raises:
            ParamsError: the model is not on this machine, makes no pictures from text, is cut, or
                cannot do what params ask.
            InputError: the model's picture holds NaN.
        """
        made = self._pipeline(
            **self._request(text, negative_text),
            generator=torch_generator(seed, text, "text_to_image"),
            output_type="np",
        )
        pixels = torch.from_numpy(made.images[0])
        if not bool(pixels.isfinite().all()):
            raise InputError(
                f"the picture of {text!r} holds NaN",
                where=WHERE,
                fix="set precision: float32, or another seed",
            )
        picture = rearrange((pixels * 255).round().clamp(0, 255), "y x channel -> channel y x")
        if picture.shape[-2:] != (self.params.height, self.params.width):
            raise ParamsError(
                f"{self.params.model} makes {picture.shape[2]}x{picture.shape[1]} pixels where "
                f"{self.params.width}x{self.params.height} were asked for",
                where=WHERE,
                fix="set height and width to what it makes",
            )
        return picture.to(torch.uint8)

    def release(self) -> None:
        """Give the model's memory back; a further picture loads it again."""
        if self.__dict__.pop("_pipeline", None) is not None:
            gc.collect()  # hooks of offloading refer to each other
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _request(self, text: str, negative_text: str) -> dict[str, Any]:
        params = self.params
        request: dict[str, Any] = {
            "prompt": text,
            "height": params.height,
            "width": params.width,
            "num_inference_steps": params.num_steps,
            "guidance_scale": params.guidance,
        }
        known = inspect.signature(self._pipeline.__call__).parameters
        if params.true_guidance > 1:
            request["true_cfg_scale"] = params.true_guidance
        if negative_text:
            request["negative_prompt"] = negative_text
        elif "true_cfg_scale" in request:
            request["negative_prompt"] = ""  # without one, the pipeline leaves true guidance out
        foreign = sorted(request.keys() - known.keys())
        if foreign:
            raise ParamsError(
                f"{type(self._pipeline).__name__} takes no {' and no '.join(foreign)}",
                where=WHERE,
                fix="leave out negative_text, set true_guidance: 1, or choose another model",
            )
        key = "true_guidance" if "true_cfg_scale" in known else "guidance"
        if negative_text and getattr(params, key) <= 1:
            raise ParamsError(
                f"the negative text {negative_text!r} would change nothing at {key} = "
                f"{getattr(params, key):g}",
                where=WHERE,
                fix=f"set {key} above 1 (twice the time), or leave out negative_text",
            )
        return request

    @cached_property
    def _folder(self) -> ModelFolder:
        params = self.params
        return find_model(params.model, params.revision, root=self._placement.root, where=WHERE)

    @cached_property
    def _pipeline(self) -> Any:
        from diffusers.pipelines.auto_pipeline import AutoPipelineForText2Image
        from safetensors import SafetensorError

        try:
            pipeline = AutoPipelineForText2Image.from_pretrained(
                str(self._folder.path),
                local_files_only=True,
                use_safetensors=True,
                dtype=getattr(torch, self.params.precision),
            )
        except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
            raise ParamsError(
                f"model {self.params.model!r} cannot be used to make pictures from text: "
                f"{str(error).partition(chr(10))[0]}",
                where=WHERE,
                fix="name a text-to-image model in the form of diffusers; if it is one, fetch it "
                f"again: `{fetching_command(self.params.model, self.params.revision)}`",
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        return _moved_to_device(pipeline, self._placement)


def _moved_to_device(pipeline: Any, placement: Placement) -> Any:
    """Return the pipeline on its device, or on its way there and back where memory is short."""
    device = torch.device(placement.device)
    if device.type == "cpu" or placement.offload == "none":
        return pipeline.to(device)
    if placement.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif placement.offload == "group":
        pipeline.enable_group_offload(onload_device=device, offload_type="leaf_level")
    else:
        pipeline.enable_sequential_cpu_offload(device=device)
    return pipeline
