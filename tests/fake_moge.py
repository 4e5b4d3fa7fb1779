"""A stand-in for the package `moge`, which is not on PyPI: same interface, no network.

`install` puts the modules `moge.model.v1` and `moge.model.v2` in sys.modules. Their MoGeModel reads
a checkpoint of MoGe's form (model_config, model) and "sees" a slanted floor below a sky, so that
the numbers that come out are known. What is and is not in the answer follows MoGe 1 and 2: depth is
+inf where the mask is False, intrinsics are of a picture of size 1x1. So does what they take: both
ignore settings they do not know; v2 also ignores weights it misses or does not know, and scales
depth only if its settings have a scale head.
"""

from __future__ import annotations

import math
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

SKY_ROWS = 0.25
"""Share of the picture's rows, from the top, that are sky."""
FOCAL = 0.8
"""fx in units of the picture's width, where no field of view is given."""


class FakeMoGeModel(torch.nn.Module):
    """MoGe 1. Slope and offset of the floor are its weights."""

    strict = True

    def __init__(self, near: float = 0.0, **unknown: Any) -> None:
        super().__init__()
        self.far = torch.nn.Parameter(torch.tensor(0.0))
        self.near = near
        self.calls: list[dict[str, Any]] = []

    @classmethod
    def from_pretrained(cls, path: str, model_kwargs: Any = None) -> FakeMoGeModel:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        model = cls(**checkpoint["model_config"])
        model.load_state_dict(checkpoint["model"], strict=cls.strict)
        return model

    @torch.inference_mode()
    def infer(
        self,
        image: torch.Tensor,
        fov_x: float | None = None,
        resolution_level: int = 9,
        num_tokens: int | None = None,
        apply_mask: bool = True,
        force_projection: bool = True,
        use_fp16: bool = True,
    ) -> dict[str, torch.Tensor]:
        self.calls.append(
            {"image": image, "fov_x": fov_x, "level": resolution_level, "half": use_fp16}
        )
        assert image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1
        height, width = image.shape[-2:]
        rows = (torch.arange(height) + 0.5) / height
        depth = (self.far + (self.near - self.far) * rows)[:, None].expand(height, width)
        mask = (rows > SKY_ROWS)[:, None].expand(height, width)
        fx = FOCAL if fov_x is None else 0.5 / math.tan(math.radians(fov_x / 2))
        fy = fx * width / height
        return {
            "depth": torch.where(mask, depth, torch.inf),
            "mask": mask,
            "intrinsics": torch.tensor([[fx, 0, 0.5], [0, fy, 0.5], [0, 0, 1.0]]),
        }


class FakeMoGe2Model(FakeMoGeModel):
    """MoGe 2. The scale head's only weight is the logarithm of the scale."""

    strict = False

    def __init__(
        self, near: float = 0.0, scale_head: dict[str, Any] | None = None, **unknown: Any
    ) -> None:
        super().__init__(near, **unknown)
        if scale_head is not None:
            self.scale_head = torch.nn.ParameterList([torch.tensor(0.0)])

    @torch.inference_mode()
    def infer(self, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        told = super().infer(*arguments, **options)
        if hasattr(self, "scale_head"):
            told["depth"] = told["depth"] * self.scale_head[0].exp()
        return told


MODELS = {"v1": FakeMoGeModel, "v2": FakeMoGe2Model}


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("moge", "moge.model", *(f"moge.model.{version}" for version in MODELS)):
        module = types.ModuleType(name)
        module.MoGeModel = MODELS.get(name.rpartition(".")[2])  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)


def write_checkpoint(
    folder: Path, *, near: float = 1.0, far: float = 9.0, scale: float | None = None
) -> Path:
    """A folder with weights; with a scale they are those of a MoGe 2 with a scale head."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"near": near}
    weights = {"far": torch.tensor(far)}
    if scale is not None:
        settings["scale_head"] = {"dims": [1]}
        weights["scale_head.0"] = torch.tensor(scale).log()
    torch.save({"model_config": settings, "model": weights}, folder / "model.pt")
    return folder
