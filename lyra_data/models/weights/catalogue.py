"""Catalogue: the released weights that we know by name, and what each is for.

Licences are as their publishers state them, read from stored copies of the texts named here, with
a commit or date where the copy gave one. They may change: what counts is what `pull` shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from lyra_data.engine.errors import InputError
from lyra_data.engine.params import suggestion

NVIDIA_OPEN = "NVIDIA Open Model License"


@dataclass(frozen=True)
class Release:
    """Weights on the Hub.

    Attributes:
        repository: of the Hub, "owner/name".
        purpose: what lyra-data needs them for.
        licence: as published; "not known here" where no text of the publisher was at hand.
        licence_source: the text it was read from, with its commit or date where known.
        excluded: patterns of files that are not fetched.
    """

    repository: str
    purpose: str
    licence: str
    licence_source: str
    excluded: tuple[str, ...] = ()


_OTHER_FRAMEWORKS = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "*.tflite", "*.mlmodel", "*.mlpackage*")

CATALOGUE: dict[str, Release] = {
    "gen3c": Release(
        repository="nvidia/GEN3C-Cosmos-7B",
        purpose="teacher: makes videos along camera paths",
        licence=NVIDIA_OPEN,
        licence_source="its model card; first release 2025-06-10",
    ),
    "cosmos-tokenizer": Release(
        repository="nvidia/Cosmos-Tokenize1-CV8x8x8-720p",
        purpose="codec: latents of the teacher and of the decoder",
        licence=NVIDIA_OPEN,
        licence_source="README of github.com/nvidia-cosmos/cosmos-predict1, commit 0fb5d5d",
    ),
    "lyra": Release(
        repository="nvidia/Lyra",
        purpose="Lyra's own 3D Gaussian decoders, static and dynamic",
        licence=NVIDIA_OPEN,
        licence_source="its model card, undated copy",
    ),
    "moge": Release(
        repository="Ruicheng/moge-vitl",
        purpose="depth of single images, as the reference",
        licence="MIT (of the code; the weights' card counts)",
        licence_source="README of github.com/microsoft/MoGe, commit 0643a32, 2025-03-18",
    ),
    "t5": Release(
        repository="google-t5/t5-11b",
        purpose="text encoder, for generation with prompts",
        licence="Apache-2.0",
        licence_source="its model card, undated copy",
        excluded=_OTHER_FRAMEWORKS,
    ),
    "depth-anything": Release(
        repository="depth-anything/Depth-Anything-V2-Small-hf",
        purpose="depth of single images, relative",
        licence="Apache-2.0 (Small alone)",
        licence_source="README of github.com/DepthAnything/Depth-Anything-V2, commit 049f021",
        excluded=_OTHER_FRAMEWORKS,
    ),
    "lpips-vgg": Release(
        repository="timm/vgg16.tv_in1k",
        purpose="LPIPS with VGG-16: its backbone, torchvision's weights in safetensors; the five "
        "learned vectors come with the PyPI packages lpips or torchmetrics",
        licence="BSD-3-Clause",
        licence_source="its model card, commit 3394518, 2023-04-25",
        excluded=("*.bin",),
    ),
    "depth-pro": Release(
        repository="apple/DepthPro-hf",
        purpose="depth of single images, in metres",
        licence="Apple Machine Learning Research Model License (research alone)",
        licence_source="its model card, 2025-02-28",
        excluded=_OTHER_FRAMEWORKS,
    ),
}


def find_release(name: str) -> Release:
    """Return the release of that name.

    Raises:
        InputError: the name is unknown; the known ones are listed.
    """
    if name not in CATALOGUE:
        raise InputError(f"unknown weights {name!r}", fix=suggestion(name, list(CATALOGUE)))
    return CATALOGUE[name]
