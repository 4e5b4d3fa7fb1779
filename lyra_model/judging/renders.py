"""Renders of a method on disk: pictures of the targets of every scene, or its Gaussians.

RENDERS/SCENE/color/000084.png as pixelSplat and its followers write them, RENDERS/SCENE/000084.png,
or the frame's own name in place of its number; .npy for pictures that are no 8-bit files.
RENDERS/SCENE.ply or RENDERS/SCENE/NAME.ply for Gaussians. A single scene needs no folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_arrays import read_array
from lyra_data.media.images import read_photo, readable
from lyra_data.scene.pixel_values import unit_from_bytes

LOSSY = (".jpg", ".jpeg", ".webp")
JPEG_START = b"\xff\xd8"
SUFFIXES = (".png", ".npy")
COLOUR_FOLDER = "color"
BRIGHTEST = 2.0
"""A value beyond is no colour of a picture in [0, 1] that overshoots: it is of 0..255."""


@dataclass(frozen=True)
class SceneRenders:
    """The renders of one scene.

    Attributes:
        pictures: by the target's name; empty where there are Gaussians.
        gaussians: the PLY to render; None where there are pictures.
        missing: targets without a picture.
    """

    pictures: Mapping[str, Path]
    gaussians: Path | None
    missing: tuple[str, ...]


class RenderFolder:
    """The renders of all scenes. Constructing it reads nothing."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise InputError(
                "there is no such file or folder",
                where=str(path),
                fix="give a folder of renders, or a .ply",
            )
        self.path = path

    def find(self, scene: str, targets: Mapping[str, int], *, alone: bool) -> SceneRenders | None:
        """Return the renders of a scene, or None where there are none at all.

        Args:
            targets: names of the frames, with their numbers.
            alone: it is the only scene, which may lie without a folder of its own.

        Raises:
            InputError: pictures are JPEGs, one stands there in two forms, or a scene has several
                PLYs.
        """
        ply = self._gaussians(scene, alone=alone)
        if ply is not None:
            return SceneRenders({}, ply, ())
        folders = [self.path / scene / COLOUR_FOLDER, self.path / scene]
        folders += [self.path / COLOUR_FOLDER, self.path] if alone else []
        for folder in folders:
            if not folder.is_dir():
                continue
            found = {
                name: path
                for name, number in targets.items()
                if (path := _picture_of(folder, name, number)) is not None
            }
            if found:
                missing = tuple(name for name in targets if name not in found)
                return SceneRenders(found, None, missing)
        return None

    def other_scenes(self, scenes: Sequence[str]) -> list[str]:
        """Return names of folders and PLYs here that are none of these scenes."""
        if not self.path.is_dir():
            return []
        names = {
            path.stem if path.suffix == ".ply" else path.name
            for path in self.path.iterdir()
            if path.is_dir() or path.suffix == ".ply"
        }
        return sorted(names - {*scenes, COLOUR_FOLDER})

    def _gaussians(self, scene: str, *, alone: bool) -> Path | None:
        if self.path.is_file():
            return self.path if alone else None
        if (self.path / f"{scene}.ply").is_file():
            return self.path / f"{scene}.ply"
        folder = self.path / scene
        plys = sorted(folder.glob("*.ply")) if folder.is_dir() else []
        plys = plys or (sorted(self.path.glob("*.ply")) if alone else [])
        if len(plys) > 1:
            raise InputError(
                f"{len(plys)} PLYs, and one is rendered: {', '.join(path.name for path in plys)}",
                where=str(plys[0].parent),
                fix="leave one of them there",
            )
        return plys[0] if plys else None


def read_render(
    path: Path, *, rounding: Literal["none", "nearest", "down"]
) -> Float[Tensor, "3 height width"]:
    """Read a picture in [0, 1]; one of floats is rounded to 8 bits as the protocol says.

    Raises:
        InputError: it cannot be read, is a JPEG, holds NaN or infinity, or is not in [0, 1].
    """
    if path.suffix == ".png":
        with readable(path), path.open("rb") as file:
            if file.read(2) == JPEG_START:
                raise _is_jpeg(path)
        return unit_from_bytes(read_photo(path))
    with readable(path):
        values = read_array(path, fix="save float32 of shape 3 x height x width by numpy.save")
    return rounded(_checked(values, path), rounding)


def rounded(
    picture: Float[Tensor, "3 height width"], rounding: Literal["none", "nearest", "down"]
) -> Float[Tensor, "3 height width"]:
    """Return the picture as an 8-bit file would hold it, or as it is."""
    if rounding == "none":
        return picture
    levels = picture.clamp(0, 1) * 255
    return (levels.round() if rounding == "nearest" else levels.floor()) / 255


def require_finite(picture: Float[Tensor, "3 height width"], where: str) -> None:
    """Refuse a render with NaN or infinity: no figure can be made of it.

    Raises:
        InputError: it has some; they are counted, and the first is named.
    """
    bad = ~picture.isfinite().all(0)
    if bool(bad.any()):
        row, column = map(int, bad.nonzero()[0])
        raise InputError(
            f"{int(bad.sum())} pixels are NaN or infinite, the first in row {row}, column {column}",
            where=where,
            fix="mend the method: such a picture has no score",
        )


def _picture_of(folder: Path, name: str, number: int) -> Path | None:
    stems = dict.fromkeys((name, f"{number:06d}", str(number)))
    for stem in stems:
        # `with_suffix` would take what follows a dot of the name for its ending.
        paths = [path for end in SUFFIXES if (path := folder / f"{stem}{end}").is_file()]
        if len(paths) > 1:
            raise InputError(
                "this frame is there as .png and as .npy",
                where=str(paths[0]),
                fix="leave the one that is to be judged",
            )
        if paths:
            return paths[0]
        for end in (*LOSSY, *(end.upper() for end in LOSSY)):
            if (folder / f"{stem}{end}").is_file():
                raise _is_jpeg(folder / f"{stem}{end}")
    return None


def _is_jpeg(path: Path) -> InputError:
    return InputError(
        "a render is compared pixel by pixel, and this file has lost some of them to compression",
        where=str(path),
        fix="write renders as PNG, or as .npy",
    )


def _checked(values: np.ndarray, path: Path) -> Float[Tensor, "3 height width"]:
    if values.ndim == 3 and values.shape[0] != 3 and values.shape[-1] == 3:
        values = values.transpose(2, 0, 1)
    if values.ndim != 3 or values.shape[0] != 3 or values.dtype.kind != "f":
        raise InputError(
            f"{values.dtype} of shape {list(values.shape)} is no picture",
            where=str(path),
            fix="save floats of shape 3 x height x width, or height x width x 3",
        )
    picture = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    require_finite(picture, str(path))
    if float(picture.max()) > BRIGHTEST:
        raise InputError(
            f"its values reach {float(picture.max()):g}, and a picture has 0 to 1",
            where=str(path),
            fix="divide by 255, or save it as PNG",
        )
    return picture
