"""Evaluating tiny scenes: what is decoded of each, and what the process needs of memory.

Claims: every blob of a scene is decoded once and its codec is judged once a view; the peak memory
of `evaluate` grows by less than a fifth from 1 scene to 200; a killed evaluation does only the
unfinished scenes again. Run: python -m benchmarks.evaluation

`--code FOLDER` measures another checkout on the same projects; it need not have this file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from PIL import Image

from stages.annotate import run_annotate
from stages.generate import run_generate
from stages.package import run_package
from stages.train import run_train

REPOSITORY = Path(__file__).parents[1]
HEIGHT, WIDTH, NUM_FRAMES, HELD_OUT_FRAMES = 32, 48, 17, 4
BLOBS_PER_VIEW = 5
"""Frames, depth, known depth, invented pixels and latents."""

# Runs in a process of its own: the peak of a process is that of all it ever did.
CHILD = """
import json, resource, sys, time
from pathlib import Path
from lyra_data.dataset.reading.blob_plan import BlobPlan
from lyra_data.models.codecs.dct import DctCodec
from stages.evaluate import run_evaluate

counts = {"blobs_decoded": 0, "codec_decodes": 0}

def count_calls(owner, name, counter):
    call = getattr(owner, name)
    def counted(*arguments, **options):
        counts[counter] += 1
        return call(*arguments, **options)
    setattr(owner, name, counted)

count_calls(BlobPlan, "decode", "blobs_decoded")
count_calls(DctCodec, "decode", "codec_decodes")
started = time.monotonic()
run_evaluate(Path(sys.argv[1]), device="cpu")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({**counts, "peak_mib": peak, "seconds": time.monotonic() - started}))
"""


@dataclass(frozen=True)
class Measured:
    """One evaluation.

    Attributes:
        blobs_decoded: of the dataset.
        codec_decodes: latents that became video again, to be compared with it.
        peak_mib: highest resident size of the process, imports included.
    """

    blobs_decoded: int
    codec_decodes: int
    peak_mib: float
    seconds: float


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scenes", type=int, nargs="+", default=[1, 50, 200])
    options.add_argument("--code", type=Path, default=REPOSITORY)
    options.add_argument("--projects", type=Path, help="keep the projects here, or take them")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.projects or Path(scratch)
        first: Measured | None = None
        for num_scenes in chosen.scenes:
            project = make_project(folder / f"{num_scenes}_scenes", num_scenes)
            measured = evaluate(project, chosen.code)
            first = first or measured
            num_views = num_scenes * len(trajectories(project))
            print(
                f"{num_scenes} scenes, {num_views} views: "
                f"{measured.blobs_decoded / (BLOBS_PER_VIEW * num_views):.2f} decodes a blob, "
                f"{measured.codec_decodes / num_views:.2f} codec PSNRs a view, "
                f"peak {measured.peak_mib:.0f} MiB "
                f"({measured.peak_mib / first.peak_mib:.2f} of the first), "
                f"{measured.seconds / num_scenes:.2f} s a scene"
            )
            again = evaluate(project, chosen.code, keep_finished=True)
            print(
                f"  again, all finished: {again.blobs_decoded / (BLOBS_PER_VIEW * num_views):.2f} "
                f"decodes a blob, peak {again.peak_mib:.0f} MiB, "
                f"{again.seconds / measured.seconds:.2f} of the time"
            )


def evaluate(project: Path, code: Path, *, keep_finished: bool = False) -> Measured:
    """Evaluate a project in a process of its own, with the code of a checkout."""
    if not keep_finished:
        shutil.rmtree(project / ".work" / "evaluate", ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(project / "params.yaml")],
        env={**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"},
        cwd=code,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def make_project(folder: Path, num_scenes: int) -> Path:
    """Make a project of many tiny scenes up to its trained decoder; one that is there is taken."""
    if (folder / "outputs" / "models" / "demo").is_dir():
        return folder
    for number in range(num_scenes):
        write_source(folder / "inputs" / f"scene_{number:03}", number)
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["annotate"]["sources"] = [
        {"name": "files", "folder": f"inputs/{path.name}", "scene_id": path.name}
        for path in sorted((folder / "inputs").iterdir())
    ]
    params["annotate"]["annotator"] |= {"height": HEIGHT, "width": WIDTH}
    params["generate"]["num_frames"] = NUM_FRAMES
    params["generate"]["quality"] = dict.fromkeys(params["generate"]["quality"])
    params["train"]["held_out_frames"] = HELD_OUT_FRAMES
    params["train"]["decoder"] |= {"dim": 32, "depth": 2, "attention_every": 2, "headdim": 16}
    for name, size in (("small", {"height": 16, "width": 32}), ("demo", {})):
        phase = params["train"]["phases"][name]
        phase |= {"steps": 1, "height": HEIGHT, "width": WIDTH, "num_frames": 9, **size}
    params["evaluate"]["phase"] = "demo"
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(params, sort_keys=False))
    for run in (run_annotate, run_generate, run_package, run_train):
        run(file)
    return folder


def trajectories(project: Path) -> list[str]:
    """The views of every scene."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    return params["generate"]["trajectories"]["names"]


def write_source(folder: Path, number: int) -> None:
    """Write a picture of soft spots and its sloping depth, as docs/inputs.md describes them."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(number)
    spots = cv2.GaussianBlur(draw.uniform(0, 255, (HEIGHT, WIDTH, 3)), (0, 0), 2.0)
    picture = cv2.normalize(spots, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    Image.fromarray(picture).save(folder / "image.png")
    slope = np.linspace(2.0, 3.0 + number % 5 / 5, WIDTH, dtype=np.float32)
    np.save(folder / "depth.npy", np.tile(slope, (HEIGHT, 1)))
    intrinsics = {"fx": 52.0, "fy": 52.0, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    intrinsics |= {"width": WIDTH, "height": HEIGHT}
    (folder / "intrinsics.json").write_text(json.dumps(intrinsics))


if __name__ == "__main__":
    main()
