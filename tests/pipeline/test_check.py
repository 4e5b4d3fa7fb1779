"""lyra-data check: what it prints, its exit codes, its JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from lyra_data.clips.checks import RULES
from lyra_data.clips.store import write_clip
from lyra_data.dataset.checks import DATASET_RULES
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.scene.clip import Clip
from stages.verbs.check import check
from tests.factories import make_view
from tests.ray_cast import MOVING, STILL, clip_of, moving_cameras, still_camera

app = typer.Typer()
app.command("check")(check)
app.command("other")(lambda: None)

GOOD = clip_of(MOVING, moving_cameras(9), "good")


def run(*arguments: object):
    return CliRunner().invoke(app, ["check", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A good video and image, one with poses the wrong way round, one that repeats a frame."""
    root = tmp_path_factory.mktemp("outputs") / "clips"
    write_clip(GOOD, root / "good")
    write_clip(clip_of(STILL, still_camera(), "image"), root / "image")
    poses = torch.linalg.inv(GOOD.cameras.camera_to_world)
    inverted = replace(GOOD, cameras=replace(GOOD.cameras, camera_to_world=poses))
    write_clip(renamed(inverted, "inverted"), root / "inverted")
    frames = GOOD.frames.clone()
    frames[4] = frames[3]
    write_clip(renamed(replace(GOOD, frames=frames), "frozen"), root / "frozen")
    return root


def renamed(clip: Clip, name: str) -> Clip:
    return replace(clip, scene_id=name)


def test_good_clips_pass_with_exit_code_0(clips: Path) -> None:
    ran = run(clips / "good", clips / "image")
    assert ran.exit_code == 0, ran.output
    assert "2 of 2 clips without errors and warnings" in ran.stdout


def test_a_folder_of_clips_is_checked_whole_and_an_error_gives_exit_code_1(clips: Path) -> None:
    ran = run(clips)
    assert ran.exit_code == 1
    told = " ".join(ran.stdout.replace("│", " ").split())
    for part in ("inverted", "reprojection", "poses are world-to-camera", "2 of 4 clips"):
        assert part in told
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("clip", "fail_on", "code"),
    [
        ("frozen", "error", 0),
        ("frozen", "warning", 1),
        ("frozen", "never", 0),
        ("inverted", "warning", 1),
        ("inverted", "never", 0),
        ("good", "warning", 0),
    ],
)
def test_the_exit_code_follows_the_worst_severity(
    clips: Path, clip: str, fail_on: str, code: int
) -> None:
    assert run(clips / clip, "--fail-on", fail_on).exit_code == code


def test_json_is_one_object_with_every_finding(clips: Path) -> None:
    ran = run(clips, "--json")
    told = json.loads(ran.stdout)
    assert ran.exit_code == 1 and told["num_errors"] == 1
    by_name = {clip["clip"]: clip for clip in told["clips"]}
    (finding,) = (f for f in by_name["inverted"]["findings"] if f["severity"] == "error")
    assert finding["rule"] == "reprojection" and finding["value"] > 1
    assert set(finding) == {
        *("rule", "severity", "clip", "frames", "value", "bound", "message", "remedy")
    }
    assert by_name["good"]["findings"] == []


def test_an_altered_file_is_a_finding_and_no_crash(clips: Path, tmp_path: Path) -> None:
    write_clip(GOOD, tmp_path / "altered")
    path = tmp_path / "altered" / "depth.npy"
    path.write_bytes(path.read_bytes()[:-8])
    ran = run(tmp_path / "altered")
    assert ran.exit_code == 1 and "stored-files" in ran.stdout and "depth.npy" in ran.stdout


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["."]])
def test_what_is_no_clip_is_refused_with_exit_code_2_and_a_fix(
    arguments: list[str], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments)
    assert ran.exit_code == 2 and "outputs/clips" in ran.output and "Traceback" not in ran.output


def test_all_rules_are_listed(clips: Path) -> None:
    ran = run("--rules")
    every = [*RULES, *DATASET_RULES]
    assert ran.exit_code == 0 and [name for name in every if name not in ran.stdout] == []
    listed = json.loads(run("--rules", "--json").stdout)["rules"]
    assert [rule["name"] for rule in listed] == every
    kinds = [rule["kind"] for rule in listed]
    assert kinds == ["clip"] * len(RULES) + ["dataset"] * len(DATASET_RULES)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "dataset"
    write_dataset([make_view()], folder, splits=None, scenes_per_shard=1, provenance={})
    return folder


def test_a_dataset_is_told_from_clips_and_checked_beside_them(dataset: Path, clips: Path) -> None:
    ran = run(dataset, clips / "good", "--sample", "0")
    assert ran.exit_code == 0, ran.output
    told = " ".join(ran.stdout.split())
    assert "2 of 2 without errors and warnings" in told
    assert "1 scene, 1 view; frames and depth of 0 looked at" in told


def test_a_flipped_byte_of_a_dataset_gives_exit_code_1_with_file_and_offset(
    dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(dataset, tmp_path / "data")
    path = tmp_path / "data" / "data" / "latent" / "train-00000-of-00001.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ran = run(tmp_path / "data", "--json")
    (checked,) = json.loads(ran.stdout)["datasets"]
    (finding,) = checked["findings"]
    assert ran.exit_code == 1 and finding["rule"] == "file-hashes"
    assert finding["file"].startswith("data/latent/") and 0 < finding["offset"] <= len(data) // 2
    shown = run(tmp_path / "data")
    assert max(map(len, shown.stdout.splitlines())) <= 80 and "file-hashes" in shown.stdout


def test_a_dataset_without_its_manifest_is_a_finding(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "data")
    (tmp_path / "data" / "meta" / "manifest.json").unlink()
    ran = run(tmp_path / "data")
    assert ran.exit_code == 1 and "never finished" in " ".join(ran.stdout.split())


@pytest.mark.parametrize("sample", ["-1", "some", "1.5", ""])
def test_an_impossible_sample_is_refused(dataset: Path, sample: str) -> None:
    ran = run(dataset, f"--sample={sample}")
    assert ran.exit_code == 2 and "a number, or all" in ran.output
