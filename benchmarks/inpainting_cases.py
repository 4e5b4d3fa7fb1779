"""The pictures with holes that benchmarks.inpainting fills: see there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from lyra_data.annotation.annotators.given import GivenAnnotator
from lyra_data.cache3d import Cache3D
from lyra_data.cache3d.cache import Cache3DParams
from lyra_data.clips.store import read_clip, scene_folders
from lyra_data.engine.placement import Placement
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.teachers.base import TeacherInput
from lyra_data.generation.teachers.warp import WarpTeacher, WarpTeacherParams, fill_from
from lyra_data.generation.view_making import ViewMaker
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.pixel_values import bytes_from_signed, signed_from_bytes
from lyra_data.sources.motorcycle import MotorcycleSource
from tests.dataset_scenes import exact_view, straight
from tests.ray_cast import BACKGROUND, Scene, Sphere

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())
TEACHER = WarpTeacherParams(name="warp", inpainting="telea", radius_pixels=3)
STEP = 12  # frames between a video's picture and what it is warped from
WAYS = {"left": (-0.7, 0.0, 0.0), "right": (0.7, 0.0, 0.0), "up": (0.0, -0.4, 0.0)}


@dataclass(frozen=True)
class Case:
    """A true picture with holes.

    Attributes:
        picture: RGB, 0..255 [height width 3].
        holes: True where the teacher knows nothing.
        depth: z depth of what the cache shows, 0 where it shows nothing.
        elsewhere: what other moments show, and where they do; None: there are no others.
    """

    name: str
    picture: np.ndarray
    holes: np.ndarray
    depth: np.ndarray
    elsewhere: tuple[np.ndarray, np.ndarray] | None = None


class Holes(WarpTeacher):
    """Keeps the holes that are left for inpainting."""

    def _inpaint(self, frames: Tensor, holes: Tensor) -> Tensor:
        self.left = holes.clone()
        return bytes_from_signed(frames, overwrite=True)


def cases(video: Path | None) -> Iterator[tuple[str, list[Case]]]:
    for size in ((128, 192), (256, 384)):
        yield f"Motorcycle, {size[1]}x{size[0]}", [motorcycle(*size)]
    yield "Paths, 192x128", paths()
    yield "Ball, 128x96", balls()
    if video is not None:
        yield "Video", list(video_frames(video))


def motorcycle(height: int, width: int) -> Case:
    clip, annotator, material = _photo(height, width)
    (right,) = annotator.frame_held_out(material)
    return _cases_of(clip, _from_start(clip, right.camera), ["motorcycle"], right.frame[None])[0]


def paths() -> list[Case]:
    clip, _, _ = _photo(128, 192)
    params = GenerateParams.parse(PARAMS["generate"], where="generate")
    maker = ViewMaker(params, Placement("cpu"))
    made = []
    for job in plan_jobs(clip, params.trajectories, seed=PARAMS["seed"]):
        cameras, _ = maker._trajectory(clip, clip, job)
        last = _from_start(clip, cameras[[-1]])
        made += _cases_of(clip, last, [f"path {job.trajectory}"], clip.frames)
    return made


def balls() -> list[Case]:
    """Return the tests' ball before its walls, from the left, the right and above."""
    view = exact_view()
    clip = Clip(
        scene_id="ball",
        frames=view.frames[:1],
        cameras=view.cameras[[0]],
        depth=view.depth[:1],
        depth_valid=view.depth_valid[:1],
        depth_scale="metric",
        fps=24.0,
    )
    ball = Sphere((-0.6, 0.1, 2.4), 0.45, texture=ord("a") + 9, velocity=(0.13, -0.03, 0.02))
    walls = [type(one)(one.normal, one.offset, ord("a") + n) for n, one in enumerate(BACKGROUND)]
    made = []
    for name, way in WAYS.items():
        camera = straight(way)[[-1]]
        truth = Scene((*walls, ball)).seen(camera, [0.0]).frames
        made += _cases_of(clip, _from_start(clip, camera), [f"ball {name}"], truth)
    return made


def video_frames(project: Path) -> Iterator[Case]:
    (folder,) = scene_folders(project / "outputs" / "clips")
    clip = read_clip(folder)
    params = yaml.safe_load((project / "params.yaml").read_text())["generate"]["cache"]
    cache = Cache3DParams.parse(params, where="cache")
    for frame in range(STEP, len(clip), STEP):
        before = clip.taking([frame - STEP])
        camera = clip.cameras[[frame]]
        (case,) = _cases_of(
            before, _from_start(before, camera), [f"video {frame}"], clip.frames[[frame]], cache
        )
        others = [one for one in range(0, len(clip), 4) if abs(one - frame) >= STEP]
        nearest_first = sorted(others, key=lambda one: abs(one - frame))
        frames = signed_from_bytes(clip.frames[[frame]])
        known = torch.from_numpy(~case.holes)[None].clone()
        for other in nearest_first:
            fill_from(Cache3D.from_clip(clip.taking([other]), cache).render(camera), frames, known)
        shown = _pixels(bytes_from_signed(frames[0]))
        there = known[0].numpy()
        yield Case(case.name, case.picture, case.holes, case.depth, (shown, there))


def _photo(height: int, width: int):
    settings = {**PARAMS["annotate"]["annotator"], "height": height, "width": width}
    annotator = GivenAnnotator(GivenAnnotator.Params.parse(settings, where="benchmark"))
    material = MotorcycleSource(MotorcycleSource.Params(name="motorcycle")).read()
    return annotator.annotate(material), annotator, material


def _from_start(clip: Clip, camera: Cameras) -> Cameras:
    """Return the source's camera and another one: a path, as teachers take it."""
    return Cameras.concatenate([clip.cameras[[0]], camera])


def _cases_of(
    clip: Clip,
    path: Cameras,
    names: list[str],
    truths: Tensor,
    cache: Cache3DParams | None = None,
) -> list[Case]:
    """Return pictures with the holes that the teacher has at the cameras after the first."""
    cache = cache or Cache3DParams.parse(PARAMS["generate"]["cache"], where="cache")
    shown = Cache3D.from_clip(clip, cache).render(path)
    teacher = Holes(TEACHER)
    teacher.generate(
        TeacherInput(
            image=signed_from_bytes(clip.frames[0]),
            warped=shown.frames,
            known=shown.known,
            depth=shown.depth,
            cameras=path,
            fps=clip.fps,
            prompt="",
            seed=0,
        )
    )
    depth = shown.merged().depth[1:, 0].numpy()
    return [
        Case(name, _pixels(truth), holes.numpy(), seen)
        for name, truth, holes, seen in zip(names, truths, teacher.left[1:], depth, strict=True)
    ]


def _pixels(frame: Tensor) -> np.ndarray:
    return frame.permute(1, 2, 0).contiguous().numpy()
