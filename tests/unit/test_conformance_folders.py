from __future__ import annotations

import json
import sys

import pytest
from safetensors.torch import load_file, save_file

from lyra_data.gen3c.images import reference_image
from tests.conformance.__main__ import main
from tests.factories import make_frames


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
