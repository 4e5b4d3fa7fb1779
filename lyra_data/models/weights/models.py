"""The diffusers classes that converted weights belong to, and the shapes they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

CLASSES = {"transformer": "CosmosTransformer3DModel", "vae": "AutoencoderKLCosmos"}
"""Class of a model by the folder of the pipeline that holds it."""


def expected_shapes(part: str, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the weights of a model, built without memory for them.

    Raises:
        ValueError, TypeError, ...: diffusers does not accept the configuration.
    """
    return {name: tuple(t.shape) for name, t in _on_no_device(part, config).state_dict().items()}


def save_config(part: str, config: Mapping[str, Any], folder: Path) -> None:
    """Write config.json as diffusers would."""
    _on_no_device(part, config).save_config(folder)


def _on_no_device(part: str, config: Mapping[str, Any]) -> Any:
    import diffusers

    model_class = getattr(diffusers, CLASSES[part])
    with torch.device("meta"):
        return model_class.from_config(dict(config))
