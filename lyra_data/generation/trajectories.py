"""Camera trajectories: where the virtual camera goes around a picture or a video.

A trajectory is a path of offsets in the source camera's frame and a rule for where the camera
looks. Each path is one function decorated with `camera_path`; it returns unit offsets that
`create_trajectory` scales by movement_distance x centre_depth, so a distance of 0.3 moves the
camera by 30 % of the way to what it looks at.

The file is a little over 300 lines, so that adding a path means adding one function here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator
from torch import Tensor

from lyra_data.camera_paths.params import FilePathParams, KeyPosesParams, parse_path
from lyra_data.camera_paths.rotations import look_at
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.params import Params, suggestion
from lyra_data.engine.seeds import derive_seed, numpy_generator
from lyra_data.scene.cameras import Cameras, invert_rigid

Rotation = Literal["center_facing", "no_rotation", "trajectory_aligned"]

TARGET_SHIFT: dict[str, float] = {"center_facing": 0, "no_rotation": 1, "trajectory_aligned": 2}
"""Shift of the point looked at, in units of the camera's own offset."""


class SpiralParams(Params):
    """Shape of clockwise and counterclockwise, whose distance alone is drawn.

    Attributes:
        radius_x_factor: half the ellipse's width, in units of the drawn distance.
        radius_y_factor: half its height, in the same unit.
        num_circles: full turns; the path ends where it began.
    """

    radius_x_factor: float = Field(gt=0)
    radius_y_factor: float = Field(gt=0)
    num_circles: int = Field(ge=1)


def _path_entry(entry: Any) -> Any:
    """Return the params of a path of the user's own where an entry describes one."""
    if isinstance(entry, Mapping):
        return parse_path(entry, where="generate.trajectories.names")
    return entry


PathEntry = Annotated[
    SerializeAsAny[str | FilePathParams | KeyPosesParams], BeforeValidator(_path_entry)
]
"""The name of a built-in camera path, or one of the user's own."""


class TrajectoryParams(Params):
    """The trajectories of every scene.

    Attributes:
        names: camera paths, each at most once; their order is that of a scene's views. Names of
            those in lyra_data/generation/trajectories.py, and mappings for those of your own
            (docs/camera-paths.md).
        rotation: where the camera looks: at the scene's centre, straight on, or turned towards
            where it moves.
        total_movement_distance_factor: scales every drawn distance, which is in units of the
            scene's centre depth (2.0: more motion, more holes).
        spiral: shape of clockwise and counterclockwise.
        reference_cameras: bring back the cameras of the reference, errors included, to compare.
    """

    names: list[PathEntry] = Field(min_length=1)
    rotation: Rotation
    total_movement_distance_factor: float = Field(gt=0)
    spiral: SpiralParams
    reference_cameras: bool

    @field_validator("names")
    @classmethod
    def _names_are_known_and_unique(cls, names: list[PathEntry]) -> list[PathEntry]:
        for entry in names:
            if isinstance(entry, str):
                find_path(entry, where="params.yaml: generate.trajectories.names")
            elif entry.view_name in CAMERA_PATHS:
                raise ValueError(
                    f"a path of your own is named {entry.view_name!r}, as a built-in one is: give "
                    "it another label"
                )
        labels = [_view_name(entry) for entry in names]
        if len(set(labels)) != len(labels):
            raise ValueError("a trajectory is named twice")
        return names

    @property
    def view_names(self) -> list[str]:
        """Return the names that the views have, in order."""
        return [_view_name(entry) for entry in self.names]


def _view_name(entry: PathEntry) -> str:
    return entry if isinstance(entry, str) else entry.view_name


Offsets = Callable[[Tensor, SpiralParams], Tensor]


@dataclass(frozen=True)
class CameraPath:
    """One kind of path.

    Attributes:
        distance_range: movement_distance is drawn uniformly from it, in units of centre depth.
        offsets: progress [frame] from 0 to 1 -> unit offsets [frame 3], x right, y down, z forward.
    """

    name: str
    distance_range: tuple[float, float]
    offsets: Offsets
    is_spiral: bool


CAMERA_PATHS: dict[str, CameraPath] = {}

MULTI_VIEW_TRAJECTORIES = ("left", "right", "up", "zoom_out", "zoom_in", "clockwise")
"""The six of multi-view generation; the position is the reference's folder index, and 6 more than
it for the view made from the time-reversed video."""


def camera_path(
    low: float, high: float, *, is_spiral: bool = False
) -> Callable[[Offsets], Offsets]:
    """Register a function as the camera path of its own name."""

    def register(function: Offsets) -> Offsets:
        name = function.__name__
        CAMERA_PATHS[name] = CameraPath(name, (low, high), function, is_spiral)
        return function

    return register


@camera_path(0.2, 0.3)
def left(progress: Tensor, _spiral: SpiralParams) -> Tensor:
    return _along(progress, (-1.0, 0.0, 0.0))


@camera_path(0.2, 0.3)
def right(progress: Tensor, _spiral: SpiralParams) -> Tensor:
    return _along(progress, (1.0, 0.0, 0.0))


@camera_path(0.1, 0.2)
def up(progress: Tensor, _spiral: SpiralParams) -> Tensor:
    return _along(progress, (0.0, -1.0, 0.0))


@camera_path(0.1, 0.2)
def down(progress: Tensor, _spiral: SpiralParams) -> Tensor:
    return _along(progress, (0.0, 1.0, 0.0))


@camera_path(0.3, 0.4)
def zoom_in(progress: Tensor, _spiral: SpiralParams) -> Tensor:
    return _along(progress, (0.0, 0.0, 1.0))


@camera_path(0.3, 0.4)
def zoom_out(progress: Tensor, _spiral: SpiralParams) -> Tensor:
    return _along(progress, (0.0, 0.0, -1.0))


@camera_path(0.4, 0.6, is_spiral=True)
def clockwise(progress: Tensor, spiral: SpiralParams) -> Tensor:
    return _ellipse(progress, spiral, side=1.0)


@camera_path(0.4, 0.6, is_spiral=True)
def counterclockwise(progress: Tensor, spiral: SpiralParams) -> Tensor:
    return _ellipse(progress, spiral, side=-1.0)


def _along(progress: Tensor, direction: tuple[float, float, float]) -> Tensor:
    return progress[:, None] * progress.new_tensor(direction)


def _ellipse(progress: Tensor, spiral: SpiralParams, *, side: float) -> Tensor:
    """Return circles in the image plane that start and end at the source camera."""
    angle = 2 * math.pi * spiral.num_circles * progress
    x = side * spiral.radius_x_factor * (torch.cos(angle) - 1)
    y = spiral.radius_y_factor * torch.sin(angle)
    return torch.stack([x, y, torch.zeros_like(x)], dim=-1)


def create_trajectory(
    name: str,
    source: Cameras,
    *,
    num_frames: int,
    movement_distance: float,
    centre_depth: float,
    rotation: Rotation,
    spiral: SpiralParams,
    reference_cameras: bool,
) -> Cameras:
    """Return the cameras of one trajectory; the first is the source camera itself.

    Linear paths reach movement_distance x centre_depth at the last frame; with one frame the
    camera stays where it is.

    Args:
        source: one camera for an image, or one per frame for a video: the path is then added to
            the video's own motion.
        movement_distance: in units of `centre_depth`.
        centre_depth: z of the point looked at, in the units of the source's poses.
        reference_cameras: as the reference's camera_utils.py: the translation is not rotated (the
            look-at point drifts off axis by up to 0.76 degrees at 0.3) and linear paths stop one
            frame short of the full distance.

    Raises:
        ParamsError: the name is unknown, or the camera would reach or pass the point it looks at.
        InputError: centre_depth is not a positive number.
    """
    path = find_path(name, where="generate.trajectories")
    assert num_frames >= 1, num_frames
    assert len(source) in (1, num_frames), f"{len(source)} source cameras, {num_frames} frames"
    if not (math.isfinite(centre_depth) and centre_depth > 0):
        raise InputError(
            f"the scene's centre depth is {centre_depth!r}",
            fix="give depth with known, positive values",
        )

    num_steps = num_frames if reference_cameras and not path.is_spiral else num_frames - 1
    progress = torch.arange(num_frames, dtype=torch.float64) / max(num_steps, 1)
    positions = path.offsets(progress, spiral) * (movement_distance * centre_depth)
    targets = TARGET_SHIFT[rotation] * positions
    targets[:, 2] += centre_depth
    if bool(((targets - positions)[:, 2] <= 0).any()):
        raise ParamsError(
            f"with a distance of {movement_distance:g} the camera of {name!r} ({rotation}) "
            "would reach the point it looks at",
            where="generate.trajectories",
            fix="lower total_movement_distance_factor, so that distances stay below 1",
        )

    # Positions are in the source camera's frame, so paths follow its axes wherever it looks, and a
    # video's own motion carries them along.
    source_to_camera = look_at(positions, targets, reference_translation=reference_cameras)
    camera_to_world = source.camera_to_world.double() @ invert_rigid(source_to_camera)
    return Cameras(
        camera_to_world=camera_to_world.float(),
        intrinsics=source.intrinsics.float().expand(num_frames, 4).contiguous(),
        height=source.height,
        width=source.width,
    )


@dataclass(frozen=True)
class MovementDraw:
    """A drawn movement distance (in units of centre depth) and the derived seed it came from."""

    distance: float
    seed: int


def draw_movement_distance(
    seed: int,
    scene_id: str,
    name: str,
    *,
    total_movement_distance_factor: float,
    motion_reversed: bool = False,
) -> MovementDraw:
    """Draw one trajectory's distance: uniform in its range, times the factor.

    Every (seed, scene, trajectory, reversed or not) has its own generator, so neither the order
    nor the choice of the other trajectories changes a distance.
    """
    path = find_path(name, where="generate.trajectories")
    purpose = f"trajectory/{name}" + ("/reversed" if motion_reversed else "")
    distance = float(numpy_generator(seed, scene_id, purpose).uniform(*path.distance_range))
    return MovementDraw(
        distance=distance * total_movement_distance_factor,
        seed=derive_seed(seed, scene_id, purpose),
    )


def median_centre_depth(
    depth: Float[Tensor, "height width"], depth_valid: Bool[Tensor, "height width"]
) -> float:
    """Return the centre depth of a scene whose depth has a scale of its own: the median of what is
    known.

    Raises:
        InputError: no depth is known.
    """
    if not bool(depth_valid.any()):
        raise InputError("no depth is known", fix="give depth with at least one known pixel")
    return float(depth[depth_valid].median())


def find_path(name: str, *, where: str) -> CameraPath:
    """Return the camera path of a name.

    Raises:
        ParamsError: the name is unknown; the known ones are listed.
    """
    if name not in CAMERA_PATHS:
        raise ParamsError(
            f"unknown trajectory {name!r}", where=where, fix=suggestion(name, list(CAMERA_PATHS))
        )
    return CAMERA_PATHS[name]
