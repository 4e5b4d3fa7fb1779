"""inspect of a PLY: numbers, conventions and a picture; what cannot be read is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lyra_model.export.ply import write_ply
from stages.cli import app
from tests.report_samples import random_gaussians


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["inspect", *arguments], env={"COLUMNS": "100"})
    return result.exit_code, result.stdout if "--json" in arguments else result.output


def test_a_ply_is_described_and_shown(tmp_path: Path) -> None:
    scene, picture = tmp_path / "scene.ply", tmp_path / "picture.png"
    write_ply(random_gaussians(300), scene)
    for _ in range(2):  # a picture of its own is replaced
        code, output = run(str(scene), "--output", str(picture), "--json")
        assert code == 0, output
    facts = json.loads(output)
    assert facts["num_gaussians"] == 300
    assert facts["bounds"][0][2] < 4 < facts["bounds"][1][2]
    assert "opacities as logits" in facts["conventions"]
    pixels = np.asarray(Image.open(picture))
    assert pixels.shape[1] % 3 == 0 and pixels.std() > 5


def test_an_empty_scene_a_folder_and_a_foreign_picture_are_refused(tmp_path: Path) -> None:
    empty, folder, taken = tmp_path / "empty.ply", tmp_path / "folder.ply", tmp_path / "a.png"
    write_ply(random_gaussians(0), empty)
    folder.mkdir()
    taken.write_bytes(b"mine")
    scene = tmp_path / "scene.ply"
    write_ply(random_gaussians(5), scene)
    for arguments, reason in (
        ((str(empty),), "an empty scene"),
        ((str(folder),), "a folder"),
        ((str(tmp_path / "absent.ply"),), "no such file"),
        ((str(scene), "--scene", "x"), "only a dataset has scenes"),
        ((str(scene), "--output", str(taken)), "does not say that inspect wrote it"),
        ((str(scene), "--output", str(tmp_path / "a.mp4")), "no frames"),
    ):
        code, output = run(*arguments)
        assert code == 2 and reason in " ".join(output.split()), (arguments, output)
    assert taken.read_bytes() == b"mine"


@pytest.mark.parametrize("content", [b"", b"ply\n", b"\0" * 1000])
def test_what_is_called_a_ply_and_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    scene = tmp_path / "scene.ply"
    scene.write_bytes(content)
    code, output = run(str(scene))
    assert code == 2 and "not a PLY file" in output
