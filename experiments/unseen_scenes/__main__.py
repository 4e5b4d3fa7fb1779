"""Runs experiment 0002: `python -m experiments.unseen_scenes FOLDER`. Run again, it goes on.

Makes the rooms and their views and trains the variants, each in a project of its own over one
dataset; `experiments.unseen_scenes.bounds` judges them. `--ship OUTPUT` copies what the whole
variant has trained, as the weights that come with the package.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

import yaml

from experiments.many_scenes.inputs import write_rooms
from experiments.unseen_scenes.variants import VARIANTS, with_sources

SHARED = ("clips", "held_out", "dataset")
PRESET = Path("stages/presets/cpu-small.yaml")
SHIPPED = ("model.safetensors", "config.json", "history.csv")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--rooms", type=int, default=48, help="rooms to train on")
    options.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options.add_argument("--ship", type=Path, metavar="OUTPUT")
    chosen = options.parse_args()
    data = chosen.folder / "data"
    names = write_rooms(data / "inputs", chosen.rooms)
    params = with_sources(yaml.safe_load(PRESET.read_text()), names)
    _write_params(data, params)
    for verb in ("annotate", "generate", "package"):
        if not (data / "outputs" / "dataset").exists():
            _lyra_data(verb, data)
    for name in chosen.variants:
        project = chosen.folder / name
        _write_params(project, VARIANTS[name](params))
        _link(project, data)
        for phase in yaml.safe_load((project / "params.yaml").read_text())["train"]["phases"]:
            if not (project / "outputs" / "models" / phase).exists():
                _lyra_data("train", project, "--phase", phase, "--validation-steps", "250")
    if chosen.ship:
        trained = chosen.folder / "whole" / "outputs" / "models" / "large"
        chosen.ship.mkdir(parents=True, exist_ok=True)
        for name in SHIPPED:
            shutil.copyfile(trained / name, chosen.ship / name)


def _write_params(project: Path, params: dict) -> None:
    project.mkdir(parents=True, exist_ok=True)
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def _link(project: Path, data: Path) -> None:
    """Take the data that all variants share."""
    for name in SHARED:
        link = project / "outputs" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to((data / "outputs" / name).resolve())


def _lyra_data(verb: str, project: Path, *options: str) -> None:
    command = ["lyra-data", verb, "--params", str(project / "params.yaml"), *options]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
