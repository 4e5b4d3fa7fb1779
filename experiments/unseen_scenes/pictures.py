"""Pictures of experiment 0002: `python -m experiments.unseen_scenes.pictures PROJECT SIZE PNG`.

A row a scene: a true picture from off all paths, the copied frame, what `--checkpoint` shows there,
the error of that three times as bright, true depth and the decoder's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from jaxtyping import Float
from torch import Tensor

from experiments.unseen_scenes.bounds import Setting, bounds, decoded, kept_scenes
from lyra_data.media.images import write_png
from lyra_data.scene.pixel_values import bytes_from_unit

SHOWN = ("kept_00", "kept_03", "kept_other_photos_01", "kept_other_photos_03", "motorcycle")
NEAR_METRES = 1.5
"""What is nearer is white."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("project", type=Path)
    options.add_argument("size", help="height and width, as 96x144")
    options.add_argument("output", type=Path)
    options.add_argument("--checkpoint", type=Path, required=True)
    chosen = options.parse_args()
    height, width = (int(side) for side in chosen.size.split("x"))
    params = yaml.safe_load((chosen.project / "params.yaml").read_text())
    setting = Setting.of(params, height, width)
    rows = []
    for scene in kept_scenes(chosen.project, setting, limit=100):
        if scene.name not in SHOWN:
            continue
        target = scene.true[[0]]
        copied = bounds(setting, scene, fit_steps=0)["copied"](scene.read, target)
        made = decoded(setting, scene, chosen.checkpoint)(scene.read, target)
        error = (made.rgb - target.rgb).abs() * 3
        depths = [_shade(depth) for depth in (target.depth, made.depth)]
        rows.append(torch.cat([target.rgb, copied.rgb, made.rgb, error, *depths], dim=3)[0])
    sheet = F.interpolate(torch.cat(rows, dim=1)[None].clamp(0, 1), scale_factor=2)[0]
    write_png(bytes_from_unit(sheet), chosen.output)


def _shade(depth: Float[Tensor, "1 height width"]) -> Float[Tensor, "1 3 height width"]:
    """Return near as white, far as dark, unknown as black."""
    shade = torch.where(depth > 0, NEAR_METRES / depth.clamp(min=NEAR_METRES), 0.0)
    return shade[:, None].expand(-1, 3, -1, -1)


if __name__ == "__main__":
    main()
