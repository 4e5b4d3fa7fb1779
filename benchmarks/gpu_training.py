"""A training step of every phase of a preset on a GPU: time and peak memory.

    python -m benchmarks.gpu_training [--preset h100-static] [--phases p5 p6]

Decoder, pruning, precision, checkpointing of activations, number of views and of targets, rendering
and losses are the phase's own; latents, rays and targets are drawn, and no data are read. LPIPS is
left out: its weights are not part of this project. Not run here: no GPU was at hand.
"""

from __future__ import annotations

import argparse

import torch
import yaml

from benchmarks.decoder import random_inputs
from benchmarks.gpu_decoder import SMALL
from benchmarks.gpu_device import Measured, chosen_device, device_arguments, measure
from benchmarks.rendering import uniform_scene
from lyra_data.models.codecs.base import SPATIAL_FACTOR, num_latent_frames
from lyra_model.decoder import create_decoder
from lyra_model.gaussians import Gaussians
from lyra_model.losses import total_loss
from lyra_model.losses.base import LossInput
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.phases.train_params import TrainParams
from lyra_model.rendering.base import Render
from lyra_model.rendering.deferred import loss_over_views
from stages.presets import preset_file

ALL_VIEWS = 6
"""Views of a scene of Lyra's data: phases that read all of them read so many."""


def main(words: list[str] | None = None) -> None:
    parser = device_arguments(__doc__)
    parser.add_argument("--preset", default="h100-static")
    parser.add_argument("--phases", nargs="+", help="all of them by default")
    arguments = parser.parse_args(words)
    device = chosen_device(arguments)
    if device is None:
        return
    values = yaml.safe_load(preset_file(arguments.preset).read_text())["train"]
    train = TrainParams.parse(values, where="train")
    for name in arguments.phases or train.phases:
        phase = train.phases[name]
        try:
            found = measure_phase(train, phase, device, arguments)
            text = f"{found.seconds:.3f} s a step, peak {found.peak_gib:.2f} GiB"
        except torch.cuda.OutOfMemoryError:
            text = "out of memory"
            torch.cuda.empty_cache()
        size = f"{phase.height}x{phase.width}, {phase.num_frames} frames"
        print(f"  {name} ({'in small' if arguments.small else size}): {text}")


def measure_phase(
    train: TrainParams, phase: PhaseParams, device: torch.device, arguments: argparse.Namespace
) -> Measured:
    small = arguments.small
    height, width = (32, 48) if small else (phase.height, phase.width)
    frames = 9 if small else phase.num_frames
    views = (phase.num_views or (ALL_VIEWS, ALL_VIEWS))[1]
    params, rendering = train.decoder, train.rendering
    if small:
        params = params.model_copy(update=SMALL)
        rendering = rendering.model_copy(update={"with_ut": False, "with_eval3d": False})
    inputs = random_inputs(
        views,
        num_latent_frames(frames),
        height // SPATIAL_FACTOR,
        width // SPATIAL_FACTOR,
        dynamic=params.dynamic,
    ).to(device)
    decoder = create_decoder(params, seed=0).to(device)
    decoder.gradient_checkpointing = phase.gradient_checkpointing
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=phase.learning_rate)
    losses = phase.losses.model_copy(update={"lpips": 0.0})
    targets = 2 if small else phase.num_target_frames
    cameras = uniform_scene(1, height, width, num_frames=targets)[1].to(device)
    rgb = torch.rand(1, 3, height, width, device=device)
    depth = 1.0 + torch.rand(1, height, width, device=device)
    valid = torch.ones_like(depth, dtype=torch.bool)

    def loss_of_view(view: Render, shown: Gaussians, _frame: int) -> torch.Tensor:
        return total_loss(losses, LossInput(view, rgb, depth, valid, shown)).total / targets

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=phase.precision == "bfloat16"):
            (gaussians,) = decoder(inputs, prune_ratio=phase.prune_ratio)
        loss_over_views(gaussians, cameras, rendering, loss_of_view).backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), train.optimiser.max_gradient_norm)
        optimiser.step()

    return measure(step, device, arguments.repeats)


if __name__ == "__main__":
    main()
