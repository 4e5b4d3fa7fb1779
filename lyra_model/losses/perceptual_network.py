"""The network behind LPIPS: how far apart two pictures look (Zhang et al. 2018).

Pictures go through the convolutions of VGG-16 or AlexNet, trained on ImageNet. After each of five
stages features are scaled to unit length at every pixel; their squared differences are weighted per
channel by a learned vector and averaged over the picture; the stages' figures are added.

Only the shapes are here. The numbers come from a file of the user's, since their licences are not
ours to pass on: a safetensors file with the backbone's convolutions and the five vectors, under the
names of the `lpips` package (`net.slice1.0.weight`, `lin0.model.1.weight`) or of torchvision
(`features.0.weight`, `lin0.weight`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lyra_data.engine.errors import LyraError, ParamsError
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.models.places import find_weights
from lyra_model.losses.params import PerceptualParams
from lyra_model.losses.perceptual import perceptual_input

CHANNEL_MEAN = (-0.030, -0.088, -0.188)
CHANNEL_DEVIATION = (0.458, 0.448, 0.450)
"""Statistics of pictures in [-1, 1]: ImageNet's, as LPIPS was trained with."""

SQUARED_LENGTH_EPSILON = 1e-20
"""Added before the square root, whose gradient at 0 is infinite."""


@dataclass(frozen=True)
class Backbone:
    """Convolutions as (index in torchvision's `features`, in, out, kernel, stride, padding).

    Attributes:
        stages: convolutions of each stage, each followed by ReLU; a max-pool comes before a stage
            where `pooled` says so.
        pool: kernel of the max-pools, of stride 2.
        least_side: smaller pictures leave nothing for the last stage.
    """

    stages: tuple[tuple[tuple[int, int, int, int, int, int], ...], ...]
    pooled: tuple[bool, ...]
    pool: int
    least_side: int


def _vgg(index: int, source: int, target: int, num: int) -> tuple[tuple[int, ...], ...]:
    widths = [source, *[target] * num]
    return tuple((index + 2 * i, widths[i], target, 3, 1, 1) for i in range(num))


BACKBONES: dict[str, Backbone] = {
    "vgg": Backbone(
        stages=(
            _vgg(0, 3, 64, 2),
            _vgg(5, 64, 128, 2),
            _vgg(10, 128, 256, 3),
            _vgg(17, 256, 512, 3),
            _vgg(24, 512, 512, 3),
        ),  # type: ignore[arg-type]
        pooled=(False, True, True, True, True),
        pool=2,
        least_side=16,
    ),
    "alex": Backbone(
        stages=(
            ((0, 3, 64, 11, 4, 2),),
            ((3, 64, 192, 5, 1, 2),),
            ((6, 192, 384, 3, 1, 1),),
            ((8, 384, 256, 3, 1, 1),),
            ((10, 256, 256, 3, 1, 1),),
        ),
        pooled=(False, True, True, False, False),
        pool=3,
        least_side=31,
    ),
}


class PerceptualNetwork(nn.Module):
    """LPIPS of pictures in [0, 1]. No weight of it is ever trained."""

    def __init__(self, backbone: str, max_height: int) -> None:
        super().__init__()
        self.shape, self.max_height = BACKBONES[backbone], max_height
        self.features = nn.ModuleDict(
            {
                str(index): nn.Conv2d(source, target, kernel, stride, padding)
                for stage in self.shape.stages
                for index, source, target, kernel, stride, padding in stage
            }
        )
        self.heads = nn.ParameterList(torch.zeros(stage[-1][2]) for stage in self.shape.stages)
        self.requires_grad_(False)

    def forward(
        self,
        predicted: Float[Tensor, "frame 3 height width"],
        target: Float[Tensor, "frame 3 height width"],
    ) -> Float[Tensor, " frame"]:
        distance = predicted.new_zeros(len(predicted))
        inputs = (perceptual_input(images, self.max_height) for images in (predicted, target))
        for distances in self.distance_maps(*inputs):
            distance = distance + distances.mean((1, 2))
        return distance

    def distance_maps(
        self,
        predicted: Float[Tensor, "frame 3 height width"],
        target: Float[Tensor, "frame 3 height width"],
    ) -> list[Float[Tensor, "frame stage_height stage_width"]]:
        """Return one map of weighted distances a stage, for pictures in [-1, 1], not resized."""
        pairs = zip(self._stages(predicted), self._stages(target), self.heads, strict=True)
        return [
            torch.einsum("fchw,c->fhw", (_unit(ours) - _unit(theirs)).square(), head)
            for ours, theirs, head in pairs
        ]

    def _stages(self, images: Tensor) -> list[Tensor]:
        mean, deviation = (
            images.new_tensor(values)[:, None, None] for values in (CHANNEL_MEAN, CHANNEL_DEVIATION)
        )
        x = (images - mean) / deviation
        found = []
        for stage, is_pooled in zip(self.shape.stages, self.shape.pooled, strict=True):
            if is_pooled:
                x = F.max_pool2d(x, self.shape.pool, 2)
            for index, *_ in stage:
                x = F.relu(self.features[str(index)](x))
            found.append(x)
        return found


def _unit(features: Tensor) -> Tensor:
    squared = features.square().sum(1, keepdim=True)
    return features / (squared + SQUARED_LENGTH_EPSILON).sqrt()


def load_perceptual(params: PerceptualParams, root: Path) -> tuple[PerceptualNetwork, str]:
    """The network with the user's weights, and the sha256 of their file.

    Args:
        root: the folder that a relative path starts from.

    Raises:
        ParamsError: no file is named, it cannot be read, or it lacks or misshapes a weight.
    """
    where = "params.yaml: train.perceptual.weights"
    assert params.weights is not None, "TrainParams refuses a weight of lpips without a file"
    path = find_weights(params.weights, root)
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ParamsError(
            f"{path} is no readable safetensors file ({error})",
            where=where,
            fix="name a safetensors file with the weights of LPIPS: docs/training.md",
        ) from None
    network = build_perceptual(
        given, params.backbone, params.max_height, source=str(path), where=where
    )
    return network, sha256_of_file(path)


def build_perceptual(
    tensors: Mapping[str, Tensor],
    backbone: str,
    max_height: int,
    *,
    source: str,
    where: str,
    error: type[LyraError] = ParamsError,
) -> PerceptualNetwork:
    """Return the network with these weights; others among them are passed over.

    Args:
        tensors: under the names of the `lpips` package, or of torchvision.
        source: the file or files that they come from, for messages.
        where: the key or option that named them.

    Raises:
        ParamsError (or `error`): one is missing or misshapen.
    """
    network = PerceptualNetwork(backbone, max_height)
    given = {_own_name(name): tensor for name, tensor in tensors.items()}
    own = network.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    for name, shape in shapes.items():
        found = given.get(name)
        if found is not None and name.startswith("heads."):
            found = given[name] = found.flatten()
        if found is None or tuple(found.shape) != shape:
            what = "lacks" if found is None else f"has {tuple(found.shape)} for"
            raise error(
                f"{source} {what} {name} of {shape}, which LPIPS with {backbone} needs",
                where=where,
                fix=f"take the weights of {backbone}, or choose the backbone that they are of",
            )
    network.load_state_dict({name: given[name].to(own[name].dtype) for name in own})
    return network


def _own_name(name: str) -> str:
    """Translate names of torchvision and of the `lpips` package into ours; others stay."""
    if head := re.fullmatch(r"lin(\d)\.(?:model\.1\.)?weight", name):
        return f"heads.{head[1]}"
    if convolution := re.fullmatch(r"(?:net\.slice\d|features)\.(\d+)\.(weight|bias)", name):
        return f"features.{convolution[1]}.{convolution[2]}"
    return name
