"""Claim: the colmap annotator poses every frame of a hand-held video and knows most of its depth.

    python -m benchmarks.colmap_annotation FILE [--height 480] [--frames N] [--pictures FOLDER]

FILE is a video. Printed are wall and processor seconds, what the clip's source tells, how many
pixels have a depth, and how well the confidence is spread. With --pictures, depth and confidence
are painted beside four frames.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from lyra_data.annotation.annotators.colmap import ColmapAnnotator, ColmapAnnotatorParams
from lyra_data.media.colour_maps import colour_depth, depth_limits
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import SourceMaterial


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--mapper", default="incremental")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--save", type=Path, help="keep the depth, for a closer look (.npz)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms  %(message)s")
    frames, fps = read_video(arguments.file, arguments.frames)
    material = SourceMaterial("video", frames, fps=fps, location=str(arguments.file))
    annotator = ColmapAnnotator(params_for(frames, arguments.height, arguments.mapper))
    wall, processor = time.perf_counter(), processor_seconds()
    clip = annotator.annotate(material)
    print(f"wall              {time.perf_counter() - wall:8.1f} s")
    print(f"processor         {processor_seconds() - processor:8.1f} s")
    print(f"frames            {len(clip)} of {tuple(frames.shape[-2:])}, clip {clip.frames.shape}")
    for key, value in (clip.source or {}).items():
        print(f"{key:17} {value}")
    shares = clip.depth_valid.float().mean((1, 2))
    print(f"known depth       {shares.mean():.3f}; least {shares.min():.3f} of a frame")
    assert clip.depth_confidence is not None
    print(f"confidence        median {clip.depth_confidence[clip.depth_valid].median():.3f}")
    print(f"intrinsics        {clip.cameras.intrinsics[0].tolist()}")
    if arguments.pictures:
        paint(clip, arguments.pictures)
    if arguments.save:
        np.savez(
            arguments.save, depth=clip.depth, frames=clip.frames, confidence=clip.depth_confidence
        )


def read_video(file: Path, most: int | None) -> tuple[torch.Tensor, float]:
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        pictures = []
        for picture in container.decode(stream):
            if most is not None and len(pictures) == most:
                break
            pictures.append(torch.from_numpy(picture.to_ndarray(format="rgb24")).permute(2, 0, 1))
        return torch.stack(pictures), float(stream.average_rate or 24)


def params_for(frames: torch.Tensor, height: int, mapper: str) -> ColmapAnnotatorParams:
    """The clip as large as it is solved, cut to multiples of 16."""
    width = round(frames.shape[-1] * height / frames.shape[-2])
    return ColmapAnnotatorParams.model_validate(
        {
            "name": "colmap",
            "height": height // 16 * 16,
            "width": width // 16 * 16,
            "framing": "centred",
            "fps": 24,
            "solve_height": height,
            "mapper": mapper,
            "num_features": 1500,
            "overlap": 8,
            "num_neighbours": 4,
            "least_correlation": 0.5,
            "least_agreeing": 2,
            "seed": 0,
        }
    )


def processor_seconds() -> float:
    """Of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def paint(clip: Clip, folder: Path) -> None:
    """Write a contact sheet: frame, confidence and depth of four frames."""
    folder.mkdir(parents=True, exist_ok=True)
    assert clip.depth_confidence is not None
    limits = depth_limits(clip.depth[clip.depth_valid])
    rows = []
    for index in np.linspace(0, len(clip) - 1, 4).astype(int).tolist():
        confidence = (clip.depth_confidence[index] * 255).to(torch.uint8).expand(3, -1, -1)
        known = clip.depth_valid[index].numpy()
        depth = colour_depth(clip.depth[index].numpy(), known, limits)
        pictures = torch.cat([clip.frames[index], confidence], -1).permute(1, 2, 0).numpy()
        rows.append(np.concatenate([pictures, depth], 1)[..., ::-1])
    cv2.imwrite(str(folder / "contact_sheet.png"), np.concatenate(rows))


if __name__ == "__main__":
    main()
