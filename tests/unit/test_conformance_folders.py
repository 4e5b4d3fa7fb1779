from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conformance.__main__ import main
from tests.conformance.base import as_numpy, check_entry, find_entry, load_entries
from tests.conformance.gen3c_models import load_vae
from tests.conformance.gen3c_pictures import reference_image
from tests.conformance.made_cases import conditioning_case, sampler_case
from tests.factories import make_frames
from tests.goldens import goldens_or_skip


@pytest.fixture
def folder(tmp_path):
    """A gen3c folder with one case, which our code made itself."""
    image = make_frames(1, 24, 40)[0].permute(1, 2, 0).contiguous()
    expected = reference_image(image, height=32, width=48)
    save_file(
        {"image_uint8_hwc": image, "conditioning_bf16": expected[:, :, None]},
        tmp_path / "image.safetensors",
    )
    case = {
        "id": "image/made",
        "kind": "image_preprocess",
        "data": "image.safetensors",
        "target": [32, 48],
        "tolerance": {"max_abs": 0.001},
    }
    (tmp_path / "INDEX.json").write_text(json.dumps({"cases": [case]}))
    return tmp_path


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["conformance", *map(str, arguments)])
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr()


def test_a_gen3c_folder_is_compared_by_its_own_index(folder, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, folder, "--kind", "gen3c")
    line, summary = printed.out.splitlines()
    assert code == 0 and summary == "1 passed, 0 failed, 0 skipped"
    assert line.split()[:4] == ["ok", "gen3c", "image/made", "0"]


def test_a_wrong_number_fails_and_so_does_the_run(folder, monkeypatch, capsys):
    data = load_file(folder / "image.safetensors")
    data["conditioning_bf16"][0, 0, 0, 3, 5] += 0.5
    save_file(data, folder / "image.safetensors")
    code, printed = run(monkeypatch, capsys, folder)
    assert code == 1 and printed.out.startswith("FAIL gen3c")
    assert printed.out.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


def test_cases_of_a_subfolder_count_where_its_parent_is_compared(folder, monkeypatch, capsys):
    parent = folder / "goldens"
    parent.mkdir()
    for name in ("INDEX.json", "image.safetensors"):
        (parent / "gen3c").mkdir(exist_ok=True)
        (folder / name).rename(parent / "gen3c" / name)
    (parent / "INDEX.json").write_text(json.dumps({"entries": []}))
    for arguments in ((parent,), (parent, "--kind", "gen3c")):
        code, printed = run(monkeypatch, capsys, *arguments)
        assert code == 0 and printed.out.endswith("1 passed, 0 failed, 0 skipped\n")


def test_an_unknown_kind_and_an_empty_index_are_refused(folder, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, folder, "--kind", "gen4c")
    assert code == 2 and "unknown kind 'gen4c'; known: gen3c" in printed.err
    (folder / "INDEX.json").write_text("{}")
    code, printed = run(monkeypatch, capsys, folder)
    assert code == 2 and "neither entries nor cases" in printed.err


@pytest.fixture(scope="module")
def goldens():
    return goldens_or_skip()


def check_case(case, folder):
    (folder / "INDEX.json").write_text(json.dumps({"cases": [case]}))
    return check_entry(load_entries(folder)[0], folder)


def spoil(folder, file, *names):
    """Makes one number of each array wrong."""
    data = load_file(folder / file)
    for name in names:
        data[name].view(-1)[0] += 0.5
    save_file(data, folder / file)


def test_only_a_gen3c_subfolder_is_enough(folder, monkeypatch, capsys):
    (folder / "parent").mkdir()
    (folder / "parent" / "gen3c").symlink_to(folder)
    code, printed = run(monkeypatch, capsys, folder / "parent")
    assert code == 0 and printed.out.endswith("1 passed, 0 failed, 0 skipped\n")
    (folder / "INDEX.json").unlink()
    code, printed = run(monkeypatch, capsys, folder / "parent")
    assert code == 2 and "holds no INDEX.json, nor does its folder gen3c" in printed.err


def test_what_nothing_compares_is_skipped_with_the_reason(goldens, tmp_path):
    case = {"id": "new/made", "kind": "new_kind"}
    result = check_case(case, tmp_path)
    assert result.status == "skip" and "'new_kind'" in str(result.skipped)
    for file in ("cache/align_depth_32x48.npz", "images/image_transform.npz"):
        entry = {**find_entry(goldens, file), "file": f"{Path(file).parent}/other_2.npz"}
        assert check_entry(entry, tmp_path).status == "skip"


def test_bfloat16_tensors_become_arrays():
    values = as_numpy(torch.tensor([0.5, -3.0], dtype=torch.bfloat16))
    assert values.dtype == np.float32 and values.tolist() == [0.5, -3.0]


@pytest.mark.parametrize(("guidance", "num_steps"), [(0.0, 3), (1.0, 3), (1.0, 1)])
def test_sampling_is_compared_at_any_guidance_and_number_of_steps(tmp_path, guidance, num_steps):
    case = sampler_case(tmp_path, guidance=guidance, num_steps=num_steps)
    result = check_case(case, tmp_path)
    assert result.ok, str(result)
    inputs = ("first_step_input_cond", "first_step_input_uncond", "last_step_input_cond")
    spoil(tmp_path, case["data"], *inputs)
    named = [failure.partition(":")[0] for failure in check_case(case, tmp_path).failures]
    second = ["second pass"] if guidance else []
    assert named == ["first input", "first unconditional", *second, "last input"]


def test_sampling_without_a_negative_text_keeps_the_prompt_in_the_pass_without_the_cache(tmp_path):
    case = sampler_case(tmp_path, guidance=1.0, num_steps=3, has_negative_text=False)
    result = check_case(case, tmp_path)
    assert result.ok, str(result)


@pytest.mark.parametrize(
    ("size", "num_frames", "batch"),
    [((9, 40, 24), 1, 1), ((1, 16, 16), 1, 2), ((9, 272, 16), 1, 1), ((9, 16, 16), 2, 1)],
    ids=["not multiples of 16", "one frame", "large", "two conditioning frames"],
)
def test_conditioning_of_any_size_is_compared(goldens, tmp_path, size, num_frames, batch):
    files = [
        goldens / "gen3c" / "vae" / "a" / name for name in ("weights.safetensors", "config.json")
    ]
    case = conditioning_case(
        tmp_path, load_vae(*files), size=size, num_frames=num_frames, batch=batch
    )
    case |= {"vae_weights": str(files[0]), "vae_config": str(files[1])}
    result = check_case(case, tmp_path)
    assert result.ok, str(result)
    spoil(tmp_path, case["data"], "step1_input_cond", "cache_latents", "augment_noise")
    named = [failure.partition(":")[0] for failure in check_case(case, tmp_path).failures]
    assert named == ["cache latents", "augment noise", "step1_input_cond"]
    case["num_condition_latent_frames"] = 3 - num_frames
    assert not check_case(case, tmp_path).ok


def test_what_a_whole_run_is_told_is_compared(goldens, tmp_path):
    entry = find_entry(goldens, "end_to_end/e1")
    case = entry["case"]
    for name, value in case.items():
        if name == "latent_file" or name.endswith(("_weights", "_config")):
            case[name] = str(goldens / "gen3c" / value)
    told = ("cache_latents", "condition_latents", "augment_noise")
    save_file(load_file(goldens / "gen3c" / case["data"]), tmp_path / "data.safetensors")
    spoil(tmp_path, "data.safetensors", *told)
    result = check_case({**case, "data": "data.safetensors"}, tmp_path)
    named = [failure.partition(":")[0] for failure in result.failures]
    assert named == ["cache latents", "condition latents", "augment noise"]


def test_the_number_of_a_checkpoints_names_is_compared(goldens, tmp_path):
    shutil.copytree(
        goldens / "gen3c" / "keymap", tmp_path / "keymap", copy_function=shutil.copyfile
    )
    (tmp_path / "keymap").chmod(0o755)
    path = tmp_path / "keymap" / "keymap.json"
    stated = json.loads(path.read_text())
    stated["transformer"]["full_size"]["source_keys_network"] += 1
    stated["vae"]["full_size"]["source_keys"] += 1
    path.write_text(json.dumps(stated))
    failures = check_case(find_entry(goldens, "keymap/keymap")["case"], tmp_path).failures
    assert len(failures) == 2 and all("names: 1 of 1 elements differ" in text for text in failures)


@pytest.mark.parametrize("prefix", ["net.", ""])
def test_position_buffers_are_not_extra_keys(goldens, tmp_path, prefix):
    case = find_entry(goldens, "checkpoint/plain")["case"]
    weights = load_file(goldens / "gen3c" / case["same_weights_as"])
    buffers = ("seq", "dim_spatial_range")
    weights |= {f"{prefix}pos_embedder.{name}": torch.zeros(4) for name in buffers}
    torch.save(weights, tmp_path / "model.pt")
    case = {
        "id": case["id"],
        "kind": case["kind"],
        "network": "model.pt",
        "transformer_config": str(goldens / "gen3c" / case["transformer_config"]),
        "extra_keys": False,
    }
    result = check_case(case, tmp_path)
    assert result.ok, str(result)
    torch.save({**weights, "net.accum_iteration": torch.tensor(3)}, tmp_path / "model.pt")
    assert not check_case(case, tmp_path).ok
