"""The whole decoder against the reference's: parameter lists, forward passes, the last steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from safetensors.torch import load_file
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.decoder import DecoderParams, create_decoder
from lyra_model.decoder.heads import GaussianActivation
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.decoder.latents import encode_rays, encode_times
from lyra_model.decoder.pruning import prune
from lyra_model.decoder.rays import coarse_rays, pluecker
from lyra_model.decoder.times import embed_times, normalise_times
from lyra_model.gaussians import Gaussians
from lyra_model.training.released_decoder import RELEASED
from tests.conformance.base import Comparison, Result, find_entry, load_arrays, skip
from tests.conformance.linear_codec import LinearCodec

WEIGHTS_PARAMS = {"enc_embed_dim": "dim", "enc_num_heads": "num_heads", "enc_depth": "depth"}
"""Names in INDEX.json of what a decoder of other weights differs in -> ours."""


def check(entry: dict[str, Any], folder: Path) -> Result:
    name = Path(entry["file"]).stem
    if name.startswith("full_config"):
        return _check_parameters(entry, folder)
    if name.startswith("weights"):
        return skip(entry, "weights of other entries, nothing to compare")
    if name.startswith("gaussian_activations"):
        return _check_activations(entry, folder)
    if name.startswith("gaussian_pruning"):
        return _check_pruning(entry, folder)
    if not entry["file"].endswith(".npz"):
        return skip(entry, "no released model is configured so; the decoder has no such parts")
    return _check_forward(entry, folder)


def _check_parameters(entry: dict[str, Any], folder: Path) -> Result:
    listed = json.loads((folder / entry["file"]).read_text())
    decoder = create_decoder(RELEASED.model_copy(update={"dynamic": "dynamic" in entry["file"]}))
    state = decoder.state_dict()
    comparison = Comparison(entry)
    comparison.add("names", list(state), [row["key"] for row in listed["state_dict"]])
    for row in listed["state_dict"]:
        comparison.add(row["key"], list(state[row["key"]].shape), row["shape"])
    comparison.add("tensors", len(state), listed["tensors"])
    total = sum(parameter.numel() for parameter in decoder.parameters())
    comparison.add("parameters", total, listed["parameters_total"])
    return comparison.result()


def _check_forward(entry: dict[str, Any], folder: Path) -> Result:
    settings = entry["params"]
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    weights = load_file(folder / settings["weights"])
    described = find_entry(folder, settings["weights"])["params"]
    decoder = create_decoder(decoder_params(described, dynamic=settings["use_time_embedding"]))
    unknown = sorted(weights.keys() - decoder.state_dict().keys())
    if unknown:
        return skip(entry, f"no released model has {', '.join(unknown[:3])} in its weights")
    decoder.load_state_dict(weights, strict=True, assign=True)
    inputs = DecoderInput(
        latents=arrays["in_latents"],
        plucker_latents=arrays["in_plucker_latents"],
        rays_o=arrays["in_rays_o"],
        rays_d=arrays["in_rays_d"],
        num_views=settings["num_input_multi_views"],
        scene_scale=1.0,
        time_latents=arrays["in_time_latents"],
    )
    comparison = Comparison(entry)
    tolerance = entry["tolerance"]
    with torch.no_grad():
        tokens = decoder.embed(inputs)
        mixed = decoder.mix(tokens)
        raw = rearrange(decoder.predict(mixed, inputs), "scene view ... -> (scene view) ...")
        scenes = decoder(inputs, prune_ratio=settings["gaussians_prune_ratio"])
    comparison.add("tokens in", tokens, arrays["mid_tokens_in"], tolerance["mid_*"])
    comparison.add("tokens out", mixed, arrays["mid_tokens_out"], tolerance["mid_*"])
    comparison.add("head", raw, arrays["mid_deconv"], tolerance["mid_*"])
    ours, expected = torch.stack([to_array(scene) for scene in scenes]), arrays["out_gaussians"]
    position, others = (
        tolerance["out_gaussians position (0-2)"],
        tolerance["out_gaussians other channels"],
    )
    comparison.add("means", ours[..., :3], expected[..., :3], position)
    comparison.add("others", ours[..., 3:], expected[..., 3:], others)
    _check_inputs(comparison, arrays, settings)
    return comparison.result()


def decoder_params(described: Mapping[str, Any], *, dynamic: bool) -> DecoderParams:
    """Return the released decoder's params, but for what a weights' entry describes otherwise."""
    ours = {WEIGHTS_PARAMS.get(name, name): value for name, value in described.items()}
    changes = {name: ours[name] for name in ours.keys() & DecoderParams.model_fields.keys()}
    return RELEASED.model_copy(update={**changes, "dynamic": dynamic})


def _check_inputs(
    comparison: Comparison, arrays: dict[str, Tensor], settings: dict[str, Any]
) -> None:
    """The rays, Pluecker latents and time latents are those of the entry's cameras and times."""
    codec = LinearCodec(arrays["vae_W"], arrays["vae_b"])
    height, width = settings["image_size"]
    tolerance = comparison.entry["tolerance"]["mid_*"]
    times = arrays["in_times"]
    for scene in range(settings["batch"]):
        cameras = Cameras(arrays["in_c2w"][scene], arrays["in_K"][scene], height, width)
        origins, directions = coarse_rays(cameras, 8)
        comparison.add("rays_o", origins, arrays["in_rays_o"][scene], tolerance)
        comparison.add("rays_d", directions, arrays["in_rays_d"][scene], tolerance)
        views = range(0, len(cameras), settings["frames"])
        encoded = torch.cat(
            [
                encode_rays(pluecker(cameras[start : start + settings["frames"]]), codec)
                for start in views
            ]
        )
        comparison.add("pluecker", encoded, arrays["in_plucker_latents"][scene], tolerance)
        embedded = embed_times(normalise_times(times))
        time_latents = encode_times(embedded, codec, height=height, width=width)
        comparison.add("times", time_latents, arrays["in_time_latents"][scene], tolerance)


def _check_activations(entry: dict[str, Any], folder: Path) -> Result:
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    settings = entry["params"]
    activation = GaussianActivation(
        distance_near=settings["dnear"],
        distance_far=float(settings["dfar"]),
        distance_shift=settings["pre_sigmoid_distance_shift"],
        scale_max=settings["gaussian_scale_cap"],
        opacity_shift=RELEASED.opacity_shift,
    )
    comparison = Comparison(entry)
    scenes = zip(arrays["in_x"], arrays["in_rays_o"], arrays["in_rays_d"], strict=True)
    ours = torch.stack([to_array(activation(*scene)) for scene in scenes])
    comparison.add("gaussians", ours, arrays["out_gaussians"])
    sweep = arrays["in_sweep"]
    comparison.add("scale", activation.scale(sweep), arrays["out_scale_act"])
    comparison.add("opacity", activation.opacity(sweep), arrays["out_opacity_act"])
    comparison.add("rgb", activation.color(sweep), arrays["out_rgb_act"])
    comparison.add("distance", activation.distance(sweep), arrays["out_depth"])
    return comparison.result()


def _check_pruning(entry: dict[str, Any], folder: Path) -> Result:
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    comparison = Comparison(entry)
    for settings in entry["params"]["cases"]:
        case = settings["case"]
        scenes = arrays[f"{case}__in_gaussians"]
        kept = [to_array(prune(from_array(scene), settings["prune_ratio"])) for scene in scenes]
        comparison.add(case, torch.stack(kept), arrays[f"{case}__out_gaussians"])
    return comparison.result()


def to_array(gaussians: Gaussians) -> Tensor:
    """The reference's order: position 3, opacity 1, scale 3, rotation 4, rgb 3."""
    return torch.cat(
        [
            gaussians.means,
            gaussians.opacities[:, None],
            gaussians.scales,
            gaussians.quats,
            gaussians.colors,
        ],
        dim=-1,
    )


def from_array(array: Tensor) -> Gaussians:
    means, opacities, scales, quats, colors = array.split([3, 1, 3, 4, 3], dim=-1)
    return Gaussians(
        means=means, scales=scales, quats=quats, opacities=opacities[:, 0], colors=colors
    )
