"""The `transformers` estimator: Depth Anything (1, 2) and Depth Pro, by Hugging Face transformers.

Pictures are prepared here, as the models' own preprocessors do but without torchvision, so that a
machine with it and one without show a model the same pixels. Depth Anything: Yang et al., "Depth
Anything V2" (2406.09414). Depth Pro: Bochkovskii et al. (2410.02073).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from pydantic import Field
from torch import Tensor

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError, InputError, ParamsError
from lyra_data.engine.params import Params
from lyra_data.engine.placement import Placement
from lyra_data.media.images import image_of, tensor_of
from lyra_data.models.depth.base import DepthEstimate, central_intrinsics, check_size
from lyra_data.models.folders import ModelFolder, fetching_command, find_model
from lyra_data.scene.pixel_values import unit_from_bytes

PREPROCESSING = ("size", "image_mean", "image_std")
KINDS = {
    "depth_anything": (*PREPROCESSING, "keep_aspect_ratio", "ensure_multiple_of", "resample"),
    "depth_pro": PREPROCESSING,
}
"""`model_type` in config.json of the models known here: what they tell of their preprocessing."""
PREPROCESSOR = "preprocessor_config.json"
FARTHEST_METRES = 1e4
"""Depth Pro's own limit: what it puts there or beyond is sky, of unknown depth."""
WHERE = "depth estimator 'transformers'"


class TransformersDepthParams(Params):
    """Depth Anything or Depth Pro.

    Attributes:
        model: Hub repository, such as apple/DepthPro-hf (metric, estimates the field of view),
            depth-anything/Depth-Anything-V2-Metric-Indoor-Large-hf (metric) or
            depth-anything/Depth-Anything-V2-Large-hf (relative), or a folder of such a model.
        revision: commit, tag or branch of the repository; null for a folder, or for the one its
            default branch had when it was fetched.
        field_of_view_degrees: horizontal, of pictures without intrinsics; null: what the model
            estimates, if it does.
        far_over_near: of a relative model, how many times as far as its nearest pixel the picture's
            farthest one is taken to be. The model leaves it open.
    """

    name: Literal["transformers"]
    model: Annotated[str, Field(min_length=1)]
    revision: str | None
    field_of_view_degrees: Annotated[float | None, Field(gt=0, lt=180)]
    far_over_near: Annotated[float, Field(gt=1)]


class TransformersDepth:
    """See the module's docstring."""

    Params = TransformersDepthParams
    name: ClassVar[str] = "transformers"
    has_model: ClassVar[bool] = True

    def __init__(self, params: TransformersDepthParams) -> None:
        self.params = params
        self._placement = Placement("cpu")

    @property
    def fingerprint(self) -> str:
        view = self.params.field_of_view_degrees
        settings = f"far{self.params.far_over_near:g}-view{'own' if view is None else f'{view:g}'}"
        return f"transformers-{settings}-{self._folder.identity}"

    def run_on(self, placement: Placement) -> None:
        self._placement = placement

    @torch.no_grad()
    def estimate(
        self, image: UInt8[Tensor, "3 height width"], intrinsics: Float[Tensor, " 4"] | None
    ) -> DepthEstimate:
        """Estimate depth of every pixel, but of sky beyond Depth Pro's limit."""
        height, width = image.shape[-2:]
        check_size(height, width)
        if intrinsics is None and self.params.field_of_view_degrees is not None:
            field_of_view = math.radians(self.params.field_of_view_degrees)
            intrinsics = central_intrinsics(field_of_view, height=height, width=width)
        picture, model = self._model_input(image), self._model.to(self._placement.device)
        output = model(pixel_values=picture[None].to(self._placement.device))
        if self._placement.offload != "none":
            model.to("cpu")
        values = F.interpolate(
            output.predicted_depth.float()[:, None], (height, width), mode="bilinear"
        )[0, 0].cpu()
        if model.config.model_type == "depth_pro":
            return _from_depth_pro(values, output.field_of_view, intrinsics)
        if model.config.depth_estimation_type == "metric":
            return DepthEstimate.where_possible(values, values > 0, "metric", intrinsics)
        depth = depth_of_relative(values, self.params.far_over_near)
        return DepthEstimate.where_possible(depth, depth > 0, "up_to_scale", intrinsics)

    def _model_input(
        self, image: UInt8[Tensor, "3 height width"]
    ) -> Float[Tensor, "3 rows columns"]:
        """Return the picture as the model takes it."""
        if self._model.config.model_type == "depth_pro":
            return _depth_pro_input(image, self._preprocessor)
        return _depth_anything_input(image, self._preprocessor)

    @cached_property
    def _folder(self) -> ModelFolder:
        return find_model(
            self.params.model, self.params.revision, root=self._placement.root, where=WHERE
        )

    @cached_property
    def _preprocessor(self) -> dict[str, Any]:
        try:
            values = read_json_object(
                self._folder.path / PREPROCESSOR, kind="preprocessor", fix="fetch it again"
            )
            return {key: values[key] for key in KINDS[self._model.config.model_type]}
        except (OSError, CorruptDataError, KeyError) as error:
            raise self._unloadable(f"{PREPROCESSOR}: {error!r}") from error

    @cached_property
    def _model(self) -> Any:
        from safetensors import SafetensorError
        from transformers import AutoConfig, AutoModelForDepthEstimation

        folder = str(self._folder.path)
        try:
            kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
            if kind not in KINDS:
                raise self._unloadable(f"it is a {kind!r}, known are {' and '.join(KINDS)}")
            model, loading = AutoModelForDepthEstimation.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise self._unloadable(str(error).partition("\n")[0]) from error
        missing = sorted(loading["missing_keys"])
        if missing:  # transformers would fill them with random numbers
            raise self._unloadable(f"{len(missing)} weights are missing, first {missing[0]}")
        return model.eval()

    def _unloadable(self, reason: str) -> ParamsError:
        return ParamsError(
            f"model {self.params.model!r} cannot be used as a depth model: {reason}",
            where=WHERE,
            fix="name a Depth Anything or Depth Pro model in the form of transformers (-hf), "
            "e.g. apple/DepthPro-hf; if it is one, fetch it again: "
            f"`{fetching_command(self.params.model, self.params.revision)}`",
        )


def depth_of_relative(
    values: Float[Tensor, "height width"], far_over_near: float
) -> Float[Tensor, "height width"]:
    """Return depth in units of the nearest pixel's, from relative inverse depth.

    A relative model tells a / depth + b with a > 0 and b unknown. We take its largest value for
    depth 1 and its smallest for depth `far_over_near`, and go linearly in inverse depth between.

    Raises:
        InputError: all values are equal.
    """
    nearest, farthest = values.max(), values.min()
    if not bool(nearest > farthest):
        raise InputError(
            "the depth model sees no pixel nearer than another",
            fix="give depth with the picture, or choose another model",
        )
    nearness = (values - farthest) / (nearest - farthest)
    return 1.0 / (nearness + (1.0 - nearness) / far_over_near)


def _from_depth_pro(
    values: Float[Tensor, "height width"],
    field_of_view_degrees: Tensor | None,
    intrinsics: Float[Tensor, " 4"] | None,
) -> DepthEstimate:
    """Return metric depth: the network gives focal length / (width * depth) (2410.02073, section
    3)."""
    height, width = values.shape
    if intrinsics is None and field_of_view_degrees is not None:
        degrees = float(field_of_view_degrees.reshape(-1)[0])
        if not 0 < degrees < 180:
            raise InputError(
                f"the depth model tells a field of view of {degrees:.4g} degrees",
                fix="give the picture's intrinsics, or set field_of_view_degrees",
            )
        intrinsics = central_intrinsics(math.radians(degrees), height=height, width=width)
    if intrinsics is None:
        return DepthEstimate.where_possible(1.0 / values, values > 0, "up_to_scale", None)
    inverse_depth = values * width / intrinsics[0]
    known = inverse_depth > 1.0 / FARTHEST_METRES
    return DepthEstimate.where_possible(1.0 / inverse_depth, known, "metric", intrinsics)


def _depth_anything_input(
    image: UInt8[Tensor, "3 height width"], preprocessor: Mapping[str, Any]
) -> Float[Tensor, "3 rows columns"]:
    """Resize (antialiased) as little as brings one side to the model's, then normalise."""
    height, width = image.shape[-2:]
    scale_y = preprocessor["size"]["height"] / height
    scale_x = preprocessor["size"]["width"] / width
    if preprocessor["keep_aspect_ratio"]:
        scale_y = scale_x = min(scale_y, scale_x, key=lambda scale: abs(1 - scale))
    multiple = preprocessor["ensure_multiple_of"]
    rows, columns = (
        max(round(side / multiple), 1) * multiple for side in (height * scale_y, width * scale_x)
    )
    method = Image.Resampling(preprocessor["resample"])
    resized = tensor_of(image_of(image).resize((columns, rows), method))
    return _normalised(resized, preprocessor)


def _depth_pro_input(
    image: UInt8[Tensor, "3 height width"], preprocessor: Mapping[str, Any]
) -> Float[Tensor, "3 rows columns"]:
    """Normalise, then squeeze to the model's square without antialiasing."""
    size = (preprocessor["size"]["height"], preprocessor["size"]["width"])
    return F.interpolate(_normalised(image, preprocessor)[None], size, mode="bilinear")[0]


def _normalised(
    image: UInt8[Tensor, "3 height width"], preprocessor: Mapping[str, Any]
) -> Float[Tensor, "3 height width"]:
    mean, std = (
        torch.tensor(preprocessor[key])[:, None, None] for key in ("image_mean", "image_std")
    )
    return (unit_from_bytes(image) - mean) / std
