"""Runs experiment 0001: `python -m experiments.many_scenes FOLDER`. Run again, it goes on.

Every variant is a project of its own in FOLDER, over one dataset; the stages are the verbs of
`lyra-data`.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import yaml

from experiments.many_scenes.inputs import write_rooms, write_stills
from experiments.many_scenes.variants import FINAL_PHASE_ALONE, VARIANTS, variant, whole

KEPT = ["kept_*", "motorcycle"]
STILLS = [0, 60, 121]
SHARED = ("clips", "held_out", "dataset")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--clip", type=Path, help="an annotated video, for three stills of it")
    options.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options.add_argument("--rooms", type=int, default=40, help="rooms to train on")
    options.add_argument("--times", type=int, default=1, help="as many steps in every phase")
    options.add_argument("--params", type=Path, default=Path("params.yaml"))
    chosen = options.parse_args()
    data = chosen.folder / "data"
    scenes = write_rooms(data / "inputs", chosen.rooms)
    if chosen.clip:
        scenes += write_stills(chosen.clip, data / "inputs", STILLS)
    params = whole(yaml.safe_load(chosen.params.read_text()), scenes, KEPT, times=chosen.times)
    _write_params(data, params)
    for verb in ("annotate", "generate", "package"):
        if not (data / "outputs" / "dataset").exists():
            _lyra_data(verb, data)
    for name in chosen.variants:
        project = chosen.folder / name
        _write_params(project, variant(name, params))
        _link([f"outputs/{shared}" for shared in SHARED], project, data)
        phases = list(params["train"]["phases"])
        if name in FINAL_PHASE_ALONE:
            _link(
                [f"outputs/models/{phase}" for phase in phases[:-1]],
                project,
                chosen.folder / "whole",
            )
            phases = phases[-1:]
        if not (project / "reports" / "evaluation.json").exists():
            for phase in phases:
                _lyra_data("train", project, "--phase", phase, "--validation-steps", "400")
            _lyra_data("evaluate", project)


def _write_params(project: Path, params: dict) -> None:
    project.mkdir(parents=True, exist_ok=True)
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def _link(places: list[str], project: Path, other: Path) -> None:
    """Take what another project has made."""
    for place in places:
        link = project / place
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to((other / place).resolve())


def _lyra_data(verb: str, project: Path, *options: str) -> None:
    command = ["lyra-data", verb, "--params", str(project / "params.yaml"), *options]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
