"""The video generator's networks, sampling, noise levels and pictures against the reference's.

Conditioning and whole runs are compared by `tests.conformance.gen3c_runs`, the checkpoints' files
and keys by `tests.conformance.gen3c_weights`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.models.gen3c.conditioning import Condition
from lyra_data.models.gen3c.sampling import Guidance, Step, sample
from lyra_data.models.gen3c.scheduler import create_scheduler
from lyra_data.models.gen3c.segments import segment_layout
from tests.conformance.base import Comparison, Result, skip
from tests.conformance.gen3c_models import (
    load_data,
    load_transformer,
    load_vae,
    pipeline_of,
)
from tests.conformance.gen3c_pictures import reference_image
from tests.conformance.gen3c_runs import (
    check_conditioning,
    check_end_to_end,
    compare_augment_noise,
)
from tests.factories_gen3c import tiny_transformer

Case = dict[str, Any]
WEIGHT_KINDS = ("checkpoint_files", "key_map", "key_table")


def check(entry: dict[str, Any], folder: Path) -> Result:
    case, folder = entry["case"], folder / entry["subfolder"]
    if case["kind"] in WEIGHT_KINDS:
        weights = importlib.import_module("tests.conformance.gen3c_weights")
        return replace(weights.check(case, folder), kind="gen3c", file=case["id"])
    if case["kind"] not in CHECKS:
        return skip(entry, f"nothing here compares gen3c cases of kind {case['kind']!r}")
    comparison = Comparison(entry)
    with torch.no_grad():
        CHECKS[case["kind"]](comparison, case, folder)
    return comparison.result()


def check_transformer(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_data(folder / case["data"])
    pipeline = pipeline_of(load_transformer(folder / case["weights"], folder / case["config"]))
    mask = data["condition_mask"]
    condition = Condition(
        image_latents=torch.zeros_like(data["noisy_latents"]),
        cache_latents=data["cache_latents"],
        augment_noise=torch.zeros_like(data["noisy_latents"]),
        augment_sigma=0.0,
        num_frames=int(mask[0, 0, :, 0, 0].sum()),
    )
    assembled = condition.network_input(data["noisy_latents"])
    output = pipeline._predict(
        assembled, data["timestep"], data["text_embeddings"], float(data["fps"].flatten()[0])
    )
    bound = _max_abs(case)
    comparison.add("assembled input", assembled, data["assembled_input"], bound)
    comparison.add("output", output, data["output"], bound)


def check_vae(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_data(folder / case["data"])
    vae = load_vae(folder / case["weights"], folder / case["config"])
    pipeline = pipeline_of(tiny_transformer(), vae)
    bound = _max_abs(case)
    comparison.add("latents", pipeline._encode(data["pixels"]), data["latents"], bound)
    comparison.add("decoded", pipeline._decode(data["latents"]), data["decoded"], bound)


def check_sampler(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_data(folder / case["data"])
    inputs: list[Tensor] = []

    def toy(channels: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        inputs.append(channels)
        mixed = torch.einsum("oc,bcthw->bothw", data["toy_A"], channels)
        times = torch.outer(timestep, data["toy_b"])
        words = torch.outer(text.mean((1, 2)), data["toy_c"])
        return torch.tanh(mixed + (times + words)[:, :, None, None, None])

    condition = Condition(
        image_latents=data["condition_latents"],
        cache_latents=data["cache_latents"],
        augment_noise=data["augment_noise"],
        augment_sigma=case["augment_sigma"],
        num_frames=case["num_condition_latent_frames"],
    )
    text = data["text_embeddings"]
    # Without a negative text the unconditional pass keeps the prompt's own, and loses the cache.
    negative = data["negative_text_embeddings"] if case["has_negative_text"] else text
    guidance = Guidance(text, negative, case["guidance"], case["input_frames_guidance"], False)
    scheduler = create_scheduler()
    steps: list[Step] = []
    final = sample(
        toy,
        scheduler,
        data["initial_noise"],
        condition,
        guidance,
        num_steps=case["num_steps"],
        on_step=steps.append,
    )
    bound = _max_abs(case)
    comparison.add("final", final, data["final"], bound)
    comparison.add("first input", inputs[0], data["first_step_input_cond"], bound)
    without = condition.unconditional_input(
        inputs[0][:, :16], input_frames_guidance=case["input_frames_guidance"]
    )
    comparison.add("first unconditional", without, data["first_step_input_uncond"], bound)
    paired = case["guidance"] != 0  # else there is one pass a step, the conditional one
    if paired:
        comparison.add("second pass", inputs[1], data["first_step_input_uncond"], bound)
    last = inputs[-2 if paired else -1]
    comparison.add("last input", last, data["last_step_input_cond"], bound)
    compare_augment_noise(comparison, case, data)
    comparison.add("sigmas", scheduler.sigmas, data["sigmas"], {"rtol": 5e-6})
    comparison.add("timesteps", scheduler.timesteps, data["timesteps"], {"atol": 5e-6})
    for step in steps:
        # The reference's effective network value is x0 divided by almost nothing at low noise;
        # what a plain Euler step makes of it is compared instead.
        implied = scheduler.precondition_outputs(
            data["step_inputs"][step.index], data["step_outputs"][step.index], step.sigma
        )
        for name, ours, expected in (
            ("x0", step.denoised, data["step_x0"][step.index]),
            ("x0 from the network value", step.denoised, implied),
            ("input", step.sample, data["step_inputs"][step.index]),
            ("trajectory", step.latents, data["trajectory"][step.index]),
        ):
            bound = _step_bound(case, expected, data["step_inputs"][step.index])
            comparison.add(f"step {step.index} {name}", ours, expected, bound)


def check_schedule(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_data(folder / case["data"])
    settings = {name: case[name] for name in ("sigma_min", "sigma_max", "sigma_data", "rho")}
    scheduler = create_scheduler(**settings)
    relative = case["tolerance"]["relative"]
    start = scheduler.init_noise_sigma
    comparison.add("start", start, case["init_noise_sigma"], {"rtol": relative})
    for num_steps in case["num_steps"]:
        scheduler.set_timesteps(num_steps)
        sigmas, timesteps = data[f"sigmas_{num_steps}"], data[f"timesteps_{num_steps}"]
        comparison.add(f"sigmas {num_steps}", scheduler.sigmas, sigmas, {"rtol": relative})
        # A logarithm turns the levels' relative error into an absolute one.
        bound = {"atol": relative, "rtol": relative}
        comparison.add(f"timesteps {num_steps}", scheduler.timesteps, timesteps, bound)


def check_image(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_data(folder / case["data"])
    height, width = case["target"]
    image = reference_image(data["image_uint8_hwc"], height=height, width=width)
    expected = data["conditioning_bf16"][:, :, 0]
    comparison.add("condition image", image.float(), expected.float(), _max_abs(case))


def check_segments(comparison: Comparison, case: Case, folder: Path) -> None:
    table = json.loads((folder / case["data"]).read_text())
    exact = {"exact": True}
    for num_frames, expected in table["cases"].items():
        layout = segment_layout(int(num_frames))
        kept = sum(segment.stop - segment.start - segment.first_kept for segment in layout)
        comparison.add(f"{num_frames} output frames", kept, expected["output_frames"], exact)
        ours = [[part.index, part.start, part.stop, part.first_kept] for part in layout]
        theirs = [
            [part["segment"], *part["camera_frames"], part["first_output_frame_kept"]]
            for part in expected["segments"]
        ]
        comparison.add(f"{num_frames} layout", ours, theirs, exact)


CHECKS: dict[str, Callable[[Comparison, Case, Path], None]] = {
    "transformer_forward": check_transformer,
    "vae_encode_decode": check_vae,
    "conditioning_assembly": check_conditioning,
    "sampler_toy": check_sampler,
    "end_to_end": check_end_to_end,
    "schedule": check_schedule,
    "image_preprocess": check_image,
    "segment_schedule": check_segments,
}


def _max_abs(case: Case) -> dict[str, float]:
    return {"atol": case["tolerance"]["max_abs"]}


def _step_bound(case: Case, expected: Tensor, entered: Tensor) -> dict[str, float]:
    """Relative to the step's own scale where the case says so: sigma falls from 80 to 0.

    What enters a step belongs to its scale: a step to a much lower level is the small difference
    of large numbers.
    """
    relative = case["tolerance"].get("relative_to_step_scale")
    if relative is None:
        return _max_abs(case)
    return {"atol": relative * max(float(values.abs().max()) for values in (expected, entered))}
