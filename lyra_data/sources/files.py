"""A scene in a folder of the user's own: a picture and, where known, its depth and intrinsics.

See docs/inputs.md.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import torch

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.engine.params import Params
from lyra_data.media.camera_files import PosedIntrinsics, SceneIntrinsics, read_intrinsics
from lyra_data.media.depth_files import DEPTH_SUFFIXES, DepthMap, read_depth
from lyra_data.media.images import Turned, orientation_of, read_photo, readable
from lyra_data.scene.material import HeldOutView, SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource

log = logging.getLogger(__name__)

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg")
INTRINSICS = "intrinsics.json"


class FilesParams(Params):
    """One scene folder.

    Attributes:
        folder: relative to the folder that holds params.yaml, or absolute.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
    """

    name: Literal["files"]
    folder: str
    scene_id: SceneId


class FilesSource(SceneSource[FilesParams]):
    """image.(png|jpg|jpeg) and, if there, depth.(png|exr|npy), intrinsics.json and held_out/."""

    Params = FilesParams
    name: ClassVar[str] = "files"

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the folder.

        Args:
            root: the folder that a relative `folder` starts from.

        Raises:
            InputError: the folder or its picture is missing, or a file is doubled, cut, of another
                size or impossible.
        """
        folder = root / self.params.folder
        if not folder.is_dir():
            raise InputError(
                "there is no such folder",
                where=str(folder),
                fix=f"correct `folder` of scene {self.scene_id!r} in params.yaml",
            )
        if (root / "inputs").resolve() not in folder.resolve().parents:
            log.warning("DVC does not notice changes in %s: only inputs/ is watched", folder)
        used = {"image": _only(folder, "image", PHOTO_SUFFIXES)}
        depth, intrinsics = None, None
        if depth_path := _depth_path(folder):
            used["depth"], depth = depth_path, read_depth(depth_path)
        # A dangling link is a file that is missing, not one that was never meant to be there.
        if (path := folder / INTRINSICS).is_symlink() or path.exists():
            used["intrinsics"] = path
        orientation = orientation_of(used["image"])
        turned: Turned = "refuse" if orientation == 1 else _direction(used, depth, folder)
        frame = read_photo(used["image"], turned=turned)
        height, width = frame.shape[1:]
        if depth is not None:
            _check_size(depth, used["depth"], height=height, width=width)
        if "intrinsics" in used:
            intrinsics = read_intrinsics(path, SceneIntrinsics, height=height, width=width)
        licence = intrinsics.licence if intrinsics else ""
        provenance = {"kind": self.name, "licence": licence or "not stated"}
        if orientation != 1:
            provenance["turned"] = f"EXIF orientation {orientation}: read {turned}"
        for noun, path in used.items():
            provenance |= {noun: path.name, f"{noun}_sha256": sha256_of_file(path)}
        held_out = _read_held_out(folder / "held_out")
        for path in sorted((folder / "held_out").glob("[!.]*")):
            provenance[f"held_out_{path.name}_sha256"] = sha256_of_file(path)
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=frame[None],
            cameras=None if intrinsics is None else intrinsics.cameras(torch.eye(4)),
            depth=None if depth is None else depth.depth[None],
            depth_valid=None if depth is None else depth.valid[None],
            depth_scale=_depth_scale(depth, intrinsics),
            prompt=intrinsics.prompt if intrinsics else "",
            held_out=held_out,
            provenance=provenance,
            location=str(folder),
        )


def _read_held_out(folder: Path) -> tuple[HeldOutView, ...]:
    """Read every picture in the folder, in the order of their names; each needs its NAME.json."""
    if not folder.is_dir():
        return ()
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    photos = [path for path in paths if path.suffix.lower() in PHOTO_SUFFIXES]
    names = [photo.stem for photo in photos]
    for path in paths:
        if path not in photos and not (path.suffix == ".json" and path.stem in names):
            raise InputError(
                "this file belongs to no held-out picture",
                where=str(path),
                fix="keep only NAME.png (or .jpg) with NAME.json here",
            )
        if names.count(path.stem) > 1:
            _refuse_double(folder, [photo for photo in photos if photo.stem == path.stem])
    views = []
    for photo in photos:
        frame = read_photo(photo)
        camera = read_intrinsics(
            photo.with_suffix(".json"),
            PosedIntrinsics,
            height=frame.shape[1],
            width=frame.shape[2],
        )
        camera_to_world = torch.tensor(camera.camera_to_world)
        views.append(HeldOutView(photo.stem, frame, camera.cameras(camera_to_world)))
    return tuple(views)


def _direction(used: dict[str, Path], depth: DepthMap | None, folder: Path) -> Turned:
    """Return how a picture is read that is marked (EXIF) to be turned.

    Upright where nothing of the user's could disagree; with depth or intrinsics the way that the
    size of all of them says, and refused where it does not say it.
    """
    sizes: list[tuple[Any, ...]] = [] if depth is None else [tuple(depth.depth.shape)]
    if path := used.get("intrinsics"):
        with readable(path):
            values = read_json_object(
                path, kind="camera file", fix="correct the text", error=InputError
            )
        sizes.append((values.get("height"), values.get("width")))
    if not sizes:
        return "refuse" if (folder / "held_out").is_dir() else "upright"
    directions: tuple[Turned, ...] = ("upright", "stored")
    fitting: list[Turned] = [
        turned
        for turned in directions
        if all(size == tuple(read_photo(used["image"], turned=turned).shape[1:]) for size in sizes)
    ]
    return fitting[0] if len(fitting) == 1 else "refuse"


def _depth_scale(depth: DepthMap | None, intrinsics: SceneIntrinsics | None) -> str | None:
    if depth is None:
        return None
    return intrinsics.depth_scale if intrinsics else "metric"


def _depth_path(folder: Path) -> Path | None:
    """Find the depth map; one of an unknown kind is not left out, for then depth would be
    estimated."""
    return _only_or_none(folder, "depth", DEPTH_SUFFIXES) or next(folder.glob("depth.*"), None)


def _only(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path:
    """Return the one file `stem` with one of the suffixes."""
    candidates = _only_or_none(folder, stem, suffixes)
    if candidates is None:
        raise InputError(
            f"there is no {stem}({'|'.join(suffixes)})",
            where=str(folder),
            fix=f"put the scene's {stem} there under one of these names",
        )
    return candidates


def _only_or_none(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path | None:
    candidates = [
        path
        for path in sorted(folder.iterdir())
        if path.stem == stem and path.suffix.lower() in suffixes
    ]
    if len(candidates) > 1:
        _refuse_double(folder, candidates)
    return candidates[0] if candidates else None


def _refuse_double(folder: Path, candidates: list[Path]) -> NoReturn:
    names = ", ".join(path.name for path in candidates)
    raise InputError(
        f"which file is {candidates[0].stem!r}? found {names}",
        where=str(folder),
        fix="keep one of them",
    )


def _check_size(depth: DepthMap, path: Path, *, height: int, width: int) -> None:
    if depth.depth.shape != (height, width):
        depth_height, depth_width = depth.depth.shape
        raise InputError(
            f"the depth map has {depth_width}x{depth_height} pixels, the picture {width}x{height}",
            where=str(path),
            fix="give depth for every pixel of the picture; resize it by nearest neighbour",
        )
