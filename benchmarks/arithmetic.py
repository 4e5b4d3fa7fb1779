"""The cost of one arithmetic for every processor (LYRA_REPRODUCIBLE=1), stage by stage.

Claim: processor time of a training step, of generating a view and of drawing Gaussians is less than
5 % above that of this processor's own arithmetic. The modes take turns in processes of their own,
since libraries choose their instructions once. Run: python -m benchmarks.arithmetic
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from lyra_data.engine.reproducibility import VARIABLE

MODES = {"native": "0", "portable": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each mode (default 5)")
    parser.add_argument("--repeats", type=int, default=3, help="least of so many, within a turn")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--measure", action="store_true", help="one turn, in this process's mode")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.repeats)))
        return
    seconds: dict[str, dict[str, list[float]]] = {}
    for _ in range(arguments.rounds):
        for mode, value in MODES.items():
            for work, one in run_turn(value, arguments.repeats, arguments.threads).items():
                seconds.setdefault(work, {}).setdefault(mode, []).append(one)
    print(f"processor seconds, least of {arguments.rounds} turns; ratios of each turn, median")
    for work, by_mode in seconds.items():
        ratios = [p / n for n, p in zip(by_mode["native"], by_mode["portable"], strict=True)]
        least = ", ".join(f"{mode} {min(values):.3f}" for mode, values in by_mode.items())
        print(f"{work}: {least}, ratio {statistics.median(ratios):.3f}")


def run_turn(value: str, repeats: int, threads: int) -> dict[str, float]:
    """Return the processor seconds of every kind of work, in a process of one mode."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.arithmetic",
        "--measure",
        "--repeats",
        str(repeats),
    ]
    environment = {**os.environ, VARIABLE: value, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(repeats: int) -> dict[str, float]:
    """Return the least processor seconds of each kind of work in this process."""
    return {name: _least(work, repeats) for name, work in _kinds_of_work().items()}


def _least(work: Callable[[], object], repeats: int) -> float:
    work()  # compiles, and fills the caches
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def _kinds_of_work() -> dict[str, Callable[[], object]]:
    import torch

    from lyra_data.cache3d.cache import Cache3D, Cache3DParams
    from lyra_data.models.codecs import CODECS
    from lyra_model.rendering import render
    from tests.factories import make_clip
    from tests.unit.test_rendering import PARAMS, random_scene

    draws = torch.Generator().manual_seed(0)
    gaussians, cameras = random_scene(20_000, 176, 320)
    codec = CODECS.create({"name": "dct"}, where="benchmark")
    video = 2 * torch.rand(3, 25, 128, 192, generator=draws) - 1
    clip = make_clip(height=128, width=192)
    cache = Cache3D.from_clip(
        clip,
        Cache3DParams(
            filter_threshold=1.0,
            foreground_masking=False,
            splatting="nearest_surface",
            pixel_centre=0.5,
            max_buffers=2,
        ),
    )
    targets = clip.cameras[[0] * 25]
    return {
        "training step (decoder, forward and backward)": _decoder_step(),
        "generation (25 frames of the cache, 128x192)": lambda: cache.render(targets),
        "generation (their latents, dct)": lambda: codec.encode(video),
        "rendering (20k Gaussians, 176x320)": lambda: render(gaussians, cameras, PARAMS),
    }


def _decoder_step() -> Callable[[], object]:
    """Return a pass of the demo's decoder, forward and backward, over 6 views of 17 frames."""
    import torch

    from lyra_model.decoder import DecoderParams, create_decoder
    from lyra_model.decoder.inputs import DecoderInput

    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["train"]["decoder"]
    decoder = create_decoder(DecoderParams(**params), seed=0)
    draws = torch.Generator().manual_seed(0)
    inputs = DecoderInput(
        latents=torch.randn(1, 18, 16, 16, 24, generator=draws),
        plucker_latents=torch.randn(1, 18, 32, 16, 24, generator=draws),
        rays_o=torch.zeros(1, 102, 3, 16, 24),
        rays_d=torch.randn(1, 102, 3, 16, 24, generator=draws),
        num_views=6,
        scene_scale=1.0,
        time_latents=None,
    )

    def step() -> None:
        (gaussians,) = decoder(inputs, prune_ratio=0.0)
        (gaussians.means.square().sum() + gaussians.colors.sum()).backward()

    return step


if __name__ == "__main__":
    main()
