"""A scene in a folder of the user's own: a picture and, where known, its depth and intrinsics.

See docs/inputs.md.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar, Literal

import torch

from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.engine.params import Params
from lyra_data.media.camera_files import PosedIntrinsics, read_intrinsics
from lyra_data.media.depth_files import DEPTH_SUFFIXES
from lyra_data.media.images import read_photo
from lyra_data.scene.material import HeldOutView, SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource
from lyra_data.sources.picture_reading import PictureFiles, read_picture, refuse_double

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
        intrinsics = folder / INTRINSICS
        # A dangling link is a file that is missing, not one that was never meant to be there.
        files = PictureFiles(
            image=_only(folder, "image", PHOTO_SUFFIXES),
            depth=_depth_path(folder),
            intrinsics=intrinsics if intrinsics.is_symlink() or intrinsics.exists() else None,
        )
        # Held-out pictures are posed relative to this one as somebody looked at it.
        picture = read_picture(files, may_turn=not (folder / "held_out").is_dir())
        licence = picture.intrinsics.licence if picture.intrinsics else ""
        provenance = {"kind": self.name, "licence": licence or "not stated", **picture.facts}
        held_out = _read_held_out(folder / "held_out")
        for path in sorted((folder / "held_out").glob("[!.]*")):
            provenance[f"held_out_{path.name}_sha256"] = sha256_of_file(path)
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=picture.frame[None],
            cameras=picture.cameras,
            depth=None if picture.depth is None else picture.depth.depth[None],
            depth_valid=None if picture.depth is None else picture.depth.valid[None],
            depth_scale=picture.depth_scale,
            prompt=picture.intrinsics.prompt if picture.intrinsics else "",
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
            refuse_double(folder, [photo for photo in photos if photo.stem == path.stem])
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
        refuse_double(folder, candidates)
    return candidates[0] if candidates else None
