"""A folder of decoder files of any size, made by our decoder, for tests of the comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from safetensors.torch import save_file
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.decoder import create_decoder
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.decoder.latents import encode_rays, encode_times
from lyra_model.decoder.rays import coarse_rays, pluecker
from lyra_model.decoder.times import embed_times, normalise_times
from tests.conformance.linear_codec import LinearCodec
from tests.conformance.model import decoder_params, to_array

WEIGHTS, FORWARD = "model/weights_made.safetensors", "model/dynamic_made.npz"
HEIGHT, WIDTH, FRAMES = 32, 32, 9
CLOSE = {"atol": 5e-5, "rtol": 1e-4}
TOLERANCE = {
    "out_gaussians position (0-2)": {"atol": 1e-3, "rtol": 1e-4},
    "out_gaussians other channels": CLOSE,
    "mid_*": CLOSE,
}


def make_model_folder(folder: Path, described: dict[str, Any]) -> Path:
    """Write weights of a decoder that is `described` as INDEX.json does, and a pass through it."""
    (folder / "model").mkdir(parents=True)
    decoder = create_decoder(decoder_params(described, dynamic=True), seed=1).eval()
    save_file(decoder.state_dict(), folder / WEIGHTS)
    arrays = _inputs()
    inputs = DecoderInput(
        latents=arrays["in_latents"],
        plucker_latents=arrays["in_plucker_latents"],
        rays_o=arrays["in_rays_o"],
        rays_d=arrays["in_rays_d"],
        num_views=1,
        scene_scale=1.0,
        time_latents=arrays["in_time_latents"],
    )
    with torch.no_grad():
        tokens = decoder.embed(inputs)
        mixed = decoder.mix(tokens)
        raw = rearrange(decoder.predict(mixed, inputs), "scene view ... -> (scene view) ...")
        scenes = torch.stack([to_array(scene) for scene in decoder(inputs, prune_ratio=0.0)])
    outputs = {
        "mid_tokens_in": tokens,
        "mid_tokens_out": mixed,
        "mid_deconv": raw,
        "out_gaussians": scenes,
    }
    every = {**arrays, **outputs}
    np.savez(folder / FORWARD, **{name: values.numpy() for name, values in every.items()})
    settings = {
        "weights": WEIGHTS,
        "use_time_embedding": True,
        "batch": 1,
        "num_input_multi_views": 1,
        "frames": FRAMES,
        "image_size": [HEIGHT, WIDTH],
        "gaussians_prune_ratio": 0.0,
    }
    write_index(
        folder,
        [
            {"file": WEIGHTS, "kind": "model", "tolerance": {}, "params": described},
            {"file": FORWARD, "kind": "model", "tolerance": TOLERANCE, "params": settings},
        ],
    )
    return folder


def write_index(folder: Path, entries: list[dict[str, Any]]) -> None:
    (folder / "INDEX.json").write_text(json.dumps({"entries": entries}))


def _inputs() -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(2)
    arrays = {
        "vae_W": torch.randn(16, 3, generator=draws),
        "vae_b": 0.1 * torch.randn(16, generator=draws),
        "in_times": torch.arange(FRAMES + 1, dtype=torch.float32),
        "in_latents": torch.randn(1, 2, 16, HEIGHT // 8, WIDTH // 8, generator=draws),
        "in_c2w": torch.eye(4).expand(1, FRAMES, 4, 4).contiguous(),
        "in_K": torch.tensor([30.0, 31.0, 16.0, 15.0]).expand(1, FRAMES, 4).contiguous(),
    }
    codec = LinearCodec(arrays["vae_W"], arrays["vae_b"])
    cameras = Cameras(arrays["in_c2w"][0], arrays["in_K"][0], HEIGHT, WIDTH)
    origins, directions = coarse_rays(cameras, 8)
    times = embed_times(normalise_times(arrays["in_times"]))
    return {
        **arrays,
        "in_rays_o": origins[None],
        "in_rays_d": directions[None],
        "in_plucker_latents": encode_rays(pluecker(cameras), codec)[None],
        "in_time_latents": encode_times(times, codec, height=HEIGHT, width=WIDTH)[None],
    }
