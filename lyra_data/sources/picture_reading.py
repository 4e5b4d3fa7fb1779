"""Reading of one picture with the depth and the intrinsics that came with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.media.camera_files import SceneIntrinsics, read_intrinsics
from lyra_data.media.depth_files import DepthMap, read_depth
from lyra_data.media.images import Turned, orientation_of, read_photo, readable
from lyra_data.scene.cameras import Cameras


@dataclass(frozen=True)
class PictureFiles:
    """The files of one picture.

    Attributes:
        image: a PNG or JPEG file.
        depth: its depth map, where there is one.
        intrinsics: its camera file, where there is one.
    """

    image: Path
    depth: Path | None = None
    intrinsics: Path | None = None

    @property
    def by_noun(self) -> dict[str, Path]:
        """The files that there are, as provenance names them."""
        paths = {"image": self.image, "depth": self.depth, "intrinsics": self.intrinsics}
        return {noun: path for noun, path in paths.items() if path is not None}


@dataclass(frozen=True)
class Picture:
    """A picture as it was read.

    Attributes:
        frame: RGB, 0..255.
        depth: its z depth, of the same size; where given.
        intrinsics: where given.
        facts: the names and sha256 of its files, and how it was turned; part of provenance.
    """

    frame: UInt8[Tensor, "3 height width"]
    depth: DepthMap | None
    intrinsics: SceneIntrinsics | None
    facts: dict[str, str]

    @property
    def cameras(self) -> Cameras | None:
        return None if self.intrinsics is None else self.intrinsics.cameras(torch.eye(4))

    @property
    def depth_scale(self) -> str | None:
        if self.depth is None:
            return None
        return self.intrinsics.depth_scale if self.intrinsics else "metric"


def read_picture(files: PictureFiles, *, may_turn: bool) -> Picture:
    """Read a picture and what came with it.

    Args:
        may_turn: one that is marked (EXIF) to be turned, and comes alone, is turned upright; else
            it is refused. With depth or intrinsics it is read the way that their size says, and
            refused where it says nothing.

    Raises:
        InputError: a file is missing, cut, of another size or impossible.
    """
    depth = None if files.depth is None else read_depth(files.depth)
    orientation = orientation_of(files.image)
    turned: Turned = "refuse" if orientation == 1 else _direction(files, depth, may_turn=may_turn)
    frame = read_photo(files.image, turned=turned)
    height, width = frame.shape[1:]
    if depth is not None and files.depth is not None:
        _check_size(depth, files.depth, height=height, width=width)
    intrinsics = None
    if files.intrinsics is not None:
        intrinsics = read_intrinsics(files.intrinsics, SceneIntrinsics, height=height, width=width)
    facts = {}
    if orientation != 1:
        facts["turned"] = f"EXIF orientation {orientation}: read {turned}"
    for noun, path in files.by_noun.items():
        facts |= {noun: path.name, f"{noun}_sha256": sha256_of_file(path)}
    return Picture(frame, depth, intrinsics, facts)


def refuse_double(folder: Path, candidates: list[Path]) -> NoReturn:
    """Refuse two files of which each could be meant."""
    names = ", ".join(path.name for path in candidates)
    raise InputError(
        f"which file is {candidates[0].stem!r}? found {names}",
        where=str(folder),
        fix="keep one of them",
    )


def _direction(files: PictureFiles, depth: DepthMap | None, *, may_turn: bool) -> Turned:
    """Return how a picture is read that is marked (EXIF) to be turned.

    Upright where nothing of the user's could disagree; with depth or intrinsics the way that the
    size of all of them says, and refused where it does not say it.
    """
    sizes: list[tuple[Any, ...]] = [] if depth is None else [tuple(depth.depth.shape)]
    if (path := files.intrinsics) is not None:
        with readable(path):
            values = read_json_object(
                path, kind="camera file", fix="correct the text", error=InputError
            )
        sizes.append((values.get("height"), values.get("width")))
    if not sizes:
        return "upright" if may_turn else "refuse"
    directions: tuple[Turned, ...] = ("upright", "stored")
    fitting: list[Turned] = [
        turned
        for turned in directions
        if all(size == tuple(read_photo(files.image, turned=turned).shape[1:]) for size in sizes)
    ]
    return fitting[0] if len(fitting) == 1 else "refuse"


def _check_size(depth: DepthMap, path: Path, *, height: int, width: int) -> None:
    if depth.depth.shape != (height, width):
        depth_height, depth_width = depth.depth.shape
        raise InputError(
            f"the depth map has {depth_width}x{depth_height} pixels, the picture {width}x{height}",
            where=str(path),
            fix="give depth for every pixel of the picture; resize it by nearest neighbour",
        )
