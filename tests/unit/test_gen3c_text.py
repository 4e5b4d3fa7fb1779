from __future__ import annotations

import logging

import pytest
import torch

from lyra_data.engine.errors import ParamsError
from lyra_data.models.gen3c.pipeline import Gen3CPipeline
from lyra_data.models.gen3c.text import embed_text, fit_text
from tests.factories_gen3c import TEXT_WIDTH, tiny_pipeline, tiny_text_encoder
from tests.unit.test_gen3c_pipeline import STEPS, make_inputs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipeline(with_text=True)


def latents_with(pipeline, **text):
    return pipeline(*make_inputs(), seed=1, output_type="latent", **text, **STEPS).latents


def embed(prompts, **options):
    encoder, tokenizer = tiny_text_encoder()
    with torch.no_grad():
        return embed_text(prompts, tokenizer, encoder, device=CPU, **options)


def test_embeddings_have_512_tokens_and_are_zero_after_the_prompt_s_own():
    embeddings = embed(["a box", "a box before the wall"])
    assert embeddings.shape == (2, 512, TEXT_WIDTH)
    used = (embeddings != 0).any(dim=2).sum(dim=1)
    assert used.tolist() == [3, 6]  # words and the end


def test_padding_does_not_change_a_prompt_s_own_embeddings():
    alone, beside = embed(["a box"], num_tokens=3), embed(["a box"], num_tokens=8)
    assert torch.allclose(alone, beside[:, :3], atol=1e-6)


def test_a_prompt_that_is_too_long_is_cut_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        embeddings = embed(["box " * 9], num_tokens=4)
    assert embeddings.shape[1] == 4
    assert "10 tokens is cut to 4" in caplog.text


def test_no_prompt_is_the_same_as_all_zero_embeddings(pipeline):
    none = latents_with(pipeline)
    zeros = latents_with(pipeline, prompt_embeds=torch.zeros(1, 7, TEXT_WIDTH))
    assert torch.equal(none, zeros)


def test_a_prompt_is_its_embeddings_and_an_empty_one_is_not_none(pipeline):
    prompt = latents_with(pipeline, prompt="a box", negative_prompt="the wall")
    embedded = latents_with(
        pipeline, prompt_embeds=embed(["a box"]), negative_prompt_embeds=embed(["the wall"])
    )
    assert torch.equal(prompt, embedded)
    assert not torch.equal(prompt, latents_with(pipeline, prompt="a box"))
    assert not torch.equal(latents_with(pipeline, prompt=""), latents_with(pipeline))


def test_without_a_negative_prompt_the_pass_without_the_cache_keeps_the_prompt(pipeline):
    """As the reference does; zeros are another negative text."""
    alone = latents_with(pipeline, prompt="a box")
    assert torch.equal(alone, latents_with(pipeline, prompt="a box", negative_prompt="a box"))
    zeros = torch.zeros(1, 1, TEXT_WIDTH)
    other = latents_with(pipeline, prompt="a box", negative_prompt_embeds=zeros)
    assert not torch.equal(alone, other)


def test_given_embeddings_are_filled_up_with_zeros_and_never_cut():
    given = torch.ones(1, 3, TEXT_WIDTH)
    padded = fit_text(given, batch=1, width=TEXT_WIDTH, num_tokens=5)
    assert torch.equal(padded[:, :3], given) and bool((padded[:, 3:] == 0).all())
    with pytest.raises(ParamsError, match="3 tokens, the network takes 2"):
        fit_text(given, batch=1, width=TEXT_WIDTH, num_tokens=2)


@pytest.mark.parametrize("batched", [True, False])
def test_embeddings_of_one_prompt_serve_the_whole_batch(pipeline, batched):
    inputs = make_inputs(batch=2)
    one, two = (
        pipeline(
            *inputs,
            seed=1,
            prompt_embeds=given,
            batch_guidance=batched,
            output_type="latent",
            **STEPS,
        ).latents
        for given in (embed(["a box"]), embed(["a box", "a box"]))
    )
    # The text encoder's matrix products round by the size of the batch.
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 4, TEXT_WIDTH), (2, 4, TEXT_WIDTH + 1), (4, TEXT_WIDTH)])
def test_embeddings_of_another_shape_are_refused(pipeline, shape):
    with pytest.raises(ParamsError, match=r"have shape .* the network takes \[2, token, 8\]"):
        pipeline(*make_inputs(batch=2), prompt_embeds=torch.zeros(shape), **STEPS)


def test_prompts_that_are_neither_one_nor_the_batch_are_refused(pipeline):
    with pytest.raises(ParamsError, match="3 prompts are given for a batch of 2"):
        pipeline(*make_inputs(batch=2), prompt=["a", "box", "wall"], **STEPS)


def test_a_prompt_without_a_text_encoder_is_refused():
    with pytest.raises(ParamsError, match="no text encoder"):
        latents_with(tiny_pipeline(), prompt="a box")


def test_the_text_encoder_is_saved_and_loaded_with_the_pipeline(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    again = Gen3CPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    assert torch.equal(latents_with(again, prompt="a box"), latents_with(pipeline, prompt="a box"))
