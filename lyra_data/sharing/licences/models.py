"""List the licences of models that data depend on: teachers, depth, text to image, codecs.

A model that is not listed has an unknown licence. As in the catalogue of weights, these are copies
of what publishers stated, and may age: what counts is what the model's page shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lyra_data.sharing.licences.known import (
    APPLE_RESEARCH,
    FLUX_NON_COMMERCIAL,
    NVIDIA_OPEN_MODEL,
)

_COSMOS_README = "README of github.com/nvidia-cosmos/cosmos-predict1, commit 0fb5d5d"
_DEPTH_ANYTHING = "README of github.com/DepthAnything/Depth-Anything-V2, commit 049f021"
_FLUX = "README of github.com/black-forest-labs/flux"
_OURS = "LICENSE of lyra-data; it has no weights"


@dataclass(frozen=True)
class KnownModel:
    """A model whose publisher stated a licence.

    Attributes:
        licence: identifier in LICENCES.
        read_in: the text that states it.
    """

    licence: str
    read_in: str


GEN3C = "nvidia/GEN3C-Cosmos-7B"
COSMOS_TOKENIZER = "nvidia/Cosmos-Tokenize1-CV8x8x8-720p"
T5 = "google-t5/t5-11b"

MODELS: Mapping[str, KnownModel] = {
    "warp": KnownModel("Apache-2.0", _OURS),
    "dct": KnownModel("Apache-2.0", _OURS),
    "colmap": KnownModel("BSD-3-Clause", "COPYING.txt of pycolmap 4.2.1"),
    GEN3C: KnownModel(NVIDIA_OPEN_MODEL, "its model card; first release 2025-06-10"),
    COSMOS_TOKENIZER: KnownModel(NVIDIA_OPEN_MODEL, _COSMOS_README),
    "nvidia/Lyra": KnownModel(NVIDIA_OPEN_MODEL, "its model card, undated copy"),
    T5: KnownModel("Apache-2.0", "its model card, undated copy"),
    "Ruicheng/moge-vitl": KnownModel("Apache-2.0", "its page on the Hub, copy of 2024-10-26"),
    "apple/DepthPro-hf": KnownModel(APPLE_RESEARCH, "its model card, 2025-02-28"),
    "apple/DepthPro": KnownModel(APPLE_RESEARCH, "its model card, 2025-02-28"),
    "depth-anything/Depth-Anything-V2-Small-hf": KnownModel("Apache-2.0", _DEPTH_ANYTHING),
    "depth-anything/Depth-Anything-V2-Base-hf": KnownModel("CC-BY-NC-4.0", _DEPTH_ANYTHING),
    "depth-anything/Depth-Anything-V2-Large-hf": KnownModel("CC-BY-NC-4.0", _DEPTH_ANYTHING),
    "black-forest-labs/FLUX.1-dev": KnownModel(FLUX_NON_COMMERCIAL, _FLUX),
    "black-forest-labs/FLUX.1-schnell": KnownModel("Apache-2.0", _FLUX),
}
"""Keys are repositories on the Hub, and names of kinds that have no weights."""

_BY_SPELLING = {name.lower(): model for name, model in MODELS.items()}


def known_model(name: str) -> KnownModel | None:
    """Return what is known of a model: OWNER/NAME of the Hub, whatever the case; None: nothing."""
    return _BY_SPELLING.get(name.lower())
