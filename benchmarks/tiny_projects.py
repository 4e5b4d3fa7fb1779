"""Projects of many tiny scenes: pictures of a few blots before a wall, at the cheapest settings.

Written by a process of its own (`python -m benchmarks.tiny_projects FOLDER --scenes 100`), so that
whoever measures the stages of it stays small itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

HEIGHT, WIDTH, NUM_FRAMES = 32, 48, 17
BLOTS = (4, 6)
"""Rows and columns of the colours that a picture is blown up from: unlike from scene to scene."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--height", type=int, default=HEIGHT)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--frames", type=int, default=NUM_FRAMES)
    options = parser.parse_args()
    names = [f"scene{number:05d}" for number in range(options.scenes)]
    for number, name in enumerate(names):
        write_source(options.folder / "inputs" / name, number, options.height, options.width)
    params = cheapest_params(names, options.height, options.width, options.frames)
    (options.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def cheapest_params(names: list[str], height: int, width: int, num_frames: int) -> dict[str, Any]:
    """Return the committed params, with one camera path, a tiny decoder and a few steps."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["annotate"]["sources"] = [
        {"name": "files", "folder": f"inputs/{name}", "scene_id": name} for name in names
    ]
    params["annotate"]["annotator"] |= {"height": height, "width": width}
    generate = params["generate"]
    generate |= {"num_frames": num_frames, "quality": dict.fromkeys(generate["quality"])}
    generate["trajectories"]["names"] = ["left"]
    params["package"] |= {"validation_fraction": 0.1}
    train = params["train"]
    train["held_out_frames"] = 4
    train["decoder"] |= {"dim": 32, "depth": 2, "attention_every": 2, "d_state": 16, "headdim": 16}
    tiny = train["phases"]["small"]
    tiny |= {"steps": 4, "height": height, "width": width, "num_frames": 9, "num_target_frames": 2}
    train["phases"] = {"tiny": tiny}
    params["evaluate"] |= {"phase": "tiny", "fit_baseline_steps": 2, "min_displacement_pixels": 0.0}
    reconstruct = params["reconstruct"]
    reconstruct |= {"method": "unproject", "held_out_frames": 4, "frames_per_view": 3}
    reconstruct["video"] |= {"num_frames": 4}
    params["publish"]["dataset"] |= {"repository": "nobody/tiny", "licence": "CC0-1.0"}
    return params


def write_source(folder: Path, seed: int, height: int, width: int) -> None:
    """Write a picture, its depth and its intrinsics, as docs/inputs.md describes them."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(seed)
    colours = draws.integers(0, 256, (*BLOTS, 3), dtype=np.uint8)
    picture = Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)
    picture.save(folder / "image.png")
    depth = np.full((height, width), 2.5, np.float32)
    depth[height // 4 : height // 2, width // 4 : width // 2] = draws.uniform(1.0, 2.0)
    np.save(folder / "depth.npy", depth)
    intrinsics = {"fx": 1.1 * width, "fy": 1.1 * width, "cx": width / 2, "cy": height / 2}
    intrinsics |= {"width": width, "height": height, "licence": "CC0-1.0"}
    (folder / "intrinsics.json").write_text(json.dumps(intrinsics))


if __name__ == "__main__":
    main()
