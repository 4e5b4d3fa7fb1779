"""Posed pictures: what nerfstudio's and COLMAP's datasets have in common, checked and read alike.

Depth is along the camera's z axis, in the unit of the poses. Masks are grey PNGs, 0 where a picture
is not to be used: what is left out so is taken to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.clips.formats.undistortion import Lens, Undistortion
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.media.camera_files import MAX_FOCAL_PER_WIDTH, MIN_FOCAL_PER_WIDTH, RIGID_TOLERANCE
from lyra_data.media.depth_files import read_depth
from lyra_data.media.images import opened_image
from lyra_data.media.video import natural_order, read_frames
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import DepthScale

MASK_MODES = ("L", "1")
"""Pillow's modes of one grey channel."""


@dataclass(frozen=True)
class PosedPicture:
    """One picture as a dataset describes it; nothing is read or checked yet.

    Attributes:
        name: of the picture in its dataset; pictures are ordered by it.
        where: file and entry that describe it, for messages.
        camera_to_world: OpenCV axes.
        lens: intrinsics and distortion, in pixels of a picture of `size`.
        size: width and height that the dataset states; None where it states none.
        depth: the depth map; None where the picture has none.
        depth_unit: what the map's values are multiplied by; 1 for metres.
        mask: 0 where the picture is not to be used; None where it has none.
    """

    name: str
    path: Path
    where: str
    camera_to_world: Float64[np.ndarray, "4 4"]
    lens: Lens
    size: tuple[int, int] | None
    depth: Path | None = None
    depth_unit: float = 1.0
    mask: Path | None = None


def require_folder(folder: Path) -> None:
    """See that a dataset is there at all.

    Raises:
        InputError: it is not.
    """
    if not folder.is_dir():
        raise InputError(
            "there is no such folder",
            where=str(folder),
            fix="correct `folder` of the scene in params.yaml",
        )


def read_posed_pictures(
    pictures: Sequence[PosedPicture], depth_scale: DepthScale | None
) -> ImportedClip:
    """Read all pictures in the natural order of their names; distorted ones are straightened.

    Args:
        depth_scale: of the depth maps that the pictures name.

    Raises:
        InputError: a picture is named twice, or is missing, cut or of another size than the rest or
            than stated; a pose is not rigid; intrinsics are impossible; depth or a mask is cut or
            of another size; the distortion cannot be undone.
    """
    ordered = sorted(pictures, key=lambda picture: natural_order(picture.name))
    seen: set[Path] = set()
    for picture in ordered:
        if picture.path.resolve() in seen:
            raise InputError(
                f"{picture.name} is named twice", where=picture.where, fix="name every picture once"
            )
        seen.add(picture.path.resolve())
        _check_rigid(picture)
    frames = read_frames([picture.path for picture in ordered])
    height, width = frames.shape[-2:]
    undistortions = {}
    for picture in ordered:
        _check_possible(picture, height=height, width=width)
        if picture.lens.is_distorted and picture.lens not in undistortions:
            undistortions[picture.lens] = Undistortion.of(
                picture.lens, height=height, width=width, where=picture.where
            )
    changes = [undistortions.get(picture.lens) for picture in ordered]
    for index, change in enumerate(changes):
        if change is not None:
            frames[index] = change.of_frame(frames[index])
    depth = _read_all_depth(ordered, changes, height=height, width=width)
    intrinsics = [
        picture.lens.intrinsics if change is None else change.intrinsics
        for picture, change in zip(ordered, changes, strict=True)
    ]
    poses = np.stack([picture.camera_to_world for picture in ordered])
    return ImportedClip(
        frames=frames,
        cameras=Cameras(
            torch.from_numpy(poses).float(),
            torch.tensor(intrinsics, dtype=torch.float64).float(),
            height,
            width,
        ),
        depth=depth,
        depth_valid=None if depth is None else depth > 0,
        depth_scale=None if depth is None else depth_scale,
        dynamic_mask=_read_all_masks(ordered, changes, height=height, width=width),
        facts=_facts(ordered, changes),
    )


def _read_all_depth(
    pictures: list[PosedPicture],
    changes: list[Undistortion | None],
    *,
    height: int,
    width: int,
) -> Float[Tensor, "frame height width"] | None:
    """Read depth, 0 where unknown; None where no picture has depth."""
    if not any(picture.depth for picture in pictures):
        return None
    depth = torch.zeros((len(pictures), height, width))
    for index, (picture, change) in enumerate(zip(pictures, changes, strict=True)):
        if picture.depth is None:
            continue
        values = read_depth(picture.depth).depth
        _check_size(values, picture.depth, "depth map", height=height, width=width)
        values = (values.double() * picture.depth_unit).float()
        depth[index] = values if change is None else change.picked(values)
    if not (depth > 0).any():
        raise InputError(
            "none of the depth is left once the distortion is undone",
            where=pictures[0].where,
            fix="give depth nearer to the middle of the pictures, or leave it out",
        )
    return depth


def _read_all_masks(
    pictures: list[PosedPicture],
    changes: list[Undistortion | None],
    *,
    height: int,
    width: int,
) -> Bool[Tensor, "frame height width"] | None:
    if not any(picture.mask for picture in pictures):
        return None
    moving = torch.zeros((len(pictures), height, width), dtype=torch.bool)
    for index, (picture, change) in enumerate(zip(pictures, changes, strict=True)):
        if picture.mask is None:
            raise InputError(
                f"{picture.name} has no mask, but others have",
                where=picture.where,
                fix="give every picture a mask (white where all of it is to be used), or none",
            )
        mask = _read_mask(picture.mask)
        _check_size(mask, picture.mask, "mask", height=height, width=width)
        moving[index] = mask if change is None else change.picked(mask)
    return moving


def _read_mask(path: Path) -> Bool[Tensor, "height width"]:
    """Read a mask: True where the picture is not to be used."""
    with opened_image(path, formats=("PNG",)) as image:
        if image.mode not in MASK_MODES:
            raise InputError(
                f"a mask needs one grey channel of 8 bits or 1 bit, this one holds {image.mode!r}",
                where=str(path),
                fix="save it as a grey PNG: 0 where the picture is not to be used, else 255",
            )
        return torch.from_numpy(np.array(image) == 0)


def _check_size(values: Tensor, path: Path, noun: str, *, height: int, width: int) -> None:
    if tuple(values.shape) != (height, width):
        raise InputError(
            f"the {noun} has {values.shape[1]}x{values.shape[0]} pixels, the picture "
            f"{width}x{height}",
            where=str(path),
            fix=f"give a {noun} of the picture's size; resize it by nearest neighbour",
        )


def _check_rigid(picture: PosedPicture) -> None:
    pose = picture.camera_to_world
    rotation = pose[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    mirrors = float(np.linalg.det(rotation)) < 0
    if not error <= RIGID_TOLERANCE or mirrors or pose[3].tolist() != [0, 0, 0, 1]:
        raise InputError(
            f"the pose of {picture.name} is no rotation with a translation "
            + ("(it mirrors)" if mirrors else f"(rotation off by {error:.2g})"),
            where=picture.where,
            fix="give a rigid 4x4 camera-to-world matrix, last row 0 0 0 1; scale the positions of "
            "all cameras instead of their matrices",
        )


def _check_possible(picture: PosedPicture, *, height: int, width: int) -> None:
    if picture.size is not None and picture.size != (width, height):
        raise InputError(
            f"the camera of {picture.name} is of {picture.size[0]}x{picture.size[1]} pixels, the "
            f"picture has {width}x{height}",
            where=picture.where,
            fix=f"give the pictures that were solved, or intrinsics, w and h for {width}x{height} "
            "(all four numbers scale with the size)",
        )
    fx, fy, cx, cy = picture.lens.intrinsics
    for key, focal in (("fx", fx), ("fy", fy)):
        if not MIN_FOCAL_PER_WIDTH * width <= focal <= MAX_FOCAL_PER_WIDTH * width:
            raise InputError(
                f"{key} = {focal:g} of {picture.name} is impossible in a picture {width} pixels "
                "wide",
                where=picture.where,
                fix="give focal lengths in pixels: millimetres / sensor width in mm * width",
            )
    for key, centre, size in (("cx", cx, width), ("cy", cy, height)):
        if not -size <= centre <= 2 * size:
            raise InputError(
                f"{key} = {centre:g} of {picture.name} lies far outside a picture of {size} pixels",
                where=picture.where,
                fix=f"give the principal point in pixels; without a calibration {size / 2} is "
                "usual",
            )


def _facts(pictures: list[PosedPicture], changes: list[Undistortion | None]) -> dict[str, str]:
    facts = {"pictures": str(len(pictures))}
    for noun, paths in (
        ("pictures", {picture.name: picture.path for picture in pictures}),
        ("depth", {picture.name: picture.depth for picture in pictures if picture.depth}),
        ("masks", {picture.name: picture.mask for picture in pictures if picture.mask}),
    ):
        if paths:
            hashes = {name: sha256_of_file(path) for name, path in paths.items()}
            facts[f"{noun}_sha256"] = content_key(hashes)
    descriptions = [str(change) for change in changes if change is not None]
    if descriptions:
        more = f"; {len(set(descriptions)) - 1} more lenses" if len(set(descriptions)) > 1 else ""
        facts["undistorted"] = f"{len(descriptions)} pictures: {descriptions[0]}{more}"
    return facts
