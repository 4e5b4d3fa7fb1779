"""publish as a stage of DVC: only where it is asked for, tied to the lock, once for one content."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lyra_data.dataset.writing.writer import write_dataset
from tests.dataset_scenes import exact_scene
from tests.goldens import REPOSITORY
from tests.hub.server import TOKEN, HubState, client_environment

PIPELINE = {
    "stages": {
        "package": {
            "cmd": "mkdir -p outputs && cp -r made outputs/dataset",
            "deps": ["made"],
            "outs": ["outputs/dataset"],
        }
    }
}


@pytest.fixture
def project(tmp_path) -> Path:
    root = tmp_path / "project"
    (root / "publish").mkdir(parents=True)
    write_dataset(
        exact_scene("a"),
        root / "made",
        splits={"a": "train"},
        scenes_per_shard=1,
        provenance={"engine_commit": "abc"},
    )
    (root / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    shutil.copy(REPOSITORY / "publish" / "dvc.yaml", root / "publish" / "dvc.yaml")
    write_params(root)
    return root


def write_params(root: Path, **changes: Any) -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["publish"] |= {"model_licences": {"exact": "Apache-2.0"}, **changes}
    params["publish"]["dataset"] |= {"repository": "lab/scenes", "licence": "CC-BY-4.0"}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.mark.slow
def test_only_its_own_target_publishes_and_the_receipt_names_the_lock(
    project, hub, hub_state: HubState, tmp_path
):
    environment = client_environment(hub, tmp_path / "home", token=TOKEN)
    environment = {**os.environ, **environment, "DVC_NO_ANALYTICS": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("git", "init", "-q")
    run("dvc", "init", "-q")
    run("dvc", "repro")
    assert not hub_state.repositories and not (project / "publish" / "dataset.json").exists()

    run("dvc", "repro", "publish/dvc.yaml:dataset")
    receipt = json.loads((project / "publish" / "dataset.json").read_text())
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    assert receipt["facts"]["dvc_lock"] == lock["stages"]["package"]["outs"][0]["md5"]
    assert receipt["commit"] == hub_state.repositories["datasets/lab/scenes"].head

    said = run("dvc", "repro", "publish/dvc.yaml:dataset")
    assert "didn't change, skipping" in said

    write_params(project, version="v0.2.0")
    run("dvc", "repro")
    assert set(hub_state.repositories["datasets/lab/scenes"].history.tags) == {"v0.1.0"}
    run("dvc", "repro", "publish/dvc.yaml:dataset")
    assert set(hub_state.repositories["datasets/lab/scenes"].history.tags) == {"v0.1.0", "v0.2.0"}
