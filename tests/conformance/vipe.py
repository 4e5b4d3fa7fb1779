"""Clips of ViPE's, loaded as the reference loads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from lyra_data.clips.formats.vipe_reference import (
    ReferenceSettings,
    adjusted_intrinsics,
    decoded_as_reference,
    load_as_reference,
)
from tests.conformance.base import Comparison, Result, load_arrays, skip


def check(entry: dict[str, Any], folder: Path) -> Result:
    if "part_of" in entry["params"]:
        return skip(entry, f"an input of {entry['params']['part_of']}, which is compared")
    comparison = Comparison(entry)
    if entry["file"].endswith(".json"):
        check_intrinsics(comparison, folder)
    elif "clip" in entry["params"]:
        check_clip(comparison, folder)
    else:
        return skip(entry, "nothing here compares files of this name")
    return comparison.result()


def check_intrinsics(comparison: Comparison, folder: Path) -> None:
    cases = json.loads((folder / comparison.entry["file"]).read_text())
    for number, case in enumerate(cases):
        matrix = torch.tensor(case["K"], dtype=torch.float32)
        sizes = (tuple(case[key]) for key in ("src_hw", "resize_hw", "crop_hw"))
        comparison.add(f"case {number}", adjusted_intrinsics(matrix, *sizes), case["K_out"])


def check_clip(comparison: Comparison, folder: Path) -> None:
    params, expected = comparison.entry["params"], load_arrays(comparison.entry, folder)
    clip = folder / params["clip"]
    videos = sorted((clip / "rgb").glob("*.mp4"))
    tolerance = comparison.entry["tolerance"]
    if "mid_decoded_rgb" in expected:
        frames = decoded_as_reference(videos[0]).permute(0, 2, 3, 1) / 127.5
        decoded = torch.from_numpy(expected["mid_decoded_rgb"]) / 127.5
        comparison.add("decoded", frames, decoded, tolerance["image"])
    for settings in params["cases"]:
        case = settings["case"]
        video = videos[settings.get("video_idx", 0)]
        loaded = load_as_reference(
            clip if settings.get("given") == "folder" else video,
            ReferenceSettings(
                start=settings["starting_frame_idx"],
                num_frames=settings["num_frames"],
                resize=tuple(settings["resize_hw"]),
                crop=tuple(settings["crop_hw"]),
                read_mask=settings.get("read_mask", False),
            ),
            clip=video.stem,
        )
        outputs = {
            "image": loaded.image,
            "depth": loaded.depth,
            "mask": loaded.mask,
            "w2c": loaded.world_to_camera,
            "K": loaded.intrinsic_matrices,
        }
        for name, values in outputs.items():
            if f"{case}__out_{name}" in expected:
                comparison.add(
                    f"{case} {name}", values, expected[f"{case}__out_{name}"], tolerance[name]
                )
