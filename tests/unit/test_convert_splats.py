"""convert of a PLY: every kind of file is written, read back and scored; or refused in words."""

from __future__ import annotations

import builtins
import importlib
import json
import struct
import zipfile
from gzip import decompress
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lyra_data.engine.errors import InputError
from lyra_model.export import optional_library
from lyra_model.export.fidelity import psnr_from_cameras
from lyra_model.export.ply import write_ply
from lyra_model.export.splat_formats import ENDINGS, morton_order, read_splats, write_splats
from lyra_model.gaussians import Gaussians
from lyra_model.viewer.packing import compressed, pack_gaussians, unpacked
from stages.cli import app
from tests.unit.test_scene_page import textured_wall

LIBRARIES = dict.fromkeys(ENDINGS, "gaussforge") | {"usdz": "pxr"}


def needs_library(kind: str) -> None:
    if kind in LIBRARIES:
        pytest.importorskip(LIBRARIES[kind], reason=f"{kind} needs the extra lyra-data[splats]")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["convert", *arguments], env={"COLUMNS": "100"})
    return result.exit_code, result.stdout if result.exit_code == 0 else result.output


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "wall.ply"
    write_ply(textured_wall(1500), path)
    return path


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        *(("spz", 50.0), ("sog", 50.0), ("splat", 45.0)),
        *(("ply-compressed", 45.0), ("usdz", 90.0), ("html", 50.0)),
    ],
)
def test_a_written_file_shows_what_the_ply_shows(
    scene: Path, tmp_path: Path, kind: str, least: float
) -> None:
    needs_library(kind)
    target = tmp_path / f"wall{ENDINGS.get(kind, '.html')}"
    code, output = run(str(scene), str(target), "--to", kind, "--json")
    assert code == 0, output
    facts = json.loads(output)
    assert facts["num_bytes"] == target.stat().st_size
    assert facts["num_gaussians"] == facts["num_available"] == 1700
    assert len(facts["psnr_db"]) == 3 and min(facts["psnr_db"]) >= least, facts["psnr_db"]
    code, output = run(str(scene), str(target), "--to", kind)
    assert code == 2 and "nothing is replaced" in " ".join(output.split())


@pytest.mark.parametrize("kind", list(ENDINGS))
def test_the_same_gaussians_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    needs_library(kind)
    for name in ("a", "b"):
        write_splats(textured_wall(300), tmp_path / name, kind)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("size", [0.01, 5.0, 3000.0])
def test_spz_spends_all_its_bits_on_scenes_of_every_size(tmp_path: Path, size: float) -> None:
    needs_library("spz")
    wall = textured_wall(300)
    gaussians = Gaussians(
        wall.means * size, wall.scales * size, wall.quats, wall.opacities, wall.colors
    )
    write_splats(gaussians, tmp_path / "scene.spz", "spz")
    back = read_splats(tmp_path / "scene.spz", "spz")
    ordered = gaussians.means[morton_order(gaussians)]
    assert float((back.means - ordered).abs().max()) < 1e-5 * float(ordered.abs().max())
    header = decompress((tmp_path / "scene.spz").read_bytes())[:16]
    magic, version, count = struct.unpack("<4sII", header[:12])
    assert (magic, version, count) == (b"NGSP", 3, 500)


def test_a_usdz_holds_a_stage_that_stands_upright(tmp_path: Path) -> None:
    needs_library("usdz")
    usd = importlib.import_module("pxr.Usd")
    geometry = importlib.import_module("pxr.UsdGeom")
    write_splats(textured_wall(50), tmp_path / "wall.usdz", "usdz")
    assert zipfile.ZipFile(tmp_path / "wall.usdz").namelist() == ["scene.usdc"]
    stage = usd.Stage.Open(str(tmp_path / "wall.usdz"))
    splats = stage.GetPrimAtPath("/scene/gaussians")
    assert splats.GetTypeName() == "ParticleField3DGaussianSplat"
    down = geometry.Xformable(splats).ComputeLocalToWorldTransform(0).TransformDir((0, 1, 0))
    assert down[1] == pytest.approx(-1) and geometry.GetStageUpAxis(stage) == "Y"


def test_a_missing_library_is_named_with_its_extra(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def refuse(name: str, *rest):
        if name in ("gaussforge", "pxr.Usd"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(optional_library.importlib, "import_module", refuse)
    for kind in ENDINGS:
        target = tmp_path / f"wall{ENDINGS[kind]}"
        with pytest.raises(InputError, match=r"lyra-data\[splats\]"):
            write_splats(textured_wall(20), target, kind)
        assert not target.exists()


def test_neighbours_in_space_are_neighbours_in_the_morton_order() -> None:
    gaussians = textured_wall(1000)
    ordered = gaussians.means[morton_order(gaussians)]

    def step(means: torch.Tensor) -> float:
        return float(means.diff(dim=0).norm(dim=-1).mean())

    assert step(ordered) < 0.4 * step(gaussians.means)


def test_python_unpacks_what_a_page_decodes() -> None:
    gaussians = textured_wall(400)
    exact, small = (
        unpacked(packed)
        for packed in (pack_gaussians(gaussians), compressed(pack_gaussians(gaussians)))
    )
    assert torch.equal(exact.means, gaussians.means)
    assert torch.allclose(small.means, gaussians.means, rtol=2**-16)
    assert torch.allclose(small.scales, gaussians.scales, rtol=5e-3)
    assert psnr_from_cameras(small, gaussians)[0] > 50


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--to", "webdataset"), "not converted to webdataset"),
        ((), "no kind of file is named"),
    ],
)
def test_what_gaussians_cannot_become_is_refused(scene: Path, arguments, reason: str) -> None:
    code, output = run(str(scene), *arguments)
    assert code == 2 and reason in " ".join(output.split())


def test_the_ending_of_the_output_names_the_kind(scene: Path, tmp_path: Path) -> None:
    code, output = run(str(scene), str(tmp_path / "wall.html"))
    assert code == 0, output
    assert (tmp_path / "wall.html").read_text("utf-8").startswith("<!doctype html>")
