"""What the queue itself costs: thousands of jobs whose views cost nothing to make.

Claim: the runner adds less than a tenth of a second to a view, whatever the number of workers, and
its process does not grow with the number of views. Run: python -m benchmarks.generation_queue
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml

from lyra_data.clips.store import write_clip
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.estimate import LYRA_IMAGES, LYRA_VIDEOS
from lyra_data.generation.jobs import ClipFacts, Job
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.plan import Plan
from lyra_data.generation.runner import generate_views
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.quality import ViewQuality
from lyra_data.scene.view import View

HEIGHT, WIDTH, NUM_FRAMES = 16, 24, 9
TARGET_SECONDS = 0.1


@dataclass(frozen=True)
class InstantMaker:
    """Gives every job the same small view at once."""

    params: GenerateParams
    placement: Placement

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"teacher": "instant", "teacher_fingerprint": "instant"}

    def make(self, clip: Clip, job: Job) -> View:
        cameras = Cameras(
            torch.eye(4).repeat(NUM_FRAMES, 1, 1),
            clip.cameras.intrinsics.repeat(NUM_FRAMES, 1),
            HEIGHT,
            WIDTH,
        )
        known = torch.ones(NUM_FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
        return View(
            scene_id=job.scene_id,
            view_index=job.view_index,
            trajectory=job.trajectory,
            motion_reversed=job.motion_reversed,
            frames=clip.frames.repeat(NUM_FRAMES, 1, 1, 1),
            cameras=cameras,
            latents=torch.zeros(16, 2, HEIGHT // 8, WIDTH // 8),
            depth=known.float(),
            depth_valid=known,
            filled=~known,
            depth_scale="metric",
            fps=24.0,
            movement_distance=job.movement_distance,
            seed=job.teacher_seed,
            quality=ViewQuality(*[None] * 9),
            provenance={"teacher": "instant", "codec": "dct", "codec_fingerprint": "none"},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000, help="views to make (default 5000)")
    arguments = parser.parse_args()
    plan_lyra()
    num_scenes = -(-arguments.jobs // 6)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_scenes(root / "clips", num_scenes)
        for workers in (1, 2, None):  # at last the one whose memory includes the worker's
            run(root, num_scenes, workers)


def plan_lyra() -> None:
    """The plan of 59,031 images and 7,378 videos: what the runner keeps, and how fast it asks."""
    params = load_params()
    before, started = peak_megabytes(), time.monotonic()
    clips = [
        ClipFacts(f"s{i:05d}", f"s{i:05d}", 1 if i < LYRA_IMAGES else 121, 704, 1280, f"{i:064x}")
        for i in range(LYRA_IMAGES + LYRA_VIDEOS)
    ]
    keys = KeyMaker(params, {"teacher": "instant", "teacher_fingerprint": "instant"})
    num_tasks = sum(1 for _ in Plan(clips, params, 0, keys).view_tasks())
    seconds, grown = time.monotonic() - started, peak_megabytes() - before
    print(f"plan of {num_tasks} views: {1e6 * seconds / num_tasks:.0f} us a view, {grown:.0f} MB")


def load_params() -> GenerateParams:
    values = yaml.safe_load(Path("params.yaml").read_text())["generate"]
    values |= {"num_frames": NUM_FRAMES, "quality": dict.fromkeys(values["quality"])}
    return GenerateParams.parse(values, where="generate")


def write_scenes(folder: Path, num_scenes: int) -> None:
    """Still images of 16x24 pixels."""
    clip = Clip(
        scene_id="scene",
        frames=torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.uint8),
        cameras=Cameras(torch.eye(4)[None], torch.tensor([[24.0, 24.0, 12.0, 8.0]]), HEIGHT, WIDTH),
        depth=torch.ones(1, HEIGHT, WIDTH),
        depth_valid=torch.ones(1, HEIGHT, WIDTH, dtype=torch.bool),
        depth_scale="metric",
        fps=24.0,
    )
    for index in range(num_scenes):
        write_clip(replace(clip, scene_id=f"s{index:05d}"), folder / f"s{index:05d}")


def run(root: Path, num_scenes: int, workers: int | None) -> None:
    params = load_params()

    def generate() -> float:
        started = time.monotonic()
        generate_views(
            params,
            seed=0,
            clips=root / "clips",
            views=root / f"views_{workers}",
            scratch=root / f"work_{workers}",
            progress=silent,
            crew=Crew(workers=workers, device="cpu"),
            maker=InstantMaker,
        )
        return time.monotonic() - started

    before = peak_megabytes()
    first, again = generate(), generate()
    name = "this process" if workers is None else f"{workers} worker processes"
    num_views = num_scenes * len(params.trajectories.names)
    print(f"{num_views} views by {name}: {1000 * first / num_views:.1f} ms a view", end="; ")
    print(f"all finished: {1000 * again / num_views:.1f} ms a view", end="; ")
    print(f"peak memory of this process {before:.0f} -> {peak_megabytes():.0f} MB")
    verdict = "met" if first / num_views < TARGET_SECONDS else "MISSED"
    print(f"  target {TARGET_SECONDS} s: {verdict}")


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
