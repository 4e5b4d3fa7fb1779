"""A trajectory as two small plots: the camera path from above and from the side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from markupsafe import Markup, escape
from torch import Tensor

from lyra_data.scene.cameras import Cameras

SIZE = 120  # of one plot, in SVG units
_MARGIN = 8
_WEDGE = 0.4  # length of a drawn viewing direction, of the greatest distance from the middle


@dataclass(frozen=True)
class PathScale:
    """One scale for every path of a page.

    Attributes:
        centre: middle of all paths (x right, y down, z forward of the source camera).
        reach: half the side of the drawn square, in scene units.
    """

    centre: tuple[float, float, float]
    reach: float


def paths_from_source(paths: list[Cameras], source: Cameras) -> list[Cameras]:
    """Return the same cameras in the source camera's own axes."""
    origin = source.camera_to_world[0].double()
    return [path.to(torch.float64).relative_to(origin) for path in paths]


def common_scale(paths: list[Cameras]) -> PathScale:
    """Return the scale that fits every path, whichever way it goes."""
    if not paths:
        return PathScale((0.0, 0.0, 0.0), 1.0)
    centres = torch.cat([path.centres for path in paths])
    low, high = centres.min(dim=0).values, centres.max(dim=0).values
    x, y, z = ((low + high) / 2).tolist()
    furthest = max(float((high - low).max()) / 2, 1e-6)
    return PathScale((x, y, z), (1 + _WEDGE) * furthest)


def scale_bar_length(scale: PathScale) -> float:
    """Return a round length (1, 2 or 5 times a power of ten) of about a third of the plot."""
    rough = 2 * scale.reach / 3
    power = 10.0 ** math.floor(math.log10(rough))
    return max(f * power for f in (1, 2, 5) if f * power <= rough)


def draw_path(path: Cameras, held_out: tuple[int, ...], scale: PathScale, unit: str) -> Markup:
    """Draw a path in the source camera's axes, held-out cameras as dots.

    It is seen from above (forward is up) and from the right side (forward is right).
    """
    above = _plot(path, held_out, scale, horizontal=0, vertical=2, upwards=1.0)
    side = _plot(path, held_out, scale, horizontal=2, vertical=1, upwards=-1.0)
    length = scale_bar_length(scale)
    bar = length * (SIZE / 2 - _MARGIN) / scale.reach
    label = f"camera path of {len(path)} frames, from above and from the side"
    return Markup(
        f'<svg class="path" viewBox="0 0 {2 * SIZE + 8} {SIZE + 16}" role="img" '
        f'aria-label="{escape(label)}">'
        f'{above}<g transform="translate({SIZE + 8} 0)">{side}</g>'
        f'<text x="2" y="{SIZE + 12}">from above</text>'
        f'<text x="{SIZE + 10}" y="{SIZE + 12}">from the side</text>'
        f'<line class="bar" x1="{2 * SIZE - bar:.1f}" x2="{2 * SIZE}" y1="{SIZE - 8}" '
        f'y2="{SIZE - 8}"/><text x="{2 * SIZE - bar / 2:.1f}" y="{SIZE - 12}" '
        f'text-anchor="middle">{length:g}&#8239;{escape(unit)}</text></svg>'
    )


def _plot(
    path: Cameras,
    held_out: tuple[int, ...],
    scale: PathScale,
    *,
    horizontal: int,
    vertical: int,
    upwards: float,
) -> str:
    """Draw one orthographic plot; `upwards` is +1 where the vertical axis rises on the paper."""

    def at(point: Float[Tensor, 3]) -> tuple[float, float]:
        fit = (SIZE / 2 - _MARGIN) / scale.reach
        right = (float(point[horizontal]) - scale.centre[horizontal]) * fit
        up = (float(point[vertical]) - scale.centre[vertical]) * fit * upwards
        return SIZE / 2 + right, SIZE / 2 - up

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, path.centres))
    parts = [f'<rect class="frame" width="{SIZE}" height="{SIZE}" rx="4"/>']
    parts += [_wedge(path, index, at, scale) for index in (0, len(path) - 1)]
    parts.append(f'<polyline class="track" points="{line}"/>')
    for index in held_out:
        x, y = at(path.centres[index])
        parts.append(f'<circle class="held-out" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>')
    x, y = at(path.centres[0])
    parts.append(f'<circle class="start" cx="{x:.1f}" cy="{y:.1f}" r="3.4"/>')
    return "".join(parts)


def _wedge(path: Cameras, index: int, at, scale: PathScale) -> str:
    """Draw a camera's field of view: a triangle from its centre through the picture's edges."""
    fx, fy, cx, cy = path.intrinsics[index].tolist()
    depth = _WEDGE / (1 + _WEDGE) * scale.reach
    corners = [
        [(u - cx) / fx, (v - cy) / fy, 1.0]
        for u, v in ((0, 0), (path.width, 0), (path.width, path.height), (0, path.height))
    ]
    rays = path.intrinsics.new_tensor(corners) * depth
    pose = path.camera_to_world[index]
    ends = [at(end) for end in rays @ pose[:3, :3].T + pose[:3, 3]]
    x, y = at(path.centres[index])
    lines = "".join(f"M{x:.1f} {y:.1f}L{ex:.1f} {ey:.1f}" for ex, ey in ends)
    outline = "M" + "L".join(f"{ex:.1f} {ey:.1f}" for ex, ey in ends) + "Z"
    return f'<path class="wedge" d="{lines}{outline}"/>'
