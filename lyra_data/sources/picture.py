"""A bare picture file of the user's own, with what lies beside it under its name.

See docs/inputs.md.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import torch

from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.media.focal_lengths import focal_length_of
from lyra_data.media.images import readable
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource
from lyra_data.sources.picture_reading import Picture, PictureFiles, read_picture, refuse_double

log = logging.getLogger(__name__)

ASSUMED_FIELD_OF_VIEW_DEGREES = 60.0
"""Horizontal, of a picture of which nobody tells it: that of a 31 mm lens on 36x24 mm."""

FOLDERS_OWN_NAME = "image"
"""A picture of this name also has the files that a scene's folder gives it (source `files`)."""


class PictureParams(Params):
    """One picture file.

    Attributes:
        path: a PNG or JPEG file; relative to the folder that holds params.yaml, or absolute. Beside
            NAME.jpg, NAME.depth.png (or .exr, .npy) and NAME.intrinsics.json are read.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
    """

    name: Literal["picture"]
    path: str
    scene_id: SceneId


class PictureSource(SceneSource[PictureParams]):
    """A picture, its depth where it lies beside it, and intrinsics from a file or from EXIF."""

    Params = PictureParams
    name: ClassVar[str] = "picture"

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read and check the picture; one that is marked (EXIF) to be turned is turned upright.

        Args:
            root: the folder that a relative `path` starts from.

        Raises:
            InputError: the picture is missing, or a file is doubled, cut, of another size or
                impossible.
        """
        path = root / self.params.path
        with readable(path):
            is_file = path.is_file()
        if not is_file:
            raise InputError(
                "there is no such picture",
                where=str(path),
                fix=f"correct `path` of scene {self.scene_id!r} in params.yaml",
            )
        is_watched = (root / "inputs").resolve() in path.resolve().parents
        if not Path(self.params.path).is_absolute() and not is_watched:
            log.warning("DVC does not notice changes in %s: only inputs/ is watched", path)
        beside = files_beside(path)
        files = PictureFiles(path, beside.get("depth"), beside.get("intrinsics"))
        picture = read_picture(files, may_turn=True)
        licence = picture.intrinsics.licence if picture.intrinsics else ""
        material = SourceMaterial(
            scene_id=self.scene_id,
            frames=picture.frame[None],
            cameras=picture.cameras,
            depth=None if picture.depth is None else picture.depth.depth[None],
            depth_valid=None if picture.depth is None else picture.depth.valid[None],
            depth_scale=picture.depth_scale,
            prompt=picture.intrinsics.prompt if picture.intrinsics else "",
            provenance={"kind": self.name, "licence": licence or "not stated", **picture.facts},
            location=str(path),
        )
        return _with_intrinsics(material, files, picture)


def files_beside(picture: Path) -> dict[str, Path]:
    """Return the depth map and the camera file that lie beside a picture, by their nouns.

    Those of NAME.jpg are NAME.depth.png (.exr, .npy) and NAME.intrinsics.json; those of image.jpg
    may be called depth.png and intrinsics.json too. A depth map of an unknown kind is not left out,
    for then depth would be estimated.

    Raises:
        InputError: there are two depth maps, or two camera files.
    """
    beginnings = [f"{picture.stem}."] + [""] * (picture.stem == FOLDERS_OWN_NAME)
    with readable(picture):
        names = sorted(path.name for path in picture.parent.iterdir())
    found = {}
    for noun in ("depth", "intrinsics"):
        stems = {f"{beginning}{noun}" for beginning in beginnings}
        candidates = [
            picture.parent / name
            for name in names
            if Path(name).stem in stems
            and (noun == "depth" or name.endswith(".json"))
            and name != picture.name
        ]
        if len(candidates) > 1:
            refuse_double(picture.parent, candidates)
        if candidates:
            found[noun] = candidates[0]
    return found


def _with_intrinsics(
    material: SourceMaterial, files: PictureFiles, picture: Picture
) -> SourceMaterial:
    """Return the material with intrinsics of its file, of EXIF, or leave to assume; and which."""
    if files.intrinsics is not None:
        intrinsics_from = files.intrinsics.name
    elif focal := focal_length_of(files.image):
        height, width = picture.frame.shape[1:]
        values = torch.tensor([[focal.pixels, focal.pixels, width / 2, height / 2]])
        cameras = Cameras(torch.eye(4)[None], values, height, width)
        material = replace(material, cameras=cameras)
        intrinsics_from = focal.stated
    else:
        return replace(material, assumed_field_of_view_degrees=ASSUMED_FIELD_OF_VIEW_DEGREES)
    provenance = material.provenance | {"intrinsics_from": intrinsics_from}
    return replace(material, provenance=provenance)
