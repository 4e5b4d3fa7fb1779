"""Real frames of a video that no view shows: `python -m benchmarks.left_out_frames PROJECT`.

PROJECT is one of `lyra-data reconstruct VIDEO` whose generate.frames.stride is 2 or more. Frames
half way between those that the views show were read by nothing but the annotator, which posed them.
Each is rendered at its own camera from the Gaussians of the moment before it, and compared with the
frame of that moment, copied: over all pixels; where depth is known, which is what stands still;
where it is not, which is mostly what moves; and over what the copied frame does not show.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from lyra_data.clips.store import read_clip, scene_folders
from lyra_data.generation.params import GenerateParams
from lyra_data.scene.cameras import PIXEL_CENTRE
from lyra_data.scene.clip import Clip
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_data.scene.projection import project, unproject
from lyra_model.export.ply import read_ply
from lyra_model.metrics.psnr import psnr
from lyra_model.phases.train_params import TrainParams
from lyra_model.rendering import render
from stages.params import load_section

SAME_DEPTH = 0.05
"""A point is hidden in another frame where that frame's depth is nearer by this share of it."""


def main(project: Path) -> None:
    """Print a row for every moment, and the means."""
    params_file = project / "params.yaml"
    frames = load_section(params_file, "generate", GenerateParams).frames
    rendering = load_section(params_file, "train", TrainParams).rendering
    assert frames.stride > 1, "every frame is shown by the views: none is left out"
    table = Table("frame", "moment")
    areas = ("all", "known depth", "unknown depth", "hidden before")
    for area in areas:
        table.add_column(f"{area}: scene / copied, dB", justify="right")
    rows = []
    for scene in scene_folders(project / "outputs" / "scenes"):
        clip = read_clip(project / "outputs" / "clips" / scene.name)
        for file in sorted((scene / "moments").iterdir()):
            shown = frames.first + frames.stride * int(file.stem)
            left_out = shown + frames.stride // 2
            if left_out >= len(clip):
                continue
            camera = clip.cameras[[left_out]]
            picture = render(read_ply(file), camera, rendering).rgb.clamp(0, 1)
            copied = unit_from_bytes(clip.frames[[shown]])
            truth = unit_from_bytes(clip.frames[[left_out]])
            known = clip.depth_valid[[left_out]]
            masks = (None, known, ~known, known & _hidden(clip, left_out, shown))
            row = [
                float(psnr(made, truth, mask).mean) for mask in masks for made in (picture, copied)
            ]
            rows.append(row)
            table.add_row(str(left_out), str(shown), *_words(row))
    table.add_section()
    table.add_row("mean", "", *_words(torch.tensor(rows).nanmean(0).tolist()))
    Console(width=120).print(table)


def _hidden(clip: Clip, frame: int, other: int) -> Tensor:
    """Return [1 height width], True at pixels of a frame that another frame does not show."""
    points = unproject(
        clip.depth[[frame]],
        clip.depth_valid[[frame]],
        clip.cameras[[frame]],
        pixel_centre=PIXEL_CENTRE,
    )[0].reshape(-1, 3)
    camera = clip.cameras[[other]]
    columns, rows = project(points, camera)[0].floor().long().unbind(-1)
    inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    to_camera = camera.world_to_camera[0]
    depth = points @ to_camera[2, :3] + to_camera[2, 3]
    rows, columns = rows.clamp(0, camera.height - 1), columns.clamp(0, camera.width - 1)
    there, is_known = clip.depth[other, rows, columns], clip.depth_valid[other, rows, columns]
    covered = is_known & (there < (1 - SAME_DEPTH) * depth)
    return (~inside | (depth <= 0) | covered).reshape(1, camera.height, camera.width)


def _words(row: list[float]) -> list[str]:
    return [f"{row[index]:.2f} / {row[index + 1]:.2f}" for index in range(0, len(row), 2)]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        print("python -m benchmarks.left_out_frames PROJECT: of `lyra-data reconstruct VIDEO`")
