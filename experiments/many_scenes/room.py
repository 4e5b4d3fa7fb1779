"""A procedural scene: a room of textured walls with boxes and spheres, drawn from a seed.

Axes are OpenCV's (x right, y down, z forward), lengths metres; the camera of the source picture is
the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from experiments.many_scenes.photos import SEEN, UNSEEN, look_up, photo

EPSILON = 1e-9


@dataclass(frozen=True)
class Paint:
    """What a surface looks like.

    Attributes:
        photo: name of the picture on it.
        metres: that the picture's width covers.
        offset: of the picture, in its widths.
        tint: the picture's channels are multiplied by it.
    """

    photo: str
    metres: float
    offset: Float[np.ndarray, " place"]
    tint: Float[np.ndarray, " xyz"]

    def colours(self, places: Float[np.ndarray, "ray 2"]) -> Float[np.ndarray, "ray 3"]:
        """At places on the surface, in metres."""
        return look_up(photo(self.photo), places / self.metres + self.offset) * self.tint


@dataclass(frozen=True)
class Box:
    """An upright box, or a whole room seen from inside.

    Attributes:
        centre, half_size: metres.
        turn: radians about the vertical axis.
        paints: one for each pair of opposite faces.
    """

    centre: Float[np.ndarray, " xyz"]
    half_size: Float[np.ndarray, " xyz"]
    turn: float
    paints: tuple[Paint, Paint, Paint]
    from_inside: bool = False

    def distances(self, origin: np.ndarray, rays: np.ndarray) -> Float[np.ndarray, " ray"]:
        """Along every ray to the face that is seen; infinite where it misses."""
        start, along = self._own(origin - self.centre), self._own(rays)
        along = np.where(np.abs(along) < EPSILON, EPSILON, along)
        one, other = (-self.half_size - start) / along, (self.half_size - start) / along
        enters, leaves = np.minimum(one, other).max(axis=1), np.maximum(one, other).min(axis=1)
        if self.from_inside:
            return leaves
        return np.where((enters < leaves) & (enters > EPSILON), enters, np.inf)

    def colours(self, points: np.ndarray) -> Float[np.ndarray, "ray 3"]:
        """Of points on its faces, with the faces' shades."""
        own = self._own(points - self.centre)
        face = np.argmin(np.abs(np.abs(own) - self.half_size), axis=1)
        colours = np.empty((len(points), 3))
        for axis, across in enumerate(((2, 1), (0, 2), (0, 1))):
            on_it = face == axis
            side = np.sign(own[on_it, axis])
            shade = 0.85 + 0.15 * side * (1, -1, -1)[axis]
            colours[on_it] = self.paints[axis].colours(own[on_it][:, across]) * shade[:, None]
        return colours

    def _own(self, vectors: np.ndarray) -> np.ndarray:
        """In the box's own axes."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
        return np.stack([cosine * x - sine * z, y, sine * x + cosine * z], axis=-1)


@dataclass(frozen=True)
class Sphere:
    """A ball with a picture around it."""

    centre: Float[np.ndarray, " xyz"]
    radius: float
    paint: Paint

    def distances(self, origin: np.ndarray, rays: np.ndarray) -> Float[np.ndarray, " ray"]:
        """Along every ray to the near side; infinite where it misses."""
        start = origin - self.centre
        squared = (rays**2).sum(axis=1)
        half = rays @ start
        root = half**2 - squared * (start @ start - self.radius**2)
        nearest = (-half - np.sqrt(np.maximum(root, 0.0))) / squared
        return np.where((root > 0) & (nearest > EPSILON), nearest, np.inf)

    def colours(self, points: np.ndarray) -> Float[np.ndarray, "ray 3"]:
        """Of points on it, darker below."""
        normals = (points - self.centre) / self.radius
        around = np.arctan2(normals[:, 0], -normals[:, 2]) * self.radius
        down = np.arcsin(np.clip(normals[:, 1], -1, 1)) * self.radius
        shade = 0.85 - 0.15 * normals[:, 1:2]
        return self.paint.colours(np.stack([around, down], axis=1)) * shade


@dataclass(frozen=True)
class Room:
    """A scene."""

    things: tuple[Box | Sphere, ...]


def room(seed: int, *, unseen_photos: bool = False) -> Room:
    """The room of a seed: walls around the camera and three to six things on its floor.

    Args:
        unseen_photos: its surfaces show photos that no scene for training has.
    """
    draw = np.random.default_rng((1, seed))
    photos = UNSEEN if unseen_photos else SEEN
    half_width, far = draw.uniform(1.6, 3.0), draw.uniform(3.5, 7.0)
    floor, ceiling = draw.uniform(0.8, 1.5), -draw.uniform(1.0, 1.8)
    behind = 3.0
    walls = Box(
        np.array([0.0, (floor + ceiling) / 2, (far - behind) / 2]),
        np.array([half_width, (floor - ceiling) / 2, (far + behind) / 2]),
        0.0,
        (_paint(draw, photos), _paint(draw, photos), _paint(draw, photos)),
        from_inside=True,
    )
    things: list[Box | Sphere] = [walls]
    for _ in range(draw.integers(3, 7)):
        z = draw.uniform(1.8, 0.85 * far)
        x = draw.uniform(-1.0, 1.0) * min(0.7 * half_width, 0.5 * z)
        size = draw.uniform(0.15, 0.5)
        if draw.random() < 0.4:
            things.append(Sphere(np.array([x, floor - size, z]), size, _paint(draw, photos)))
        else:
            half = np.array([size, draw.uniform(0.2, 0.8), size * draw.uniform(0.6, 1.4)])
            paints = (_paint(draw, photos), _paint(draw, photos), _paint(draw, photos))
            centre = np.array([x, floor - half[1], z])
            things.append(Box(centre, half, draw.uniform(0, np.pi), paints))
    return Room(tuple(things))


def _paint(draw: np.random.Generator, photos: Sequence[str]) -> Paint:
    return Paint(
        photo=photos[int(draw.integers(len(photos)))],
        metres=draw.uniform(0.8, 2.5),
        offset=draw.uniform(0, 2, size=2),
        tint=draw.uniform(0.6, 1.0, size=3),
    )
