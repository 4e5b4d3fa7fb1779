"""Converting released checkpoints, and verifying the result, through the command line."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from lyra_data.models.weights.manifest import FileRecord, Manifest, weights_fingerprint
from lyra_data.models.weights.shards import write_shards
from stages.cli import app
from tests.released_weights import STATISTICS_FRAMES, Release, save_archive, write_release


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def release(untouched: Release, tmp_path: Path) -> Release:
    """A copy that a test may spoil."""
    for source in (untouched.network, untouched.tokenizer):
        shutil.copytree(source, tmp_path / source.name)
    return Release(
        tmp_path / untouched.network.name,
        tmp_path / untouched.tokenizer.name,
        untouched.transformer,
        untouched.vae,
    )


@pytest.fixture(scope="module")
def converted(untouched: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("converted") / "gen3c"
    code, text = convert(untouched, output)
    assert code == 0, text
    return output


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["weights", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def convert(release: Release, output: Path, *options: str | Path) -> tuple[int, str]:
    paths = ("--network", release.network, "--tokenizer", release.tokenizer, "--output", output)
    return run("convert", "gen3c", *paths, *options)


def refused(release: Release, output: Path, *options: str | Path) -> str:
    """The message of a conversion that fails and leaves nothing behind."""
    before = sorted(output.parent.iterdir())
    code, text = convert(release, output, *options)
    assert code == 2, text
    assert sorted(output.parent.iterdir()) == before
    return text


def test_the_folder_holds_the_release_bit_by_bit(untouched, converted):
    for part, expected in (("transformer", untouched.transformer), ("vae", untouched.vae)):
        found = load_file(converted / part / "diffusion_pytorch_model.safetensors")
        assert found.keys() == expected.keys()
        assert all(found[name].dtype == expected[name].dtype for name in found)
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_diffusers_loads_the_folder_with_the_statistics_of_the_release(converted):
    from diffusers import AutoencoderKLCosmos, CosmosTransformer3DModel, EDMEulerScheduler

    network = CosmosTransformer3DModel.from_pretrained(converted / "transformer")
    assert (network.config["in_channels"], network.config["concat_padding_mask"]) == (82, False)
    vae = AutoencoderKLCosmos.from_pretrained(converted / "vae")
    assert vae.config["latents_mean"] == [float(n) for n in range(16 * STATISTICS_FRAMES)]
    assert vae.config["latents_std"][8] == 2.0
    scheduler = EDMEulerScheduler.from_pretrained(converted / "scheduler")
    levels = (scheduler.config["sigma_max"], scheduler.config["sigma_min"])
    assert (*levels, scheduler.config["sigma_data"]) == (80.0, 0.0002, 0.5)
    index = json.loads((converted / "model_index.json").read_text())
    assert index["_class_name"] == "Gen3CPipeline"
    assert index["text_encoder"] == [None, None]


def test_diffusers_finds_the_pipeline_beside_the_weights(converted, tmp_path, monkeypatch):
    """The code is copied into the cache of modules, which is another one here."""
    from diffusers import DiffusionPipeline
    from diffusers.utils import dynamic_modules_utils

    from lyra_data.models.gen3c.pipeline import Gen3CPipeline

    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    folder = str(converted)
    pipeline = DiffusionPipeline.from_pretrained(
        folder, custom_pipeline=folder, trust_remote_code=True
    )
    assert type(pipeline) is Gen3CPipeline
    assert type(Gen3CPipeline.from_pretrained(folder)) is Gen3CPipeline
    assert "pipeline.py" in json.loads((converted / "weights.json").read_text())["files"]


def test_the_same_release_gives_the_same_bytes(untouched, converted, tmp_path):
    assert convert(untouched, tmp_path / "again")[0] == 0
    names = json.loads((converted / "weights.json").read_text())["files"]
    for name in ("weights.json", *names):
        assert (tmp_path / "again" / name).read_bytes() == (converted / name).read_bytes(), name


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_model_key_and_states_kept_as_bytes_change_nothing(release, converted, wrapped):
    entries: dict[str, Any] = dict(release.network_entries())
    entries["net.blocks.block1.blocks.0.block.attn.attn_op._extra_state"] = io.BytesIO(b"state")
    torch.save({"model": entries} if wrapped else entries, release.network / "model.pt")
    output = release.network.parent / "out"
    assert convert(release, output)[0] == 0
    assert weights_fingerprint(output) == weights_fingerprint(converted)


@pytest.mark.parametrize("form", ["autoencoder.jit", "model.pt", "model.safetensors"])
def test_a_tokenizer_in_one_file_gives_the_same_weights(release, converted, form):
    from lyra_data.models.weights.sources import TOKENIZER_FILES, find_files, read_together

    files = find_files(release.tokenizer, TOKENIZER_FILES, option="--tokenizer")
    entries = read_together(files)
    for file in files:
        file.unlink()
    if form.endswith(".jit"):
        save_archive(entries, release.tokenizer, form)
    elif form.endswith(".pt"):
        torch.save(entries, release.tokenizer / form)
    else:
        whole = {name: tensor.contiguous() for name, tensor in entries.items()}
        save_file(whole, release.tokenizer / form)
    output = release.network.parent / "out"
    assert convert(release, output)[0] == 0
    assert weights_fingerprint(output) == weights_fingerprint(converted)


def test_the_tokenizer_alone_has_the_fingerprint_of_the_pipelines_vae(
    untouched, converted, tmp_path
):
    code, _ = run(
        "convert",
        "cosmos-tokenizer",
        "--tokenizer",
        untouched.tokenizer,
        "--output",
        tmp_path / "t",
    )
    assert code == 0
    assert weights_fingerprint(tmp_path / "t" / "vae") == weights_fingerprint(converted / "vae")
    assert run("verify", tmp_path / "t")[0] == 0


def test_dtype_says_what_weights_are_stored_as(untouched, tmp_path):
    assert convert(untouched, tmp_path / "out", "--dtype", "float16")[0] == 0
    for part, expected in (("transformer", untouched.transformer), ("vae", untouched.vae)):
        found = load_file(tmp_path / "out" / part / "diffusion_pytorch_model.safetensors")
        assert all(torch.equal(found[name], expected[name].half()) for name in expected)


def test_shards_hold_everything_once_and_diffusers_reads_them(untouched, converted, tmp_path):
    from diffusers import CosmosTransformer3DModel

    weights = {name: tensor.bfloat16() for name, tensor in untouched.transformer.items()}
    shutil.copy(converted / "transformer" / "config.json", tmp_path)
    write_shards(weights, tmp_path, shard_bytes=20_000)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    assert all(shard.stat().st_size < 20_000 + 4_000 for shard in shards)
    model = CosmosTransformer3DModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    found = model.state_dict()
    assert all(torch.equal(found[name].bfloat16(), weights[name]) for name in weights)


def test_the_pipeline_loads_the_folder_with_its_text_encoder(untouched, tmp_path):
    from lyra_data.models.gen3c.pipeline import Gen3CPipeline

    t5 = write_t5(tmp_path / "t5", width=8)
    assert convert(untouched, tmp_path / "out", "--text-encoder", t5)[0] == 0
    linked = tmp_path / "out" / "text_encoder" / "pytorch_model.bin"
    assert linked.stat().st_ino == (t5 / "pytorch_model.bin").stat().st_ino
    pipeline = Gen3CPipeline.from_pretrained(tmp_path / "out")
    expected = torch.load(t5 / "pytorch_model.bin", weights_only=True)
    found = pipeline.text_encoder.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert pipeline.tokenizer(["a b"]).input_ids == [[3, 4, 1]]


def test_the_pipeline_loads_the_folder_without_a_text_encoder(untouched, converted):
    from lyra_data.models.gen3c.pipeline import Gen3CPipeline

    pipeline = Gen3CPipeline.from_pretrained(converted, dtype=torch.bfloat16)
    assert pipeline.text_encoder is None
    weights = pipeline.transformer.state_dict()
    assert all(torch.equal(weights[n].bfloat16(), w) for n, w in untouched.transformer.items())


def test_a_text_encoder_of_another_width_is_refused(release, tmp_path):
    text = refused(release, tmp_path / "out", "--text-encoder", write_t5(tmp_path / "t5", width=9))
    assert "embeddings have 9 numbers, the network takes 8" in text


def write_t5(folder: Path, *, width: int) -> Path:
    """A tiny T5 in the form that google-t5/t5-11b has: encoder and decoder, pickled."""
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    config = T5Config(vocab_size=8, d_model=width, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    config.save_pretrained(folder)
    torch.save(T5ForConditionalGeneration(config).state_dict(), folder / "pytorch_model.bin")
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁a", -1.0), ("▁b", -1.0)]
    T5Tokenizer(vocab=vocabulary, extra_ids=0).save_pretrained(folder)
    return folder


def test_every_missing_unexpected_and_misshapen_weight_is_listed(release, tmp_path):
    entries = release.network_entries()
    attention = "net.blocks.block0.blocks.0.block.attn"
    del entries[f"{attention}.to_q.0.weight"]
    del entries["net.final_layer.linear.weight"]
    entries[f"{attention}.to_k.0.weight"] = torch.zeros(24, 23)
    entries["net.blocks.block1.blocks.1.block.attn.to_out.0.weight"] = torch.zeros(2)
    entries["net.something_new.weight"] = torch.zeros(3)
    torch.save(entries, release.network / "model.pt")
    text = refused(release, tmp_path / "out")
    assert "transformer: 2 missing, 1 unexpected, 2 misshapen" in text
    rows = {tuple(line.split(maxsplit=2)[:2]): line for line in text.splitlines() if "net." in line}
    assert rows[("missing", f"{attention}.to_q.0.weight")].endswith("[24, 24]")
    assert ("missing", "net.final_layer.linear.weight") in rows
    misshapen = rows[("misshapen", f"{attention}.to_k.0.weight")]
    assert "[24, 23]" in misshapen and "[24, 24]" in misshapen
    out = "net.blocks.block1.blocks.1.block.attn.to_out.0.weight"
    assert "[2]" in rows[("misshapen", out)]
    assert ("unexpected", "net.something_new.weight") in rows
    assert len(rows) == 5


def test_a_weight_given_twice_is_unexpected(release, tmp_path):
    entries = release.network_entries()
    entries["affline_norm.weight"] = entries["net.affline_norm.weight"]
    torch.save(entries, release.network / "model.pt")
    assert "unexpected  affline_norm.weight" in refused(release, tmp_path / "out")


def test_an_encoder_without_its_decoder_lists_what_is_missing(release, tmp_path):
    text = refused(release, tmp_path / "out", "--tokenizer", release.tokenizer / "encoder.jit")
    assert re.search(r"missing +decoder\.conv_out\.0\.conv3d\.weight ", text)
    assert "post_quant_conv.conv3d.bias" in text


def test_a_network_with_the_inputs_of_another_cosmos_is_named(release, tmp_path):
    entries = release.network_entries()
    entries["net.x_embedder.proj.1.weight"] = torch.zeros(24, 17 * 4)
    torch.save(entries, release.network / "model.pt")
    text = refused(release, tmp_path / "out")
    assert "17 input channels, as Cosmos-Predict1 Text2World has" in text


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["encoder.block.0.layer.0.SelfAttention.q.weight"], "a T5 text encoder"),
        (["encoder.down.0.block.0.conv1.0.conv3d.weight"], "a Cosmos tokenizer"),
        (["transformer_blocks.0.attn1.to_q.weight"], "a converted (diffusers) Cosmos network"),
        (["double_blocks.0.img_attn.qkv.weight"], "a FLUX network"),
        (["alpha", "beta"], "it holds alpha, beta"),
    ],
)
def test_a_checkpoint_of_another_model_is_named(release, tmp_path, names, words):
    torch.save({name: torch.zeros(2) for name in names}, release.network / "model.pt")
    text = refused(release, tmp_path / "out")
    assert "is not the checkpoint of GEN3C's network" in text and words in text


@pytest.mark.parametrize("name", ["gen3c/model.pt", "cosmos-tokenizer/encoder.jit"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_checkpoint_is_told(release, tmp_path, name, share):
    file = tmp_path / name
    os.truncate(file, int(file.stat().st_size * share))
    text = refused(release, tmp_path / "out")
    assert name in text and "fetch the file again" in text


class _Trap:
    """Runs a command where it is unpickled without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (self.command,))


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_checkpoint_is_named_and_not_run(release, tmp_path, new_format):
    entries: dict[str, Any] = dict(release.network_entries())
    entries["net.trap"] = _Trap(f"touch {tmp_path / 'was_run'}")
    path = release.network / "model.pt"
    torch.save(entries, path, _use_new_zipfile_serialization=new_format)
    text = refused(release, tmp_path / "out")
    assert "asks for code, posix.system" in text
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "there are no latent statistics"),
        ((torch.zeros(33), torch.ones(33)), "shape [33] does not view as [16, latent frames]"),
        ((torch.zeros(4, 16), torch.ones(4, 16)), "shape [4, 16] does not view as [16"),
        ((torch.zeros(16), torch.ones(32)), "16 means and 32 deviations"),
        ((torch.zeros(16), torch.zeros(16)), "a deviation is 0"),
        ((torch.full((16,), torch.nan), torch.ones(16)), "not finite"),
        (torch.zeros(2, 16), "holds no pair"),
    ],
)
def test_statistics_that_cannot_be_used_are_told(release, tmp_path, value, words):
    path = release.tokenizer / "mean_std.pt"
    path.unlink()
    if value is not None:
        torch.save(value, path)
    text = refused(release, tmp_path / "out")
    assert words in text and "mean_std.pt" in text


def test_statistics_may_have_axes_of_length_one(release, tmp_path):
    pair = (torch.zeros(1, 16, 4, 1, 1), torch.ones(1, 16, 4, 1, 1))
    torch.save(pair, release.tokenizer / "mean_std.pt")
    assert convert(release, tmp_path / "out")[0] == 0


def test_an_output_folder_that_exists_is_left_alone(release, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "mine").write_text("precious")
    assert "is there already" in refused(release, output)
    assert (output / "mine").read_text() == "precious"


def test_a_disk_that_is_too_small_is_told_before_writing(release, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert "MiB are needed" in refused(release, tmp_path / "out")


def test_a_disk_that_fills_up_while_writing_leaves_nothing(release, tmp_path, monkeypatch):
    import errno

    from lyra_data.models.weights import convert as module

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "write_shards", full)
    assert "No space left on device" in refused(release, tmp_path / "out")


def test_a_source_that_is_not_there_is_told(release, tmp_path):
    assert "no such file or folder" in refused(release, tmp_path / "o", "--network", tmp_path / "x")
    (release.network / "model.pt").unlink()
    assert "holds no model.pt" in refused(release, tmp_path / "out")


def test_an_untouched_folder_passes_verify(converted):
    code, text = run("verify", converted)
    assert code == 0 and weights_fingerprint(converted) in text


def test_verify_says_which_sources_were_compared_with_a_pull(release, converted, tmp_path):
    """What is converted from files that nobody vouches for is sound and perhaps not the release."""
    text = " ".join(run("verify", converted)[1].split())
    assert "without the weights.json of a pull beside it: network/model.pt" in text
    network = release.network / "model.pt"
    record = FileRecord.of(network)
    Manifest("download", {network.name: record}).write(release.network)
    pulled = tmp_path / "pulled"
    assert convert(release, pulled)[0] == 0
    text = " ".join(run("verify", pulled)[1].split())
    assert "converted from what `weights pull` had checked: network/model.pt" in text
    assert "pull beside it: statistics/mean_std.pt, tokenizer/" in text


def spoil(converted: Path, folder: Path) -> Path:
    shutil.copytree(converted, folder)
    return folder


def verify_refuses(folder: Path) -> str:
    code, text = run("verify", folder)
    assert code == 2, text
    return text


def test_verify_names_every_missing_cut_and_altered_file(converted, tmp_path):
    folder = spoil(converted, tmp_path / "copy")
    (folder / "scheduler" / "scheduler_config.json").unlink()
    os.truncate(folder / "transformer" / "diffusion_pytorch_model.safetensors", 5_000)
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    text = verify_refuses(folder)
    assert "missing  scheduler/scheduler_config.json" in text
    assert "cut      transformer/diffusion_pytorch_model.safetensors: 5000 of" in text
    assert "altered  vae/diffusion_pytorch_model.safetensors" in text
    assert "model_index.json" not in text


def test_verify_names_weights_that_do_not_fit_the_configuration(converted, tmp_path):
    folder = spoil(converted, tmp_path / "copy")
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_layers": 3}))
    text = verify_refuses(folder)
    assert "altered  transformer/config.json" in text
    assert "missing  transformer_blocks.2.attn1.to_q.weight" in text


def test_verify_wants_a_manifest(tmp_path):
    assert "has no weights.json" in verify_refuses(tmp_path)
    (tmp_path / "weights.json").write_text("{")
    assert "not a readable list of weights" in verify_refuses(tmp_path)


def test_verify_mentions_files_that_nobody_vouches_for(converted, tmp_path):
    folder = spoil(converted, tmp_path / "copy")
    (folder / "vae" / "extra.safetensors").write_bytes(
        (folder / "vae" / "diffusion_pytorch_model.safetensors").read_bytes()
    )
    code, text = run("verify", folder)
    assert code == 0 and "vae/extra.safetensors is not listed" in text


def test_a_fingerprint_follows_the_bytes_with_and_without_a_manifest(converted, tmp_path):
    folder = spoil(converted, tmp_path / "copy")
    whole, vae = weights_fingerprint(folder), weights_fingerprint(folder / "vae")
    assert whole != vae
    (folder / "weights.json").unlink()
    assert (weights_fingerprint(folder), weights_fingerprint(folder / "vae")) == (whole, vae)
    shutil.copy(converted / "weights.json", folder)
    (folder / "vae" / "config.json").write_text("{}")
    assert weights_fingerprint(folder) != whole
    assert weights_fingerprint(folder / "vae") != vae


def test_the_list_fits_80_columns_and_names_every_release(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, text = run("list")
    assert code == 0
    assert max(len(line) for line in text.splitlines()) <= 80
    for name in ("nvidia/GEN3C-Cosmos-7B", "nvidia/Cosmos-Tokenize1-CV8x8x8-720p", "nvidia/Lyra"):
        assert name in text
