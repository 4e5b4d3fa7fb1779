"""Framing, assembling a sample, and depth as pictures, against the reference's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.annotation.framing import ReferenceFraming
from lyra_data.media.depth_colours import depth_wave, jet
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_model.decoder.inputs import scaled
from lyra_model.decoder.times import embed_times, normalise_times
from tests.conformance.base import Comparison, Result, load_arrays, skip
from tests.conformance.jet_limits import jet_limits

Arrays = dict[str, Tensor]


def check(entry: dict[str, Any], folder: Path) -> Result:
    parts = [part for part in CHECKS if part in entry["file"]]
    if not parts:
        return skip(entry, "nothing here compares files of this name")
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    comparison = Comparison(entry)
    for part in parts:
        CHECKS[part](comparison, entry["params"], arrays)
    return comparison.result()


def check_framing(comparison: Comparison, params: dict[str, Any], arrays: Arrays) -> None:
    for settings in params["cases"]:
        case, (source_height, source_width) = settings["case"], settings["source"]
        framing = ReferenceFraming.centred(source_height, source_width, *settings["target"])
        colours = framing.of_colours(arrays[f"{case}__in_rgb"])
        tolerance = comparison.entry["tolerance"]
        comparison.add(f"{case} rgb", colours, arrays[f"{case}__out_rgb"], tolerance["rgb"])
        if f"{case}__in_depth" in arrays:
            depth = framing.of_depth(arrays[f"{case}__in_depth"][:, 0])
            expected = arrays[f"{case}__out_depth"][:, 0]
            comparison.add(f"{case} depth", depth, expected, tolerance["depth"])

        k = torch.tensor([[50.0, 60.0, 20.0, 10.0]], dtype=torch.float64)
        pose = torch.eye(4, dtype=torch.float64)[None]
        ours = framing.of_cameras(Cameras(pose, k, source_height, source_width))
        scale = k.new_tensor(settings["scale"]).repeat(2)
        shift = k.new_tensor([0.0, 0.0, *settings["shift"]])
        comparison.add(f"{case} intrinsics", ours.intrinsics, (k + shift) * scale, {"atol": 1e-9})


def check_sample(comparison: Comparison, params: dict[str, Any], arrays: Arrays) -> None:
    num_inputs = params["views"] * params["frames"]
    poses = arrays["in_c2w"].double()
    cameras = Cameras(
        invert_rigid(poses) if params["is_w2c"] else poses,
        arrays["in_K"].double(),
        *params["source"],
    )
    framing = ReferenceFraming.centred(*params["source"], *params["target"])
    framed = framing.of_cameras(cameras)
    placed = scaled(framed.relative_to(cameras.camera_to_world[0]), params["scene_scale"])
    inputs, targets = placed[slice(num_inputs)], placed[slice(num_inputs, None)]

    comparison.add("input poses", inputs.camera_to_world, arrays["out_c2ws_input"])
    comparison.add("target views", targets.world_to_camera.mT, arrays["out_cam_view"])
    comparison.add("input intrinsics", inputs.intrinsics, arrays["out_intrinsics_input"])
    comparison.add("target intrinsics", targets.intrinsics, arrays["out_intrinsics"])
    times = arrays["in_times"]
    frames = params["frames"]
    target = times[-1 if params["training"] else frames]
    of_first_view_and_target = torch.cat([times[:frames], target.reshape(1)])
    embedded = embed_times(normalise_times(of_first_view_and_target))
    comparison.add("input times", embedded[:-1], arrays["out_time_embeddings"])
    comparison.add("target time", embedded[-1:], arrays["out_time_embeddings_target"])

    depth = arrays["in_depth"][num_inputs:, 0]
    known = torch.isfinite(depth) & (depth > 0)  # as the clip has it: what is unknown is 0
    framed_depth = framing.of_depth(torch.where(known, depth, 0.0))
    comparison.add("target depth", framed_depth[:, None], arrays["out_depths_output"])


def check_pictures(comparison: Comparison, params: dict[str, Any], arrays: Arrays) -> None:
    """Its colour maps come out blue, green, red; ours are red, green, blue."""
    depth = arrays["in_depth"][:, :, 0]

    def coloured(limits: tuple[float, float] | None) -> Tensor:
        return jet(depth.flatten(0, 1), limits=limits).flip(1).unflatten(0, depth.shape[:2])

    comparison.add("jet", coloured(None), arrays["out_jet"])
    expected = arrays["out_jet_range"]
    stated = params.get("data_range")
    limits = tuple(stated) if stated else jet_limits(depth, expected.movedim(2, -1), coloured)
    if limits is None:
        comparison.notes.append(
            "jet_range: no depths of the first and last colour make its colours"
        )
    else:
        comparison.add("jet_range", coloured(limits), expected)

    for scene, expected in enumerate(arrays["out_wave"]):
        wave = depth_wave(
            arrays["in_image"][scene, 0],
            depth[scene, 0],
            wave_length=params["wave_length"],
            num_still=params["pre_frames"],
            num_steps=params["n_frames"],
            colour_near=tuple(params["color_front"]),
            colour_far=tuple(params["color_back"]),
        )
        name = f"wave {scene}" if scene else "wave"
        comparison.add(name, wave[params["stored_frames"]], expected)


CHECKS = {
    "image_transform": check_framing,
    "sample_assembly": check_sample,
    "visualisation": check_pictures,
}
"""Part of an entry's file name -> what compares it."""
