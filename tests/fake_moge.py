"""A stand-in for the package `moge`, which is not on PyPI: same interface, no network.

`install` puts the modules `moge.model.v1` and `moge.model.v2` in sys.modules. Their MoGeModel reads
a checkpoint of MoGe's form (model_config, model) and "sees" a slanted floor below a sky, so that
the numbers that come out are known. What is and is not in the answer follows MoGe 1 and 2: depth is
+inf where the mask is False, intrinsics are of a picture of size 1x1.
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
    """Slope and offset of the floor are its weights."""

    def __init__(self, near: float) -> None:
        super().__init__()
        self.far = torch.nn.Parameter(torch.tensor(0.0))
        self.near = near
        self.calls: list[dict[str, Any]] = []

    @classmethod
    def from_pretrained(cls, path: str, model_kwargs: Any = None) -> FakeMoGeModel:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        model = cls(**checkpoint["model_config"])
        model.load_state_dict(checkpoint["model"])
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


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("moge", "moge.model", "moge.model.v1", "moge.model.v2"):
        module = types.ModuleType(name)
        module.MoGeModel = FakeMoGeModel  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)


def write_checkpoint(folder: Path, *, near: float = 1.0, far: float = 9.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = {"model_config": {"near": near}, "model": {"far": torch.tensor(far)}}
    torch.save(checkpoint, folder / "model.pt")
    return folder
