"""The released decoder at full size on a GPU: time and peak memory of a forward pass.

    python -m benchmarks.gpu_decoder [--views 6] [--frames 121] [--size 704 1280]

Random weights and inputs, bfloat16 autocast, 80 % of the Gaussians pruned; with mamba_ssm's kernels
where they are installed (the log says so) and in plain torch, side by side. The paper has 3.2 s for
6 views of 121 frames of 704x1280. Not run here: no GPU was at hand.
"""

from __future__ import annotations

import logging

import torch

from benchmarks.decoder import random_inputs
from benchmarks.gpu_device import chosen_device, device_arguments, measure
from lyra_data.models.codecs.base import SPATIAL_FACTOR, num_latent_frames
from lyra_model.decoder import create_decoder, mamba2
from lyra_model.decoder.kernels import load_kernels
from lyra_model.training.released_decoder import RELEASED

SMALL = {"dim": 32, "depth": 2, "attention_every": 2, "d_state": 8, "headdim": 16}


def main(words: list[str] | None = None) -> None:
    parser = device_arguments(__doc__)
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--size", type=int, nargs=2, default=[704, 1280])
    arguments = parser.parse_args(words)
    device = chosen_device(arguments)
    if device is None:
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    height, width = (64, 96) if arguments.small else arguments.size
    frames = 9 if arguments.small else arguments.frames
    params = RELEASED.model_copy(update=SMALL if arguments.small else {})
    latent_frames = num_latent_frames(frames)
    inputs = random_inputs(
        arguments.views, latent_frames, height // SPATIAL_FACTOR, width // SPATIAL_FACTOR
    ).to(device)
    decoder = create_decoder(params, seed=0).to(device).eval()

    def forward() -> None:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            decoder(inputs, prune_ratio=0.8)

    tokens = arguments.views * latent_frames * height * width // 256
    print(f"{arguments.views} views of {frames} frames of {height}x{width}: {tokens} tokens")
    ways = ["plain torch"]
    if device.type == "cuda" and load_kernels() is not None:
        ways.insert(0, "mamba_ssm's kernels")
    chosen = mamba2.kernels_for
    for way in ways:
        mamba2.kernels_for = chosen if way != "plain torch" else (lambda *_, **__: None)
        try:
            found = measure(forward, device, arguments.repeats)
            print(f"  {way}: {found.seconds:.3f} s, peak {found.peak_gib:.2f} GiB")
        except torch.cuda.OutOfMemoryError:
            print(f"  {way}: out of memory")
            torch.cuda.empty_cache()
    mamba2.kernels_for = chosen


if __name__ == "__main__":
    main()
