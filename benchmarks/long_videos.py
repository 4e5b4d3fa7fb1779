"""Claim: a long video costs as much a frame as a short one, and no more memory, in windows.

    python -m benchmarks.long_videos reading --frames 300 1000 3000
    python -m benchmarks.long_videos given --frames 300 1000 3000
    python -m benchmarks.long_videos colmap --frames 240 480 [--whole]

The film is a walk along a gallery whose cameras are known (benchmarks/long_film.py). `reading`
looks for shots and reads every window; `given` annotates, generates and reconstructs windows of a
stored clip with true poses and depth; `colmap` solves windows of the film and compares the poses
with the true ones, after the similarity that fits the first window. With --whole the film is one
scene, as without windows. Every size is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.long_film import gallery, walk, write_film
from lyra_data.annotation.annotate import AnnotateParams, annotate_sources
from lyra_data.annotation.finished_scenes import content_of
from lyra_data.clips.store import read_clip, scene_folders, write_clip
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views
from lyra_data.scene.clip import Clip
from lyra_data.scene.frame_selection import mirrored
from lyra_data.sources.parts import PartParams, shot_parts
from lyra_data.sources.video import VideoParams, VideoSource
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.scenes import Folders, reconstruct_scenes
from stages.params import load_section, load_yaml
from stages.presets import preset_file

SIZES = {"reading": (128, 192), "given": (48, 64), "colmap": (96, 144)}
"""Height and width of the film in pixels, by what is measured."""

WINDOWS = {"reading": (121, 24), "given": (121, 24), "colmap": (60, 12)}
"""Frames and overlap of the windows."""

SCENE = "walk"

CLIP_FRAMES = 60
"""Frames of the walk that the clip with given poses repeats."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=SIZES, nargs="?", default="given")
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--whole", action="store_true", help="no windows")
    parser.add_argument("--film", type=Path, help="folder that films are made in once, and kept")
    parser.add_argument("--measured", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.measured:
        (num_frames,) = arguments.frames
        measure(arguments.what, arguments.measured, num_frames, is_whole=arguments.whole)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.film or Path(temporary)
        make_inputs(arguments.what, folder, arguments.frames)
        for num_frames in arguments.frames:
            command = [sys.executable, "-m", "benchmarks.long_videos", arguments.what]
            command += ["--measured", str(folder), "--frames", str(num_frames)]
            subprocess.run([*command, *(["--whole"] if arguments.whole else [])], check=True)


def make_inputs(what: str, folder: Path, sizes: Sequence[int]) -> None:
    """Make the clips, or the longest film: shorter ones are its beginning."""
    height, width = SIZES[what]
    if what == "given":
        for num_frames in sizes:
            if not (folder / f"{SCENE}{num_frames}").exists():
                clip = clip_of_walk(num_frames, height, width)
                write_clip(clip, folder / f"{SCENE}{num_frames}")
    elif not (folder / "film.mp4").exists():
        write_film(folder / "film.mp4", max(sizes), height, width)


def clip_of_walk(num_frames: int, height: int, width: int) -> Clip:
    """Return a clip of the walk's beginning, played to and fro: what is measured of it is time."""
    cameras = walk(CLIP_FRAMES, height, width)
    seen = [gallery(cameras[[frame]]) for frame in range(CLIP_FRAMES)]
    depth = torch.cat([each.depth for each in seen])
    clip = Clip(
        scene_id=SCENE,
        frames=torch.cat([each.frames for each in seen]),
        cameras=cameras,
        depth=depth,
        depth_valid=depth > 0,
        depth_scale="metric",
        fps=24.0,
        source={"kind": "ray cast", "licence": "CC0-1.0"},
    )
    return clip.taking(mirrored(num_frames, CLIP_FRAMES))


def measure(what: str, folder: Path, num_frames: int, *, is_whole: bool) -> None:
    """Measure one size in this process, and print a line for each step."""
    steps = {"reading": reading, "given": given, "colmap": colmap}[what]
    with tempfile.TemporaryDirectory() as temporary:
        for name, step in steps(folder, Path(temporary), num_frames, is_whole).items():
            before = processor_seconds()
            result = step()
            seconds = processor_seconds() - before
            line = {
                "frames": num_frames,
                "step": name,
                "processor_seconds_a_frame": round(seconds / num_frames, 4),
                "peak_megabytes": round(peak_megabytes()),
            }
            print(json.dumps(line | (result or {})), flush=True)


Steps = dict[str, Callable[[], dict[str, Any] | None]]


def reading(folder: Path, _work: Path, num_frames: int, is_whole: bool) -> Steps:
    """Look for shots, then read and hash every window."""
    video = VideoParams.model_validate(video_source(folder, num_frames))
    source, found = VideoSource(video), []

    def windows() -> dict[str, Any]:
        parts = [
            part
            for shot in shot_parts(SCENE, found[0], parts_of("reading", is_whole))
            for part in shot
        ]
        for part in parts:
            content_of(source.read_part(Path(), part))
        return {"windows": len(parts)}

    return {
        "looking for shots": lambda: found.append(source.extent(may_cut=True)),
        "reading windows": windows,
    }


def given(folder: Path, work: Path, num_frames: int, is_whole: bool) -> Steps:
    """Annotate, generate and reconstruct the beginning of a clip with true poses and depth."""
    height, width = SIZES["given"]
    params = load_yaml(preset_file("demo"))
    generate = params["generate"] | {"num_frames": 17}
    generate["trajectories"] |= {"names": ["left"]}
    generate["frames"] |= {"stride": 3}
    made = GenerateParams.parse(generate, where="generate")
    reconstruct = {**params["reconstruct"], "method": "unproject", "moments": 1}
    reconstruct["video"] |= {"num_frames": 4}
    clip = (folder / f"{SCENE}{num_frames}").absolute()
    source = {"name": "clip", "folder": str(clip), "scene_id": SCENE}
    framed = {"name": "given", "height": height, "width": width, "framing": "centred", "fps": 24}

    def reconstructing() -> None:
        reconstruct_scenes(
            ReconstructParams.parse(reconstruct, where="reconstruct"),
            load_section(preset_file("demo"), "train", TrainParams),
            made,
            folders=Folders(
                work / "clips",
                work / "held_out",
                work / "views",
                work / "models",
                work / "scenes",
                work / "scratch",
            ),
            placement=Placement.asked_for("cpu", "none", work),
            seed=1,
            progress=silent,
        )

    def generating() -> None:
        generate_views(
            made,
            seed=1,
            clips=work / "clips",
            views=work / "views",
            scratch=work / "scratch",
            progress=silent,
            crew=Crew(device="cpu", root=work),
        )

    return {
        "annotate": lambda: annotate("given", source, framed, work, is_whole),
        "generate": generating,
        "reconstruct": reconstructing,
    }


def colmap(folder: Path, work: Path, num_frames: int, is_whole: bool) -> Steps:
    """Solve windows of the film."""
    height, width = SIZES["colmap"]
    annotator = load_yaml(preset_file("video"))["annotate"]["annotator"]
    annotator |= {"height": height, "width": width, "solve_height": height, "num_features": 800}

    def annotating() -> dict[str, Any]:
        facts = annotate("colmap", video_source(folder, num_frames), annotator, work, is_whole)
        return facts | errors_of(work / "clips", walk(num_frames, height, width).camera_to_world)

    return {"annotate": annotating}


def annotate(
    what: str, source: dict[str, Any], annotator: dict[str, Any], work: Path, is_whole: bool
) -> dict[str, Any]:
    params = load_yaml(preset_file("demo"))["annotate"]
    params |= {"sources": [source], "annotator": annotator}
    params |= {"parts": parts_of(what, is_whole).model_dump()}
    wall = time.perf_counter()
    annotation = annotate_sources(
        AnnotateParams.parse(params, where="annotate"),
        root=Path(),
        clips=work / "clips",
        held_out=work / "held_out",
        scratch=work / "scratch",
        progress=silent,
        crew=Crew(device="cpu", root=work),
    )
    known = [scene.depth_known_fraction for scene in annotation.scenes]
    return {
        "scenes": len(known),
        "depth_known": round(sum(known) / len(known), 3),
        "wall_seconds": round(time.perf_counter() - wall),
    }


def errors_of(clips: Path, true_poses: torch.Tensor) -> dict[str, Any]:
    """Return what is off once one similarity brings the first window's frames to the true ones, at
    the end of the walk, and how much neighbouring windows differ about shared frames."""
    poses: dict[int, torch.Tensor] = {}
    worlds, apart = set(), 0.0
    for folder in scene_folders(clips):
        clip = read_clip(folder)
        source = clip.source or {}
        worlds.add(source.get("world", f"that of scene {clip.scene_id}"))
        first = int(source["taken"].split()[2].rstrip(","))
        for index, pose in enumerate(clip.cameras.camera_to_world.double()):
            if first + index in poses:
                gap = (pose[:3, 3] - poses[first + index][:3, 3]).norm()
                apart = max(apart, float(gap))
            poses.setdefault(first + index, pose)
    solved = torch.stack([poses[frame] for frame in sorted(poses)])
    true = true_poses.double()[sorted(poses)]
    beginning = slice(0, min(len(solved), WINDOWS["colmap"][0]))
    scale, rotation, shift = similarity(solved[beginning, :3, 3], true[beginning, :3, 3])
    centres = scale * solved[:, :3, 3] @ rotation.T + shift
    path = (true[1:, :3, 3] - true[:-1, :3, 3]).norm(dim=1).sum()
    off = (centres - true[:, :3, 3]).norm(dim=1)
    return {
        "worlds": len(worlds),
        "off_at_the_end_share_of_path": round(float(off[-1] / path), 4),
        "largest_gap_of_shared_frames": round(scale * apart, 4),
        "path": round(float(path), 2),
    }


def similarity(
    points: torch.Tensor, targets: torch.Tensor
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Return the best similarity from points to targets [point 3] (Umeyama 1991)."""
    mean, target_mean = points.mean(0), targets.mean(0)
    spread, target_spread = points - mean, targets - target_mean
    left, values, right = torch.linalg.svd(target_spread.T @ spread)
    sign = torch.ones(3, dtype=points.dtype)
    sign[2] = torch.sign(torch.linalg.det(left @ right))
    rotation = left @ torch.diag(sign) @ right
    scale = float((values * sign).sum() / spread.square().sum())
    return scale, rotation, target_mean - scale * rotation @ mean


def video_source(folder: Path, num_frames: int) -> dict[str, Any]:
    taken = {"first": 0, "stride": 1, "max_frames": num_frames, "fps": None}
    return {"name": "video", "path": str(folder / "film.mp4"), "scene_id": SCENE, **taken}


def parts_of(what: str, is_whole: bool) -> PartParams:
    frames, overlap = WINDOWS[what]
    windows = None if is_whole else {"frames": frames, "overlap": overlap}
    values = {"shots": "split", "least_shot_frames": 2, "windows": windows}
    return PartParams.parse(values, where="annotate.parts")


def processor_seconds() -> float:
    """Return the seconds of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_megabytes() -> float:
    """Return the most memory that this process, or one that it has waited for, held at once."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) / 1024


if __name__ == "__main__":
    main()
