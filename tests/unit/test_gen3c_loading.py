from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lyra_data.engine.errors import CorruptDataError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.gen3c.loading import load_pipeline, offload_layers, place_pipeline
from tests.factories_gen3c import tiny_pipeline
from tests.unit.test_gen3c_pipeline import STEPS, make_inputs

CPU = Placement("cpu")
OPTIONS = {"network_dtype": "float32", "layerwise_casting": False, "with_text": False}


@pytest.fixture
def folder(tmp_path):
    tiny_pipeline(with_text=True).save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


def load(folder, **changes):
    pipeline = load_pipeline(folder, CPU, **{**OPTIONS, **changes})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def latents_of(pipeline, **options):
    return pipeline(*make_inputs(), seed=1, output_type="latent", **options, **STEPS).latents


def test_loaded_weights_are_those_that_were_saved(folder):
    assert torch.equal(latents_of(load(folder)), latents_of(tiny_pipeline()))


def test_the_text_encoder_is_loaded_only_where_prompts_are_wanted(folder):
    assert load(folder).text_encoder is None
    with_text = load(folder, with_text=True, network_dtype="bfloat16")
    assert with_text.text_encoder.dtype == torch.bfloat16
    assert with_text.transformer.dtype == torch.bfloat16 and with_text.vae.dtype == torch.float32


def test_layerwise_casting_keeps_weights_in_8_bits_and_nearly_the_same_result(folder):
    cast = load(folder, layerwise_casting=True)
    weight = cast.transformer.transformer_blocks[0].attn1.to_q.weight
    assert weight.dtype == torch.float8_e4m3fn
    assert cast.transformer.dtype == torch.float32
    exact, found = latents_of(load(folder)), latents_of(cast)
    assert 0 < float((found - exact).abs().max()) < 0.3 * float(exact.abs().max())


@pytest.mark.parametrize("level", ["block_level", "leaf_level"])
@pytest.mark.parametrize("layerwise_casting", [False, True])
def test_offloading_layers_changes_nothing(folder, level, layerwise_casting):
    options = {"layerwise_casting": layerwise_casting, "with_text": True}
    whole, offloaded = load(folder, **options), load(folder, **options)
    offload_layers(offloaded, torch.device("cpu"), level, use_stream=False)
    assert torch.equal(latents_of(whole, prompt="a box"), latents_of(offloaded, prompt="a box"))


def test_offloading_whole_models_changes_nothing_and_lasts_for_a_second_run(folder):
    whole, offloaded = load(folder), load(folder, with_text=True)
    offloaded.enable_model_cpu_offload(device="cpu")
    for _ in range(2):
        assert torch.equal(
            latents_of(whole, prompt_embeds=torch.zeros(1, 1, 8)), latents_of(offloaded)
        )


def test_a_cpu_offloads_nothing(folder):
    pipeline = load(folder)
    place_pipeline(pipeline, Placement("cpu", offload="sequential"))
    assert not hasattr(pipeline.transformer, "_hf_hook")


def test_missing_weights_name_the_commands_that_get_them(tmp_path):
    with pytest.raises(ParamsError, match=r"weights pull gen3c.*weights convert"):
        load(tmp_path / "nowhere")


def test_missing_text_encoder_is_told_before_generating(tmp_path):
    tiny_pipeline().save_pretrained(tmp_path)
    with pytest.raises(ParamsError, match="has no text encoder"):
        load(tmp_path, with_text=True)


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_cut_weights_are_refused(folder, part):
    (file,) = (folder / part).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CorruptDataError, match="cannot be loaded"):
        load(folder)


def test_weights_that_lack_a_key_are_refused_and_not_filled_with_noise(folder):
    config = json.loads((folder / "transformer" / "config.json").read_text())
    (folder / "transformer" / "config.json").write_text(json.dumps({**config, "num_layers": 3}))
    with pytest.raises(CorruptDataError, match=r"missing keys, e\.g\. transformer_blocks\.2"):
        load(folder)
    (folder / "transformer" / "config.json").write_text(json.dumps({**config, "num_layers": 1}))
    with pytest.raises(CorruptDataError, match="unexpected keys"):
        load(folder)


def test_weights_of_another_shape_are_refused(folder):
    config = json.loads((folder / "transformer" / "config.json").read_text())
    changed = {**config, "text_embed_dim": 12}
    (folder / "transformer" / "config.json").write_text(json.dumps(changed))
    with pytest.raises(CorruptDataError, match="cannot be loaded"):
        load(folder)


def change_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("key", "value"),
    [("sigma_data", 1.0), ("sigma_schedule", "exponential"), ("final_sigmas_type", "sigma_min")],
)
def test_noise_levels_of_another_model_are_refused(folder, key, value):
    change_json(folder / "scheduler" / "scheduler_config.json", **{key: value})
    with pytest.raises(ParamsError, match=f"has {key} {value!r}"):
        load(folder)


def test_a_scheduler_that_leaves_its_noise_levels_to_diffusers_is_refused(folder):
    config = folder / "scheduler" / "scheduler_config.json"
    stated = json.loads(config.read_text())
    config.write_text(json.dumps({key: stated[key] for key in stated if key != "sigma_min"}))
    with pytest.raises(CorruptDataError, match="does not state sigma_min"):
        load(folder)


@pytest.mark.parametrize("part", ["scheduler", "transformer", "text_encoder"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", "\0"])
def test_a_missing_or_broken_configuration_is_told_without_the_hub(folder, part, content):
    (config,) = (folder / part).glob("*config.json")
    if content is None:
        config.unlink()
    else:
        config.write_text(content)
    with pytest.raises(CorruptDataError, match="cannot be loaded") as caught:
        load(folder, with_text=True)
    assert "huggingface.co" not in str(caught.value)


def change_text_weights(folder, change):
    (file,) = (folder / "text_encoder").glob("*.safetensors")
    save_file(change(load_file(file)), file, {"format": "pt"})


def without(weights, *names):
    return {name: weights[name] for name in weights if name not in names}


NORM = "encoder.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: without(weights, NORM), f"1 missing keys, e.g. {NORM}"),
        (lambda weights: without(weights, "shared.weight"), "2 missing keys"),
        (lambda weights: {**weights, NORM: torch.ones(3)}, f"1 mismatched keys.*{NORM}"),
    ],
)
def test_a_text_encoder_that_lacks_weights_is_refused_and_not_filled_with_noise(
    folder, change, message
):
    change_text_weights(folder, change)
    with pytest.raises(CorruptDataError, match=message):
        load(folder, with_text=True)


def test_a_text_encoder_may_hold_its_embeddings_under_either_name_and_a_decoder(folder):
    def rename(weights):
        shared = weights["shared.weight"]
        decoder = {"decoder.final_layer_norm.weight": torch.ones(8)}
        renamed = {"encoder.embed_tokens.weight": shared, **decoder}
        return {**without(weights, "shared.weight"), **renamed}

    expected = load(folder, with_text=True).text_encoder.shared.weight
    change_text_weights(folder, rename)
    assert torch.equal(load(folder, with_text=True).text_encoder.shared.weight, expected)


def test_a_cut_or_missing_text_encoder_is_refused(folder):
    (file,) = (folder / "text_encoder").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CorruptDataError, match="cannot be loaded"):
        load(folder, with_text=True)
    file.unlink()
    with pytest.raises(CorruptDataError, match="cannot be loaded"):
        load(folder, with_text=True)


@pytest.mark.parametrize("content", [None, "{"])
def test_a_missing_or_broken_tokenizer_is_refused(folder, content):
    for file in (folder / "tokenizer").iterdir():
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
    with pytest.raises(CorruptDataError, match="no tokenizer that can be read"):
        load(folder, with_text=True)
