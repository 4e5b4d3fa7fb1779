"""Whole runs of the video generator, watched at the network's input, against the reference's.

Sizes and lengths that the pipeline does not offer are run through its parts: it takes multiples of
16 pixels, at least nine frames, and one conditioning latent frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.models.gen3c.conditioning import MAX_BUFFERS, Condition, encode_cache, encode_image
from lyra_data.models.gen3c.latent_files import dataset_latents, read_latent_file
from lyra_data.models.gen3c.noise import reference_augmentation_noise
from lyra_data.models.gen3c.pipeline import Gen3CPipeline
from lyra_data.models.gen3c.sampling import Guidance, Step, sample
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_data.models.gen3c.text import MAX_TOKENS
from tests.conformance.base import Comparison
from tests.conformance.gen3c_models import (
    create_pipeline,
    load_data,
    load_transformer,
    load_vae,
)
from tests.conformance.gen3c_pictures import reference_bytes
from tests.factories_gen3c import tiny_transformer

Case = dict[str, Any]
Data = dict[str, Tensor]
LARGEST = (128, 240, 240)
"""Latent frames, height and width that the released network has positions for."""


@dataclass
class Run:
    """What one run showed.

    Attributes:
        inputs: the network's, one a forward; both passes in one.
        steps: every step.
        raw: the latents made, as the VAE decodes them.
        frames: decoded, [batch 3 frame height width]; empty where that was not asked for.
    """

    inputs: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    raw: Tensor = field(default_factory=lambda: torch.empty(0))
    frames: Tensor = field(default_factory=lambda: torch.empty(0))


def check_conditioning(comparison: Comparison, case: Case, folder: Path) -> None:
    """A whole run with a network that says 0, watched at its input."""
    data = load_data(folder / case["data"])
    vae = load_vae(folder / case["vae_weights"], folder / case["vae_config"])
    pipeline: Any = create_pipeline(tiny_transformer(max_size=LARGEST), vae, data)
    pipeline._predict = lambda channels, *_: torch.zeros_like(channels[:, :16])
    run = _run(pipeline, case, data, scale=1.0, decode=False)  # 1, so that there are both passes
    bound = {"atol": case["tolerance"]["max_abs"]}
    _compare_condition(comparison, case, data, pipeline, run, bound)
    for name, expected in data.items():
        if not name.startswith("step"):
            continue
        index, _, what = name.removeprefix("step").partition("_")
        with_cache, without = run.inputs[int(index)].chunk(2)
        before = run.steps[int(index) - 1].latents if int(index) else _start(pipeline, data)
        ours = {"input_cond": with_cache, "input_uncond": without, "latents_before": before}[what]
        comparison.add(name, ours, expected, bound)
    if "decoded_condition" in data:
        statistics = LatentStatistics.of(pipeline.vae)
        decoded = pipeline._decode(statistics.denormalise(data["condition_latents"]))
        comparison.add("decoded condition", decoded, data["decoded_condition"], bound)


def check_end_to_end(comparison: Comparison, case: Case, folder: Path) -> None:
    data = load_data(folder / case["data"])
    pipeline = create_pipeline(
        load_transformer(folder / case["transformer_weights"], folder / case["transformer_config"]),
        load_vae(folder / case["vae_weights"], folder / case["vae_config"]),
        data,
    )
    run = _run(pipeline, case, data, scale=float(case["guidance"]), decode=True)
    tolerance = case["tolerance"]
    latents = {"atol": tolerance["max_abs_latents"]}
    _compare_condition(comparison, case, data, pipeline, run, latents)
    comparison.add("latents", run.steps[-1].latents, data["latents"], latents)
    comparison.add("raw latents", run.raw, data["denormalised_latents"], latents)
    for step in run.steps:
        expected = data["trajectory"][step.index]
        scale = max(1.0, float(expected.abs().max()))
        bound = {"atol": tolerance["max_abs_latents"] * scale}
        comparison.add(f"step {step.index}", step.latents, expected, bound)
    decoded = {"atol": tolerance["max_abs_decoded"]}
    comparison.add("decoded", run.frames, data["decoded"], decoded)
    frames = reference_bytes(run.frames[0]).permute(1, 2, 3, 0)
    comparison.add("frames", frames, data["frames_uint8"], {"atol": tolerance["uint8_max_diff"]})
    saved = read_latent_file(folder / case["latent_file"])
    comparison.add("saved latents", run.steps[-1].latents, saved, latents)
    of_dataset = dataset_latents(saved, LatentStatistics.of(pipeline.vae))
    comparison.add("dataset latents", of_dataset, data["dataset_latents_tchw"], latents)
    ours = run.raw[0].transpose(0, 1)
    comparison.add("our dataset latents", ours, data["dataset_latents_tchw"], latents)


def _compare_condition(
    comparison: Comparison,
    case: Case,
    data: Data,
    pipeline: Gen3CPipeline,
    run: Run,
    bound: dict[str, float],
) -> None:
    """What the network is told, and the noise on it. Only conditioning latent frames matter."""
    batch, num_frames = len(data["initial_noise"]), _num_condition_frames(case)
    ours = run.inputs[0][:batch, 17:81]
    comparison.add("cache latents", ours, data["cache_latents"], bound)
    ours = _image_latents(pipeline, data, num_frames)[:, :, :num_frames]
    comparison.add("condition latents", ours, data["condition_latents"][:, :, :num_frames], bound)
    compare_augment_noise(comparison, case, data)


def compare_augment_noise(comparison: Comparison, case: Case, data: Data) -> None:
    """A logarithm's last bit may differ between machines, no more."""
    expected = data["augment_noise"]
    ours = reference_augmentation_noise(case["augment_seed"], tuple(expected.shape))
    comparison.add("augment noise", ours, expected, {"atol": 1e-6})


def _run(pipeline: Any, case: Case, data: Data, *, scale: float, decode: bool) -> Run:
    """The case through the pipeline where that offers its size, else through its parts."""
    buffers = case.get("frame_buffer_max", MAX_BUFFERS)
    assert buffers == MAX_BUFFERS, f"GEN3C takes {MAX_BUFFERS} buffers, the case states {buffers}"
    run, predict = Run(), pipeline._predict

    def watched(channels: Tensor, *others: Any) -> Tensor:
        run.inputs.append(channels)
        return predict(channels, *others)

    pipeline._predict = watched
    _, frames, _, _, height, width = data["warped_frames"].shape
    offered = frames > 1 and not (height % 16 or width % 16) and _num_condition_frames(case) == 1
    run_with = _run_pipeline if offered else _run_parts
    run_with(run, pipeline, case, data, scale, decode)
    return run


def _run_pipeline(
    run: Run, pipeline: Gen3CPipeline, case: Case, data: Data, scale: float, decode: bool
) -> None:
    text = data.get("text_embeddings")
    made = pipeline(
        data["condition_image"][:, :, 0],
        data["warped_frames"],
        data["warped_masks"],
        prompt_embeds=text,
        negative_prompt_embeds=data.get("negative_text_embeddings"),
        max_sequence_length=MAX_TOKENS if text is None else text.shape[1],
        num_inference_steps=case["num_steps"],
        guidance=scale,
        input_frames_guidance=case.get("input_frames_guidance", False),
        augment_sigma=case["augment_sigma"],
        augment_seed=case["augment_seed"],
        fps=float(case.get("fps", 24)),
        latents=data["initial_noise"],
        output_type="decoded" if decode else "latent",
        on_step=lambda _, step: run.steps.append(step),
    )
    run.raw = made.latents
    if decode:
        run.frames = made.frames


def _run_parts(
    run: Run, pipeline: Gen3CPipeline, case: Case, data: Data, scale: float, decode: bool
) -> None:
    statistics = LatentStatistics.of(pipeline.vae)
    noise, text = data["initial_noise"], data.get("text_embeddings")
    num_tokens = MAX_TOKENS if text is None else text.shape[1]
    words = pipeline._text(None, text, len(noise), num_tokens)
    negative = words
    if "negative_text_embeddings" in data:
        given = data["negative_text_embeddings"]
        negative = pipeline._text(None, given, len(noise), num_tokens)
    condition = Condition(
        image_latents=_image_latents(pipeline, data, _num_condition_frames(case)),
        cache_latents=encode_cache(
            lambda video: statistics.normalise(pipeline._encode(video)),
            data["warped_frames"],
            data["warped_masks"],
        ),
        augment_noise=reference_augmentation_noise(case["augment_seed"], tuple(noise.shape)),
        augment_sigma=case["augment_sigma"],
        num_frames=_num_condition_frames(case),
    )
    fps = float(case.get("fps", 24))
    made = sample(
        lambda channels, timestep, text: pipeline._predict(channels, timestep, text, fps),
        pipeline.scheduler,
        noise,
        condition,
        Guidance(words, negative, scale, case.get("input_frames_guidance", False), batched=True),
        num_steps=case["num_steps"],
        on_step=run.steps.append,
    )
    run.raw = statistics.denormalise(made)
    if decode:
        run.frames = pipeline._decode(run.raw)


def _image_latents(pipeline: Gen3CPipeline, data: Data, num_frames: int) -> Tensor:
    """One conditioning frame is encoded alone, more as a video: the picture, then grey frames."""
    statistics, picture = LatentStatistics.of(pipeline.vae), data["condition_image"]

    def encode(video: Tensor) -> Tensor:
        return statistics.normalise(pipeline._encode(video))

    if num_frames == 1:
        length = data["initial_noise"].shape[2]
        return encode_image(encode, picture[:, :, 0], num_latent_frames=length)
    missing = data["warped_frames"].shape[1] - picture.shape[2]
    grey = picture.new_zeros(*picture.shape[:2], missing, *picture.shape[3:])
    return encode(torch.cat([picture, grey], dim=2))


def _num_condition_frames(case: Case) -> int:
    return case.get("num_condition_latent_frames", 1)


def _start(pipeline: Gen3CPipeline, data: Data) -> Tensor:
    return data["initial_noise"] * pipeline.scheduler.init_noise_sigma
