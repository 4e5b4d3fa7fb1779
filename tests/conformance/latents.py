"""Encoding of views, rays and times against the reference's, with the goldens' stand-in codec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from lyra_model.decoder.latents import denormalise, encode_rays, encode_times, join_views
from tests.conformance.base import Comparison, Result, load_arrays
from tests.conformance.latent_statements import STATEMENTS
from tests.conformance.linear_codec import LinearCodec


def check(entry: dict[str, Any], folder: Path) -> Result:
    if entry["file"].endswith(".json"):
        return _check_statements(entry, folder)
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    codec = LinearCodec(arrays["vae_W"], arrays["vae_b"], arrays["vae_D"])
    comparison = Comparison(entry)
    num_views = entry["params"]["views"]

    mean, std = arrays["in_mean"][0, :, :, 0, 0], arrays["in_std"][0, :, :, 0, 0]
    generated = [arrays["in_generated"], *arrays["in_generated_batched"]]
    expected = [arrays["out_denormalised"], *arrays["out_denormalised_batched"]]
    for latents, known in zip(generated, expected, strict=True):
        views = latents.unflatten(0, (num_views, -1))
        ours = join_views([denormalise(view, mean, std) for view in views])
        comparison.add("denormalised", ours, known)

    for scene, video in enumerate(arrays["in_video"].float()):
        views = _views(video, num_views)
        encoded = join_views([codec.encode(view) for view in views])
        comparison.add("encoded", encoded, arrays["out_encoded"][scene])
        decoded = join_views([codec.decode(view) for view in _views(encoded, num_views)])
        means = decoded.mean((-2, -1))
        comparison.add("decoded means", means, arrays["out_decoded_frame_means"][scene])
        comparison.add("decoded", decoded[..., :1, :1], arrays["out_decoded_corner"][scene])

    height, width = arrays["in_video"].shape[-2:]
    targets = zip(arrays["in_time"], arrays["in_time_target"], strict=True)
    for scene, (inputs, target) in enumerate(targets):
        ours = encode_times(torch.cat([inputs, target]), codec, height=height, width=width)
        comparison.add("times", ours, arrays["out_time_latents"][scene])
    for scene, pluecker in enumerate(arrays["in_plucker"].float()):
        views = pluecker.unflatten(0, (num_views, -1))
        ours = torch.cat([encode_rays(view, codec) for view in views])
        comparison.add("rays", ours, arrays["out_plucker_latents"][scene])
    return comparison.result()


def _check_statements(entry: dict[str, Any], folder: Path) -> Result:
    """Words: each statement is known here and holds; one that is not known fails."""
    comparison = Comparison(entry)
    for name in json.loads((folder / entry["file"]).read_text()):
        comparison.add(f"{name} is known", name in STATEMENTS, True, {"exact": True})
        for what, ours, stated in STATEMENTS.get(name, list)():
            comparison.add(f"{name}: {what}", ours, stated, {"atol": 2e-5, "rtol": 1e-4})
    return comparison.result()


def _views(joined: Tensor, num_views: int) -> list[Tensor]:
    """[view frame, c, h, w] to one [c, frame, h, w] for every view."""
    return list(rearrange(joined, "(view frame) c h w -> view c frame h w", view=num_views))
