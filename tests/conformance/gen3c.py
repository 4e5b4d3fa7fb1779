"""The video generator: networks, conditioning, sampling and whole runs against the reference.

Cases of the checkpoints' files and keys are compared by `tests.conformance.gen3c_weights`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lyra_data.gen3c.conditioning import Condition, encode_image
from lyra_data.gen3c.images import reference_bytes, reference_image
from lyra_data.gen3c.latent_files import dataset_latents, read_latent_file
from lyra_data.gen3c.sampling import Guidance, Step, sample
from lyra_data.gen3c.scheduler import create_scheduler
from lyra_data.gen3c.segments import segment_layout
from lyra_data.gen3c.statistics import LatentStatistics
from tests.conformance.base import Comparison, Result
from tests.conformance.gen3c_models import (
    create_pipeline,
    load_transformer,
    load_vae,
    pipeline_of,
)
from tests.factories_gen3c import tiny_transformer

Case = dict[str, Any]
WEIGHT_KINDS = ("checkpoint_files", "key_map", "key_table")


def check(entry: dict[str, Any], folder: Path) -> Result:
    case, folder = entry["case"], folder / entry["subfolder"]
    if case["kind"] in WEIGHT_KINDS:
        weights = importlib.import_module("tests.conformance.gen3c_weights")
        return replace(weights.check(case, folder), kind="gen3c", file=case["id"])
    comparison = Comparison(entry)
    with torch.no_grad():
        CHECKS[case["kind"]](comparison, case, folder)
    return comparison.result()


def check_transformer(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_file(folder / case["data"])
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
        assembled, data["timestep"], data["text_embeddings"], float(data["fps"])
    )
    bound = _max_abs(case)
    comparison.add("assembled input", assembled, data["assembled_input"], bound)
    comparison.add("output", output, data["output"], bound)


def check_vae(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_file(folder / case["data"])
    vae = load_vae(folder / case["weights"], folder / case["config"])
    pipeline = pipeline_of(tiny_transformer(), vae)
    bound = _max_abs(case)
    comparison.add("latents", pipeline._encode(data["pixels"]), data["latents"], bound)
    comparison.add("decoded", pipeline._decode(data["latents"]), data["decoded"], bound)


def check_conditioning(comparison: Comparison, case: Case, folder: Path) -> None:
    """A whole run with a network that says 0, watched at its input."""
    data = load_file(folder / case["data"])
    vae = load_vae(folder / case["vae_weights"], folder / case["vae_config"])
    pipeline = create_pipeline(tiny_transformer(), vae, data)
    inputs: list[tuple[Tensor, Tensor]] = []
    steps: list[Step] = []

    def silent_network(channels: Tensor, *_: Any) -> Tensor:
        inputs.append(channels.chunk(2))
        return torch.zeros_like(channels[:, :16])

    pipeline._predict = silent_network
    pipeline(
        data["condition_image"][:, :, 0],
        data["warped_frames"],
        data["warped_masks"],
        latents=data["initial_noise"],
        on_step=lambda _, step: steps.append(step),
        output_type="latent",
        **_sampling_options(case),
    )
    bound = _max_abs(case)
    assert case["frame_buffer_max"] == 2
    comparison.add("cache latents", inputs[0][0][:, 17:81], data["cache_latents"], bound)
    for name in data:
        index = int(name.removeprefix("step").split("_")[0]) if name.startswith("step") else 0
        if name.endswith("_input_cond"):
            comparison.add(name, inputs[index][0], data[name], bound)
        elif name.endswith("_input_uncond"):
            comparison.add(name, inputs[index][1], data[name], bound)
        elif name.endswith("_latents_before"):
            comparison.add(name, steps[index - 1].latents, data[name], bound)
    _compare_condition(comparison, case, data, pipeline)


def _compare_condition(
    comparison: Comparison, case: Case, data: dict[str, Tensor], pipeline: Any
) -> None:
    """The image's latent alone is the first of the image with blank frames after it."""
    statistics = LatentStatistics.of(pipeline.vae)
    expected = data["condition_latents"]
    latents = encode_image(
        lambda video: statistics.normalise(pipeline._encode(video)),
        data["condition_image"][:, :, 0],
        num_latent_frames=expected.shape[2],
    )
    bound = _max_abs(case)
    comparison.add("condition latent", latents[:, :, :1], expected[:, :, :1], bound)
    if "decoded_condition" in data:
        decoded = pipeline._decode(statistics.denormalise(expected))
        comparison.add("decoded condition", decoded, data["decoded_condition"], bound)


def check_sampler(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_file(folder / case["data"])
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
    negative = data["negative_text_embeddings"] if case["has_negative_text"] else text * 0
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
    comparison.add("first unconditional", inputs[1], data["first_step_input_uncond"], bound)
    comparison.add("last input", inputs[-2], data["last_step_input_cond"], bound)
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
            comparison.add(f"step {step.index} {name}", ours, expected, _step_bound(case, expected))


def check_end_to_end(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_file(folder / case["data"])
    pipeline = create_pipeline(
        load_transformer(folder / case["transformer_weights"], folder / case["transformer_config"]),
        load_vae(folder / case["vae_weights"], folder / case["vae_config"]),
        data,
    )
    steps: list[Step] = []
    made = pipeline(
        data["condition_image"][:, :, 0],
        data["warped_frames"],
        data["warped_masks"],
        prompt_embeds=data["text_embeddings"],
        negative_prompt_embeds=data.get("negative_text_embeddings"),
        input_frames_guidance=case.get("input_frames_guidance", False),
        max_sequence_length=data["text_embeddings"].shape[1],
        latents=data["initial_noise"],
        output_type="decoded",
        on_step=lambda _, step: steps.append(step),
        guidance=float(case["guidance"]),
        fps=float(case["fps"]),
        **_sampling_options(case),
    )
    tolerance = case["tolerance"]
    latents = {"atol": tolerance["max_abs_latents"]}
    comparison.add("latents", steps[-1].latents, data["latents"], latents)
    comparison.add("raw latents", made.latents, data["denormalised_latents"], latents)
    for step in steps:
        expected = data["trajectory"][step.index]
        scale = max(1.0, float(expected.abs().max()))
        bound = {"atol": tolerance["max_abs_latents"] * scale}
        comparison.add(f"step {step.index}", step.latents, expected, bound)
    decoded = {"atol": tolerance["max_abs_decoded"]}
    comparison.add("decoded", made.frames, data["decoded"], decoded)
    frames = reference_bytes(made.frames[0]).permute(1, 2, 3, 0)
    comparison.add("frames", frames, data["frames_uint8"], {"atol": tolerance["uint8_max_diff"]})
    saved = read_latent_file(folder / case["latent_file"])
    comparison.add("saved latents", steps[-1].latents, saved, latents)
    statistics = LatentStatistics.of(pipeline.vae)
    of_dataset = dataset_latents(saved, statistics)
    comparison.add("dataset latents", of_dataset, data["dataset_latents_tchw"], latents)
    ours = made.latents[0].transpose(0, 1)
    comparison.add("our dataset latents", ours, data["dataset_latents_tchw"], latents)


def check_schedule(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_file(folder / case["data"])
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
    data = load_file(folder / case["data"])
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


def _sampling_options(case: Case) -> dict[str, Any]:
    return {
        "num_inference_steps": case["num_steps"],
        "augment_sigma": case["augment_sigma"],
        "augment_seed": case["augment_seed"],
    }


def _max_abs(case: Case) -> dict[str, float]:
    return {"atol": case["tolerance"]["max_abs"]}


def _step_bound(case: Case, expected: Tensor) -> dict[str, float]:
    """Relative to the step's own scale where the case says so: sigma falls from 80 to 0."""
    relative = case["tolerance"].get("relative_to_step_scale")
    if relative is None:
        return _max_abs(case)
    return {"atol": relative * float(expected.abs().max())}
