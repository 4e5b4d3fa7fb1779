"""One full-size denoising step of GEN3C with random weights: that it fits, how much and how long.

Figures are printed; run with `-s` to see them.
"""

from __future__ import annotations

import gc
import time

import pytest
import torch
from diffusers import AutoencoderKLCosmos, CosmosTransformer3DModel

from lyra_data.models.gen3c.loading import offload_layers
from lyra_data.models.gen3c.pipeline import Gen3CPipeline
from lyra_data.models.gen3c.scheduler import create_scheduler
from tests.factories_gen3c import tiny_pipeline
from tests.unit.test_gen3c_pipeline import STEPS, make_inputs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]

CUDA = torch.device("cuda")
FRAMES, HEIGHT, WIDTH = 121, 704, 1280
GIB = 2**30


def full_size_pipeline() -> Gen3CPipeline:
    """Released sizes, random weights: the transformer in bfloat16, the autoencoder in float32."""
    with CUDA:
        transformer = CosmosTransformer3DModel(in_channels=82, concat_padding_mask=False)
        transformer = transformer.to(torch.bfloat16)
        vae = AutoencoderKLCosmos(latents_mean=[0.0] * 256, latents_std=[1.0] * 256)
    assert sum(p.numel() for p in transformer.parameters()) == 7_237_257_216
    assert sum(p.numel() for p in vae.parameters()) == 105_653_696
    pipeline = Gen3CPipeline(
        transformer=transformer.eval(), vae=vae.eval(), scheduler=create_scheduler()
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def pipeline():
    made = full_size_pipeline()
    yield made
    del made
    gc.collect()
    torch.cuda.empty_cache()


def step_seconds_and_gib(pipeline: Gen3CPipeline, *, batched: bool) -> tuple[float, float]:
    """Seconds of one guided step and the most memory a whole call of two steps takes."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    times: list[float] = []

    def watch(*_: object) -> None:
        torch.cuda.synchronize()
        times.append(time.perf_counter())

    image, warped, masks = make_inputs(frames=FRAMES, height=HEIGHT, width=WIDTH)
    made = pipeline(
        image, warped, masks, seed=1, num_inference_steps=2, batch_guidance=batched, on_step=watch
    )
    assert made.latents.shape == (1, 16, 16, 88, 160)
    assert bool(torch.isfinite(made.latents).all())
    return times[1] - times[0], torch.cuda.max_memory_allocated() / GIB


def report(name: str, seconds: float, gib: float) -> None:
    print(f"\ngen3c {name}: {seconds:.2f} s a step, {gib:.1f} GiB peak")  # noqa: T201


def test_a_full_size_step_fits_in_layers_that_take_turns(pipeline):
    pipeline.to("cpu")
    torch.cuda.empty_cache()
    offload_layers(pipeline, CUDA, "block_level", use_stream=True)
    seconds, gib = step_seconds_and_gib(pipeline, batched=False)
    report("offload group, passes apart", seconds, gib)
    assert gib < 80


def test_tiny_weights_agree_with_the_cpu():
    inputs = make_inputs()
    on_cpu = tiny_pipeline()(*inputs, seed=1, **STEPS).latents
    on_cuda = tiny_pipeline().to(CUDA)(*inputs, seed=1, **STEPS).latents
    assert float((on_cpu - on_cuda).abs().max()) < 1e-2


@pytest.mark.parametrize("way", ["model", "sequential", "block_level", "leaf_level"])
def test_every_way_of_offloading_gives_what_the_whole_pipeline_gives(way):
    inputs = make_inputs()
    whole = tiny_pipeline().to(CUDA)(*inputs, seed=1, **STEPS).latents
    offloaded = tiny_pipeline()
    if way == "model":
        offloaded.enable_model_cpu_offload(device=CUDA)
    elif way == "sequential":
        offloaded.enable_sequential_cpu_offload(device=CUDA)
    else:
        offload_layers(offloaded, CUDA, way, use_stream=way == "block_level")
    assert float((whole - offloaded(*inputs, seed=1, **STEPS).latents).abs().max()) < 1e-4


@pytest.mark.parametrize("batched", [False, True])
def test_a_full_size_step_on_the_device_alone(pipeline, batched):
    if torch.cuda.get_device_properties(0).total_memory < 75 * GIB:
        pytest.skip("needs 80 GB")
    seconds, gib = step_seconds_and_gib(pipeline.to(CUDA), batched=batched)
    report(f"all on the device, passes {'together' if batched else 'apart'}", seconds, gib)
