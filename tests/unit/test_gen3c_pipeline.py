from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from lyra_data.engine.errors import ParamsError
from lyra_data.models.gen3c.inputs import picture_values, warped_values
from lyra_data.models.gen3c.noise import starting_noise
from lyra_data.models.gen3c.outputs import OUTPUT_TYPES
from lyra_data.models.gen3c.pipeline import Gen3CPipeline
from lyra_data.models.gen3c.scheduler import create_scheduler
from lyra_data.scene.pixel_values import bytes_from_signed, signed_from_bytes
from tests.factories_gen3c import tiny_pipeline, tiny_transformer, tiny_vae

HEIGHT, WIDTH, FRAMES = 16, 32, 9
STEPS = {"num_inference_steps": 3}


def make_inputs(*, batch=1, buffers=1, frames=FRAMES, height=HEIGHT, width=WIDTH, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    warped = torch.rand(batch, frames, buffers, 3, height, width, generator=generator) * 2 - 1
    masks = (
        torch.rand(batch, frames, buffers, 1, height, width, generator=generator) > 0.3
    ).float()
    return image, torch.where(masks > 0, warped, -1.0), masks


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def folder(pipeline, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "gen3c"
    pipeline.save_pretrained(path)
    return path


def largest(one, other):
    return float((one - other).abs().max())


def test_a_saved_pipeline_makes_the_same_video(pipeline, folder):
    again = Gen3CPipeline.from_pretrained(folder)
    again.set_progress_bar_config(disable=True)
    one, other = (each(*make_inputs(), seed=1, **STEPS) for each in (pipeline, again))
    assert torch.equal(one.latents, other.latents)
    assert torch.equal(one.frames, other.frames)


def test_a_network_in_bfloat16_leaves_latents_in_float32(pipeline, folder):
    half = Gen3CPipeline.from_pretrained(
        folder, dtype={"transformer": torch.bfloat16, "default": torch.float32}
    )
    half.set_progress_bar_config(disable=True)
    assert half.transformer.dtype == torch.bfloat16 and half.vae.dtype == torch.float32
    steps = []
    made = half(*make_inputs(), seed=1, on_step=lambda _, step: steps.append(step), **STEPS)
    exact = pipeline(*make_inputs(), seed=1, **STEPS).latents
    assert all(step.latents.dtype == torch.float32 for step in steps)
    assert made.latents.dtype == torch.float32
    # Latents that passed through bfloat16 would have no bits below its eighth.
    assert not torch.equal(steps[0].latents, steps[0].latents.bfloat16().float())
    assert 0 < largest(made.latents, exact) < 0.05 * float(exact.abs().max())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(pipeline):
    inputs = make_inputs()
    one, same, other = (pipeline(*inputs, seed=seed, **STEPS) for seed in (7, 7, 8))
    assert torch.equal(one.frames, same.frames) and torch.equal(one.latents, same.latents)
    assert not torch.equal(one.latents, other.latents)


def test_a_generator_decides_where_no_seed_is_given(pipeline):
    def made(state):
        generator = torch.Generator().manual_seed(state)
        return pipeline(*make_inputs(), generator=generator, output_type="latent", **STEPS).latents

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))


def test_guidance_passes_give_the_same_together_and_one_after_the_other(pipeline):
    together, apart = (
        pipeline(*make_inputs(), seed=1, guidance=3.0, batch_guidance=batched, **STEPS).latents
        for batched in (True, False)
    )
    assert largest(together, apart) < 1e-4


def test_guidance_of_one_is_not_the_conditional_pass_alone(pipeline):
    one, zero = (
        pipeline(*make_inputs(), seed=1, guidance=guidance, **STEPS).latents
        for guidance in (1.0, 0.0)
    )
    assert largest(one, zero) > 1e-3


def test_input_frames_guidance_changes_the_result(pipeline):
    with_mask, without = (
        pipeline(*make_inputs(), seed=1, input_frames_guidance=guided, **STEPS).latents
        for guided in (False, True)
    )
    assert largest(with_mask, without) > 1e-4


def test_what_the_cache_shows_changes_the_result(pipeline):
    image, warped, masks = make_inputs(buffers=2)
    both = pipeline(image, warped, masks, seed=1, **STEPS).latents
    newest = pipeline(image, warped[:, :, :1], masks[:, :, :1], seed=1, **STEPS).latents
    no_mask = pipeline(image, warped, 0 * masks, seed=1, **STEPS).latents
    assert largest(both, newest) > 1e-4
    assert largest(both, no_mask) > 1e-4


def test_a_sample_does_not_depend_on_the_others_of_its_batch(pipeline):
    inputs = make_inputs(batch=2)
    both = pipeline(*inputs, seed=[5, 6], **STEPS).latents
    second = pipeline(*(part[1:] for part in inputs), seed=6, **STEPS).latents
    assert largest(both[1:], second) < 1e-4


def test_one_seed_gives_every_sample_of_a_batch_its_own_noise(pipeline):
    inputs = [part.repeat(2, *[1] * (part.ndim - 1)) for part in make_inputs()]
    latents = pipeline(*inputs, seed=5, **STEPS).latents
    assert largest(latents[0], latents[1]) > 1e-2


def test_later_segments_go_on_from_the_last_frame_as_it_is_stored(pipeline):
    inputs, later = make_inputs(), make_inputs(seed=3)[1:]
    asked = []

    def next_segment(last_frame):
        asked.append(last_frame)
        return later

    options = {"seed": 1, "augment_seed": 4, "output_type": "decoded", **STEPS}
    made = pipeline(*inputs, num_frames=17, next_segment=next_segment, **options)
    assert made.frames.shape == (1, 3, 17, HEIGHT, WIDTH)
    assert made.latents.shape == (1, 16, 3, HEIGHT // 8, WIDTH // 8)

    first = pipeline(*inputs, **options)
    assert torch.equal(made.frames[:, :, :9], first.frames)
    assert torch.equal(made.latents[:, :, :2], first.latents)

    (last,) = asked
    assert torch.equal(last, signed_from_bytes(bytes_from_signed(first.frames[:, :, -1])))
    noise = starting_noise([1], 1, (16, 2, HEIGHT // 8, WIDTH // 8))
    second = pipeline(last, *later, latents=noise, **options)
    assert torch.equal(made.frames[:, :, 9:], second.frames[:, :, 1:])
    assert torch.equal(made.latents[:, :, 2:], second.latents[:, :, 1:])


def test_segments_do_not_share_their_noise():
    one, other = (starting_noise([1], segment, (16, 2, 2, 2)) for segment in (0, 1))
    assert abs(float((one * other).mean())) < 0.2 and not torch.equal(one, other)


def test_the_bar_counts_the_steps_of_all_segments():
    pipeline, text = tiny_pipeline(), io.StringIO()
    pipeline.set_progress_bar_config(file=text)
    inputs = make_inputs()
    pipeline(*inputs, num_frames=17, next_segment=lambda _: inputs[1:], **STEPS)
    assert "6/6" in text.getvalue()


@pytest.mark.parametrize("output_type", OUTPUT_TYPES)
def test_every_output_type_shows_the_same_video(pipeline, output_type):
    inputs = make_inputs()
    expected = pipeline(*inputs, seed=1, output_type="decoded", **STEPS)
    made = pipeline(*inputs, seed=1, output_type=output_type, **STEPS)
    assert torch.equal(made.latents, expected.latents)
    decoded = expected.frames[0].transpose(0, 1)
    frame = bytes_from_signed(decoded)[3]
    if output_type == "latent":
        assert made.frames is None
    elif output_type == "pil":
        assert made.frames[0][3].size == (WIDTH, HEIGHT)
        assert made.frames[0][3].getpixel((5, 2)) == tuple(frame[:, 2, 5].tolist())
    else:
        found = torch.as_tensor(made.frames[0])
        shape = {"np": (9, HEIGHT, WIDTH, 3), "decoded": (3, 9, HEIGHT, WIDTH)}
        assert found.shape == shape.get(output_type, (9, 3, HEIGHT, WIDTH))
        if output_type == "uint8":
            assert torch.equal(found[3], frame)
        elif output_type != "decoded":
            assert float(found.min()) >= 0 and float(found.max()) <= 1


def test_bytes_come_back_as_they_were():
    every = torch.arange(256).to(torch.uint8)
    assert torch.equal(bytes_from_signed(signed_from_bytes(every)), every)


def test_a_size_that_does_not_fit_names_the_nearest_that_do(pipeline):
    with pytest.raises(ParamsError, match=r"(?s)height 24.*width 40.*16 or 32.*32 or 48"):
        pipeline(*make_inputs(height=24, width=40), **STEPS)
    with pytest.raises(ParamsError, match=r"(?s)width 272 .* up to 256.*take a width of 256"):
        pipeline(*make_inputs(width=272), **STEPS)


@pytest.mark.parametrize("num_steps", [0, -1])
def test_a_run_of_no_steps_is_refused(pipeline, num_steps):
    with pytest.raises(ParamsError, match=f"{num_steps} steps are asked for"):
        pipeline(*make_inputs(), num_inference_steps=num_steps)


def test_frames_that_do_not_fill_segments_name_the_nearest_that_do(pipeline):
    inputs = make_inputs()
    with pytest.raises(ParamsError, match=r"(?s)20 frames.*take 17 or 25"):
        pipeline(*inputs, num_frames=20, next_segment=lambda _: inputs[1:], **STEPS)
    with pytest.raises(ParamsError, match=r"(?s)segment of 12 frames.*take 9 or 17"):
        pipeline(*make_inputs(frames=12), **STEPS)
    with pytest.raises(ParamsError, match="nothing tells what the cache shows"):
        pipeline(*inputs, num_frames=17, **STEPS)


def test_a_segment_longer_than_the_weights_know_is_refused(pipeline):
    with pytest.raises(ParamsError, match="longer than these weights' 121"):
        pipeline(*make_inputs(frames=129), **STEPS)


def test_a_third_buffer_and_masks_of_another_size_are_refused(pipeline):
    with pytest.raises(ParamsError, match="3 buffers are given"):
        pipeline(*make_inputs(buffers=3), **STEPS)
    image, warped, masks = make_inputs()
    with pytest.raises(ParamsError, match="warped_masks has shape"):
        pipeline(image, warped, masks[..., 1:], **STEPS)
    with pytest.raises(ParamsError, match="image has shape"):
        pipeline(image[..., 1:], warped, masks, **STEPS)


def test_a_picture_of_pillows_is_the_tensor_of_its_pixels(pipeline):
    _, warped, masks = make_inputs()
    height, width = warped.shape[-2:]
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    values = signed_from_bytes(torch.from_numpy(pixels)).permute(2, 0, 1)[None]
    batch = len(warped)
    made = pipeline([picture] * batch, warped, masks, seed=1, **STEPS)
    expected = pipeline(values.expand(batch, -1, -1, -1), warped, masks, seed=1, **STEPS)
    assert torch.equal(made.latents, expected.latents)
    with pytest.raises(ParamsError, match="image has shape"):
        pipeline([picture.resize((width, height + 16))] * batch, warped, masks, **STEPS)


@pytest.mark.parametrize(
    ("image", "what"),
    [
        ("photo.png", "image is a str"),
        (np.zeros((8, 8, 3)), "image is a ndarray"),
        ([], "image is a list"),
        ([Image.new("RGB", (8, 8)), Image.new("RGB", (8, 9))], "differ in size"),
    ],
    ids=["path", "array", "nothing", "sizes"],
)
def test_an_image_of_another_form_is_refused_with_those_that_are_taken(image, what):
    with pytest.raises(ParamsError, match=what) as caught:
        picture_values(image)
    assert caught.value.fix


@pytest.mark.parametrize("warped", [[Image.new("RGB", (8, 8))], torch.zeros(1, 9, 3, 16, 16)])
def test_warped_frames_of_another_form_are_refused(warped):
    with pytest.raises(ParamsError, match="warped_frames is"):
        warped_values(warped, "warped_frames")


def test_an_unknown_output_type_is_refused_before_any_work(pipeline):
    with pytest.raises(ParamsError, match=r"'unit8'.*\n.*did you mean 'uint8'"):
        pipeline(*make_inputs(), output_type="unit8", **STEPS)


def test_latent_statistics_of_another_tokenizer_are_refused():
    from diffusers import AutoencoderKLCosmos

    def pipeline_with(**statistics):
        vae = AutoencoderKLCosmos(
            encoder_block_out_channels=(4, 4, 4, 4),
            decode_block_out_channels=(4, 4, 4, 4),
            num_layers=1,
            **statistics,
        )
        transformer = tiny_transformer()
        return Gen3CPipeline(transformer=transformer, vae=vae, scheduler=create_scheduler())

    for pipeline, message in (
        (pipeline_with(), "of another tokenizer"),
        (pipeline_with(latents_mean=None, latents_std=None), "no latent statistics"),
        (pipeline_with(latents_mean=[0.0] * 17, latents_std=[1.0] * 17), "17 means"),
    ):
        with pytest.raises(ParamsError, match=message):
            pipeline(*make_inputs(), **STEPS)


def test_a_transformer_of_another_model_is_refused():
    wrong = tiny_transformer()
    wrong.register_to_config(in_channels=17)
    with pytest.raises(ParamsError, match=r"(?s)takes 17 channels.*82"):
        Gen3CPipeline(transformer=wrong, vae=tiny_vae(), scheduler=create_scheduler())
    padding = tiny_transformer()
    padding.register_to_config(in_channels=81, concat_padding_mask=True)
    with pytest.raises(ParamsError, match="concat_padding_mask to false"):
        Gen3CPipeline(transformer=padding, vae=tiny_vae(), scheduler=create_scheduler())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sigma_data", 1.0),
        ("sigma_schedule", "exponential"),
        ("prediction_type", "v_prediction"),
        ("final_sigmas_type", "sigma_min"),
    ],
)
def test_a_scheduler_of_another_model_is_refused(key, value):
    scheduler = create_scheduler()
    scheduler.register_to_config(**{key: value})
    with pytest.raises(ParamsError, match=f"has {key} {value!r}; GEN3C's has"):
        Gen3CPipeline(transformer=tiny_transformer(), vae=tiny_vae(), scheduler=scheduler)
