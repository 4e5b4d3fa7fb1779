"""A tiny project in a folder of its own: a wall with a box at 32x48 pixels, run in seconds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.engine.hashing import sha256_of_file
from tests.factories import make_depth, make_frames
from tests.goldens import REPOSITORY
from tests.warm_processes import lyra_data, run_code, run_warm

HEIGHT, WIDTH = 32, 48
PHASES = ("small", "demo")
LITTLE_DISK = "export PYTHONDONTWRITEBYTECODE=1; ulimit -f 1"
"""For a shell: no file grows beyond a block. Of compiled modules Python would keep the first block,
beside the source, and every later process would fail to import them."""


def tiny_params() -> dict[str, Any]:
    """The committed params at a size that runs in seconds."""
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["annotate"]["sources"] = [{"name": "files", "folder": "inputs/wall", "scene_id": "wall"}]
    params["annotate"]["annotator"] |= {"height": HEIGHT, "width": WIDTH}
    params["generate"]["num_frames"] = 17
    params["generate"]["trajectories"]["names"] = ["left", "zoom_in"]
    params["train"]["held_out_frames"] = 4
    params["train"]["decoder"] |= {
        "dim": 32,
        "depth": 2,
        "attention_every": 2,
        "num_heads": 2,
        "d_state": 16,
        "headdim": 16,
    }
    small, demo = (params["train"]["phases"][name] for name in PHASES)
    small |= {"steps": 4, "height": 16, "width": 32, "num_frames": 9, "num_target_frames": 2}
    demo |= {"steps": 6, "height": HEIGHT, "width": WIDTH, "num_frames": 9, "num_target_frames": 2}
    params["evaluate"] |= {"phase": "demo", "fit_baseline_steps": 2}
    params["evaluate"]["phase"] = "demo"
    reconstruct = params["reconstruct"]
    reconstruct |= {"held_out_frames": 4, "frames_per_view": 3, "moments": 2, "moment_steps": 2}
    reconstruct["fit"] |= {"steps": 4, "measure_every": 2}
    reconstruct["video"] |= {"num_frames": 4}
    return params


class Project:
    """A folder with params.yaml, inputs and all that DVC needs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_source(root / "inputs" / "wall")
        self.write_params(tiny_params())

    def with_dvc(self) -> Project:
        """Copy what dvc.yaml depends on; the code that runs is the installed one."""
        for package in ("lyra_data", "lyra_model", "stages"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / package, self.root / package, ignore=ignore)
        for name in ("dvc.yaml", ".dvcignore"):
            shutil.copy(REPOSITORY / name, self.root / name)
        random_weights = Path("outputs") / "models" / "random_weights"
        shutil.copytree(REPOSITORY / random_weights, self.root / random_weights)
        self.run("dvc", "init", "--no-scm", "--quiet")
        self.run("dvc", "config", "core.analytics", "false")
        return self

    @property
    def params_file(self) -> Path:
        return self.root / "params.yaml"

    def write_params(self, params: dict[str, Any]) -> None:
        self.params_file.write_text(yaml.safe_dump(params, sort_keys=False))

    def change(self, *keys: str, to: Any) -> None:
        """Set one value of params.yaml."""
        params = yaml.safe_load(self.params_file.read_text())
        section = params
        for key in keys[:-1]:
            section = section[key]
        section[keys[-1]] = to
        self.write_params(params)

    def run(self, *command: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in the project's folder."""
        binaries = str(Path(sys.executable).parent)
        environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        return checked(done, expect)

    def cli(self, *arguments: str, expect: int = 0) -> dict[str, Any]:
        """Run lyra-data with --json, in a process that has all modules, return what it prints."""
        done = run_warm(lyra_data, *arguments, "--json", folder=self.root)
        return json.loads(checked(done, expect).stdout)

    def run_and_be_killed(self, code: str) -> None:
        """Run Python code in the project's folder; it has to end by SIGKILL."""
        checked(run_warm(run_code, code, folder=self.root), -signal.SIGKILL)

    def hashes(self) -> dict[str, str]:
        """What has to be equal between two runs of one project."""
        models = self.root / "outputs" / "models"
        return {
            "dataset": DatasetFiles.open(self.root / "outputs" / "dataset").manifest.dataset_hash,
            **{name: sha256_of_file(models / name / "model.safetensors") for name in PHASES},
            "figures": sha256_of_file(self.root / "reports" / "evaluation.json"),
        }


def checked(
    done: subprocess.CompletedProcess[str], expect: int
) -> subprocess.CompletedProcess[str]:
    """Return it if it ended as expected; else show what it wrote."""
    said = f"{done.args} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode == expect, said
    return done


def write_source(folder: Path) -> None:
    """A picture, its depth and its intrinsics, as docs/inputs.md describes them."""
    folder.mkdir(parents=True)
    frame = make_frames(1, HEIGHT, WIDTH)[0].permute(1, 2, 0).numpy()
    Image.fromarray(frame).save(folder / "image.png")
    depth, _ = make_depth(1, HEIGHT, WIDTH)
    np.save(folder / "depth.npy", depth[0].numpy())
    intrinsics = {"fx": 52.0, "fy": 52.0, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    intrinsics |= {"width": WIDTH, "height": HEIGHT}
    (folder / "intrinsics.json").write_text(json.dumps(intrinsics))
