"""The experiment's figures: `python -m experiments.many_scenes.figures FOLDER OUTPUT`.

Writes OUTPUT/results.json and OUTPUT/renders.png, and prints the tables of docs/experiments/0001.
`--more PROJECT...` adds others, such as one that was trained on other scenes, judged at the phase
that their params name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from experiments.many_scenes.variants import VARIANTS
from lyra_data.clips.store import read_held_out
from lyra_model.batches.loading import resize_frames
from lyra_model.evaluation.scene_evaluation import COPIED, DECODER, FIRST_PHASE, WARPED
from lyra_model.export.ply import read_ply
from lyra_model.metrics.psnr import psnr
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

GROUPS = {
    "kept rooms, photos seen in training": "kept_0",
    "kept rooms, other photos": "kept_other_photos_",
    "Motorcycle, a real photo": "motorcycle",
}
METRICS = {"psnr_db": "{:.2f} dB", "ssim": "{:.3f}", "depth_abs_rel": "{:.3f}"}
METHODS = {
    DECODER: "decoder, final phase",
    FIRST_PHASE: "decoder, first phase",
    COPIED: "nearest input frame, copied",
    WARPED: "nearest input frame, warped by its depth",
}
UNFINISHED = "unfinished"
SHOWN = ("kept_00", "kept_03", "kept_other_photos_01", "kept_other_photos_04", "motorcycle")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("output", type=Path)
    options.add_argument("--more", type=Path, nargs="*", default=[])
    chosen = options.parse_args()
    found = {
        name: json.loads((chosen.folder / name / "reports" / "evaluation.json").read_text())
        for name in VARIANTS
        if (chosen.folder / name / "reports" / "evaluation.json").exists()
    }
    whole = found["whole"]
    projects = {name: chosen.folder / name for name in found}
    for project in chosen.more:
        projects[project.name] = project
        found[project.name] = json.loads((project / "reports" / "evaluation.json").read_text())
    for kind in ("held_out_frames", "real_photos"):
        print(f"\n{kind}, mean over scenes: PSNR / SSIM / depth AbsRel\n")
        print("| | " + " | ".join(GROUPS) + " |")
        for method, title in METHODS.items():
            cells = [_cell(_mean(whole, prefix, kind, method)) for prefix in GROUPS.values()]
            print(f"| {title} | " + " | ".join(cells) + " |")
        print("\nvariants, decoder\n")
        for name, results in found.items():
            cells = [_cell(_mean(results, prefix, kind, DECODER)) for prefix in GROUPS.values()]
            print(f"| {name} | " + " | ".join(cells) + " |")
    print("\nphase by phase, validation PSNR of the trainer's own log\n")
    phases = {name: _validations(project) for name, project in projects.items()}
    for name, rows in phases.items():
        print(name, {phase: [round(psnr, 2) for _, psnr in shown] for phase, shown in rows.items()})
    chosen.output.mkdir(parents=True, exist_ok=True)
    for results in found.values():
        del results["provenance"]["trajectory_seeds"]  # as many as there are views
    figures = {"variants": found, "validation_psnr_db": phases}
    text = json.dumps(figures, indent=1, sort_keys=True)
    (chosen.output / "results.json").write_text(text + "\n")
    Image.fromarray(_renders(chosen.folder)).save(chosen.output / "renders.png")


def _mean(results: dict[str, Any], prefix: str, kind: str, method: str) -> dict[str, float]:
    """Means over the scenes of a group; scenes count alike."""
    scenes = [
        scene[kind][method] for name, scene in results["scenes"].items() if name.startswith(prefix)
    ]
    scenes = [scene for scene in scenes if scene]
    return {metric: float(np.mean([scene[metric] for scene in scenes])) for metric in METRICS}


def _cell(values: dict[str, float]) -> str:
    return " / ".join(shape.format(values[metric]) for metric, shape in METRICS.items())


def _validations(project: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, PSNR) of every phase's validations, from the logs of training."""
    found: dict[str, list[tuple[int, float]]] = {}
    for log in (project / ".work" / "train").glob("*/log.jsonl"):
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        seen = [(row["step"], row["psnr"]) for row in rows if row["event"] == "validation"]
        found[_phase_of(project, len([row for row in rows if row["event"] == "step"]))] = seen
    found.pop(UNFINISHED, None)
    return found


def _phase_of(project: Path, num_steps: int) -> str:
    """The phases of the experiment have different numbers of steps."""
    phases = yaml.safe_load((project / "params.yaml").read_text())["train"]["phases"]
    return next((n for n, phase in phases.items() if phase["steps"] == num_steps), UNFINISHED)


def _renders(folder: Path) -> np.ndarray:
    """Rows of the true picture from elsewhere and what every variant shows there."""
    rows = []
    committed = yaml.safe_load(Path("params.yaml").read_text())["train"]["rendering"]
    rendering = RenderingParams.parse(committed, where="train.rendering")
    for scene in SHOWN:
        view = read_held_out(folder / "data" / "outputs" / "held_out" / scene)[0]
        height, width = 128, 192
        true = resize_frames(view.frame[None], height, width)
        pictures = [true]
        for name in VARIANTS:
            project = folder / name
            ply = project / "reports" / "scenes" / scene / "gaussians.ply"
            if ply.exists():
                shown = render(
                    read_ply(ply),
                    view.camera.resized(height, width),
                    rendering,
                )
                pictures.append(shown.rgb.clamp(0, 1))
                print(scene, name, f"{psnr(pictures[-1], true).mean:.2f} dB")
        rows.append(torch.cat(pictures, dim=3)[0])
    picture = torch.cat(rows, dim=1).permute(1, 2, 0)
    return (picture * 255.0).round().to(torch.uint8).numpy()


if __name__ == "__main__":
    main()
