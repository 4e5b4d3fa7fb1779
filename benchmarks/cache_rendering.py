"""Claim: by default, the 3D cache is rendered at least three times as fast as by plain torch.

    python -m benchmarks.cache_rendering [--rounds 7] [--threads 1 2] [--frames 17]

One picture of 352x640 with depth, seen from 17 cameras; torch is the reference's formulas in plain
float32 torch (reference_cache.py), once splatting colours and depth one after the other as the
reference does (index_put) and once as fast as was found possible (index_add). Ours: `reference`
gives the same pictures; `nearest_surface`, the default, is ordered by depth instead of blended.
All take turns in one process, with the same number of threads. Times are medians; a ratio is the
median of the rounds' ratios, and in brackets the smallest of them. `masked`: with foreground
masking, on the scene whose depth is known everywhere (unknown depth lies at the world's origin in
the reference, and its meshes then fill the picture).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.reference_cache import Rendered, Scatter, render_static
from lyra_data.annotation.annotators.given import GivenAnnotator, GivenAnnotatorParams
from lyra_data.cache3d import Cache3D, Cache3DParams
from lyra_data.generation.trajectories import SpiralParams, create_trajectory, median_centre_depth
from lyra_data.scene.cameras import Cameras
from lyra_data.sources.motorcycle import MotorcycleParams, MotorcycleSource

HEIGHT, WIDTH = 352, 640
TARGET_RATIO = 3.0
FILTER = 0.05
"""Of the foreground masking: GEN3C's."""

COLOUR_TOLERANCE, DEPTH_TOLERANCE = 1e-3, 1e-4
"""Within which results count as equal: of colours in [-1, 1], and of depth relative to itself."""

Seconds = dict[str, list[float]]
Way = Callable[[], object]


@dataclass(frozen=True)
class Scene:
    """A picture [-1, 1] with depth, and the cameras it is to be seen from."""

    name: str
    image: Float[Tensor, "3 height width"]
    depth: Float[Tensor, "height width"]
    valid: Bool[Tensor, "height width"]
    camera: Cameras

    def cache(self, splatting: str, *, masking: bool) -> Cache3D:
        params = Cache3DParams.model_validate(
            {
                "filter_threshold": FILTER if masking else 1.0,
                "foreground_masking": masking,
                "splatting": splatting,
                "pixel_centre": 0.0,  # as in reference_cache.py
                "max_buffers": 1,
            }
        )
        return Cache3D.build(
            self.image[None], self.depth[None], self.valid[None], self.camera, params
        )

    def path(self, name: str, num_frames: int) -> Cameras:
        return create_trajectory(
            name,
            self.camera,
            num_frames=num_frames,
            movement_distance=0.25,
            centre_depth=median_centre_depth(self.depth, self.valid),
            rotation="center_facing",
            spiral=SpiralParams(radius_x_factor=0.15, radius_y_factor=0.10, num_circles=2),
            reference_cameras=False,
        )

    def ours(self, splatting: str, cameras: Cameras, *, masking: bool = False) -> Callable:
        cache = self.cache(splatting, masking=masking)
        return lambda: cache.render(cameras)

    def torch(
        self, scatter: Scatter, cameras: Cameras, *, masking: bool = False
    ) -> Callable[[], Rendered]:
        entry = self.cache("reference", masking=masking).entries[0]
        shown, boundary = (entry.visible & self.valid)[0], entry.boundary[0] if masking else None

        def render() -> Rendered:
            return render_static(
                self.image,
                self.depth,
                shown,
                self.camera,
                cameras,
                scatter=scatter,
                boundary=boundary,
            )

        return render


def box_scene() -> Scene:
    """A box before a wavy wall; depth is known everywhere."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, HEIGHT), torch.linspace(-1, 1, WIDTH), indexing="ij"
    )
    wall = 4.0 + 0.6 * x + 0.4 * y + 0.3 * torch.sin(5 * x) * torch.cos(4 * y)
    depth = torch.where((x.abs() < 0.3) & (y.abs() < 0.4), 2.0 + 0.2 * y, wall)
    waves = [torch.sin(20 * x + phase) * torch.cos(15 * y - phase) for phase in (0.0, 1.0, 2.0)]
    intrinsics = torch.tensor([[560.0, 560.0, WIDTH / 2, HEIGHT / 2]])
    camera = Cameras(torch.eye(4)[None], intrinsics, HEIGHT, WIDTH)
    return Scene("box", 0.8 * torch.stack(waves), depth, torch.ones_like(depth).bool(), camera)


def photo_scene() -> Scene:
    """The Motorcycle photo with its measured depth, a tenth of which is unknown."""
    annotator = GivenAnnotator(
        GivenAnnotatorParams(name="given", height=HEIGHT, width=WIDTH, framing="centred", fps=24)
    )
    clip = annotator.annotate(MotorcycleSource(MotorcycleParams(name="motorcycle")).read())
    image = clip.frames[0].float() / 127.5 - 1.0
    return Scene("photo", image, clip.depth[0], clip.depth_valid[0], clip.cameras)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--frames", type=int, default=17)
    arguments = parser.parse_args()
    box, photo = box_scene(), photo_scene()
    moves = [(box, "left"), (box, "zoom_in"), (photo, "left"), (photo, "clockwise")]

    print("Do they agree? Share of pixels known to both or to neither; of those known")
    print(f"to both, with colours within {COLOUR_TOLERANCE:g} and depth within")
    print(f"{DEPTH_TOLERANCE:g} of itself, and the median and 99th percentile of both.")
    print(f"{'':28s}{'known':>8s}{'equal':>8s}{'colour':>18s}{'depth':>18s}")
    for scene, move in moves:
        cameras = scene.path(move, arguments.frames)
        for masking in (False, True) if scene is box else (False,):
            for splatting in ("reference", "nearest_surface"):
                name = f"{scene.name} {move} {splatting.split('_')[0]}" + " fm" * masking
                print(f"{name:28s}{compare(scene, splatting, cameras, masking=masking)}")

    for num_threads in arguments.threads:
        torch.set_num_threads(num_threads)
        threads = "1 thread" if num_threads == 1 else f"{num_threads} threads"
        print(f"\n{arguments.frames} frames, {threads}: ms, and times faster than torch (least)")
        print(f"{'':20s}{'index_put':>10s}{'index_add':>10s}{'reference':>20s}{'nearest':>20s}")
        for scene, move in moves:
            cameras = scene.path(move, arguments.frames)
            print_speed(f"{scene.name} {move}", ways(scene, cameras), arguments.rounds)
        masked = ways(box, box.path("left", arguments.frames), masking=True)
        print_speed("box left, masked", masked, arguments.rounds)
        print("\n  milliseconds per frame, box left, of so many frames")
        print_per_frame(box, arguments.rounds)


def ways(scene: Scene, cameras: Cameras, *, masking: bool = False) -> dict[str, Way]:
    return {
        "index_put": scene.torch("index_put", cameras, masking=masking),
        "index_add": scene.torch("index_add", cameras, masking=masking),
        "reference": scene.ours("reference", cameras, masking=masking),
        "nearest": scene.ours("nearest_surface", cameras, masking=masking),
    }


def take_turns(ways: dict[str, Way], rounds: int) -> Seconds:
    """Seconds of each way in each round, after one round to warm up."""
    seconds: Seconds = {name: [] for name in ways}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_speed(title: str, chosen: dict[str, Way], rounds: int) -> None:
    seconds = take_turns(chosen, rounds)
    line = f"{title:20s}"
    for name in ("index_put", "index_add"):
        line += f"{1e3 * statistics.median(seconds[name]):10.0f}"
    print(line + "".join(f"{1e3 * statistics.median(seconds[name]):20.0f}" for name in OURS))
    for baseline in ("index_put", "index_add"):
        cells = []
        for name in OURS:
            ratios = [
                theirs / ours for theirs, ours in zip(seconds[baseline], seconds[name], strict=True)
            ]
            missed = " " if statistics.median(ratios) >= TARGET_RATIO else "!"
            cells.append(f"x{statistics.median(ratios):.1f} ({min(ratios):.1f}){missed}")
        print(f"{f'  against {baseline}':40s}" + "".join(f"{cell:>20s}" for cell in cells))


OURS = ("reference", "nearest")


def print_per_frame(scene: Scene, rounds: int) -> None:
    counts = (9, 17, 33, 65)
    print(f"{'':20s}" + "".join(f"{count:>10d}" for count in counts))
    per_count = []
    for count in counts:
        chosen = ways(scene, scene.path("left", count))
        del chosen["index_put"]
        seconds = take_turns(chosen, max(3, rounds // 2))
        per_count.append({name: 1e3 * min(times) / count for name, times in seconds.items()})
    for name in per_count[0]:
        print(f"  {name:18s}" + "".join(f"{each[name]:10.2f}" for each in per_count))


def compare(scene: Scene, splatting: str, cameras: Cameras, *, masking: bool) -> str:
    render = scene.ours(splatting, cameras, masking=masking)()
    frames, known, depth = scene.torch("index_add", cameras, masking=masking)()
    both = render.known[:, 0] & known
    colour = (render.frames[:, 0] - frames).abs().amax(dim=1)[both]
    relative = (render.depth[:, 0] / depth - 1).abs()[both]
    equal = (colour <= COLOUR_TOLERANCE) & (relative <= DEPTH_TOLERANCE)
    same = (render.known[:, 0] == known).float().mean()
    cells = [f"{middle_and_far(values):>18s}" for values in (colour, relative)]
    return f"{100 * same:7.2f}%{100 * equal.float().mean():7.2f}%" + "".join(cells)


def middle_and_far(values: Tensor) -> str:
    values = values.sort().values
    return f"{values[len(values) // 2]:.0e} {values[int(0.99 * len(values))]:.0e}"


if __name__ == "__main__":
    main()
