"""Camera paths for videos that people watch: they start and end gently, at the source camera.

They are not for training, whose paths are in lyra_data/generation/trajectories.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from lyra_data.camera_paths.rotations import look_at
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import suggestion
from lyra_data.scene.cameras import Cameras, invert_rigid

Offsets = Callable[[Tensor, float], Tensor]

RAMP = 0.25
"""Share of an orbit in which it leaves the source camera, and in which it comes back to it."""


@dataclass(frozen=True)
class BuiltInPath:
    """One kind of path for videos.

    Attributes:
        offsets: progress [frame] from 0 to 1 and the amplitude -> positions [frame 3] in units of
            centre depth, x right, y down, z forward; the camera faces (0, 0, 1) from each.
        unit: of the amplitude.
        limits: the smallest and the largest amplitude, both excluded.
        usual: amplitude where none is given.
    """

    offsets: Offsets
    unit: str
    limits: tuple[float, float]
    usual: float


def _gently(progress: Tensor) -> Tensor:
    """Return a course from 0 to 1 without speed or acceleration at its ends (Perlin 2002)."""
    p = progress.clamp(0.0, 1.0)
    return p**3 * (10 - 15 * p + 6 * p**2)


def _on_sphere(sideways: Tensor, downwards: Tensor) -> Tensor:
    """Return points at distance 1 from (0, 0, 1), turned from the origin by angles in radians."""
    x = torch.sin(sideways) * torch.cos(downwards)
    y = torch.sin(downwards)
    z = 1 - torch.cos(sideways) * torch.cos(downwards)
    return torch.stack([x, y, z], dim=-1)


def _orbit(progress: Tensor, amplitude: float) -> Tensor:
    """Return a spiral outwards, a circle, and a spiral back: two turns, half of them in full."""
    angle = math.radians(amplitude) * _gently(torch.minimum(progress, 1 - progress) / RAMP)
    turn = 4 * math.pi * progress
    return _on_sphere(angle * torch.cos(turn), angle * torch.sin(turn))


def _arc(progress: Tensor, amplitude: float) -> Tensor:
    """Return a swing to the right, to the left and back."""
    sideways = math.radians(amplitude) * torch.sin(2 * math.pi * _gently(progress))
    return _on_sphere(sideways, torch.zeros_like(sideways))


def _dolly(progress: Tensor, amplitude: float) -> Tensor:
    """Return a ride towards the centre and back; away from it where the amplitude is negative."""
    forward = amplitude * (1 - torch.cos(2 * math.pi * progress)) / 2
    return torch.stack([torch.zeros_like(forward), torch.zeros_like(forward), forward], dim=-1)


BUILT_IN_PATHS = {
    "orbit": BuiltInPath(_orbit, "degrees", (-80.0, 80.0), 5.0),
    "arc": BuiltInPath(_arc, "degrees", (-80.0, 80.0), 10.0),
    "dolly": BuiltInPath(_dolly, "of the centre depth", (-4.0, 1.0), 0.25),
}


def built_in_path(
    name: str,
    source: Cameras,
    *,
    centre_depth: float,
    num_frames: int,
    amplitude: float | None = None,
) -> Cameras:
    """Return the cameras of a built-in path around what the source camera sees.

    They have the source's lens; the first and the last are the source camera itself.

    Args:
        name: one of BUILT_IN_PATHS.
        source: one camera.
        centre_depth: z of the point that all of them face, in the unit of the source's pose.
        amplitude: largest angle seen from that point in degrees (orbit, arc), or largest way as a
            fraction of the centre depth (dolly; below 0: away); None: the path's usual one.

    Raises:
        InputError: the name is unknown, or the amplitude or the centre depth impossible.
    """
    if name not in BUILT_IN_PATHS:
        raise InputError(
            f"unknown camera path {name!r}",
            fix=f"{suggestion(name, list(BUILT_IN_PATHS))}, or a file",
        )
    path = BUILT_IN_PATHS[name]
    amplitude = path.usual if amplitude is None else amplitude
    low, high = path.limits
    if not (low < amplitude < high) or amplitude == 0:
        raise InputError(
            f"an amplitude of {amplitude:g} {path.unit} for {name!r}",
            fix=f"give one between {low:g} and {high:g}, and not 0",
        )
    require_centre_depth(centre_depth)
    assert len(source) == 1 and num_frames >= 1, (len(source), num_frames)
    progress = torch.arange(num_frames, dtype=torch.float64) / max(num_frames - 1, 1)
    positions = path.offsets(progress, amplitude) * centre_depth
    targets = torch.tensor([0.0, 0.0, centre_depth], dtype=torch.float64).expand(num_frames, 3)
    camera_to_source = invert_rigid(look_at(positions, targets))
    return cameras_from(source, camera_to_source)


def cameras_from(source: Cameras, camera_to_source: Float64[Tensor, "frame 4 4"]) -> Cameras:
    """Return cameras with the source's lens, given in the frame of one source camera."""
    return Cameras(
        camera_to_world=(source.camera_to_world[:1].double() @ camera_to_source).float(),
        intrinsics=source.intrinsics[:1].float().expand(len(camera_to_source), 4).contiguous(),
        height=source.height,
        width=source.width,
    )


def require_centre_depth(centre_depth: float) -> None:
    """Refuse a centre depth that is no positive number.

    Raises:
        InputError: it is none.
    """
    if not (math.isfinite(centre_depth) and centre_depth > 0):
        raise InputError(
            f"the scene's centre depth is {centre_depth!r}",
            fix="give depth with known, positive values",
        )
