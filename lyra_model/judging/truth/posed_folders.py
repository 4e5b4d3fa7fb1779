"""Datasets of posed pictures on disk: DL3DV's transforms.json, and COLMAP's models.

Pictures are compared as they lie on disk, so none is straightened here. DL3DV states the lens of
its unshrunk pictures; those who evaluate on it pass over its small distortion, and so do we.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import torch
from torch import Tensor

from lyra_data.clips.formats.colmap_lenses import lens_of_camera
from lyra_data.clips.formats.colmap_models import find_model, read_model
from lyra_data.clips.formats.nerfstudio_values import Section
from lyra_data.clips.formats.nerfstudio_writing import OPENGL_FROM_OPENCV, TRANSFORMS
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.names import checked_path, is_safe_name
from lyra_data.media.images import read_photo, readable
from lyra_data.media.video import natural_order
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_model.judging.truth.frames import TruthFrame, TruthScene

RIGID_TOLERANCE = 1e-3


class Dl3dvTruth:
    """FOLDER/SCENE/transforms.json (or FOLDER/SCENE/nerfstudio/transforms.json) with pictures in
    images_8 or whatever the protocol says. Frames are counted as transforms.json lists them."""

    numbers_frames: ClassVar[bool] = True

    def __init__(self, folder: Path, picture_folder: str | None) -> None:
        self.picture_folder = picture_folder
        self._folders: dict[str, Path] = {}
        for path in _scene_folders(folder):
            for candidate in (path, path / "nerfstudio"):
                if (candidate / TRANSFORMS).is_file():
                    self._folders[path.name] = candidate
                    break

    @property
    def scene_names(self) -> list[str]:
        return list(self._folders)

    def scene(self, name: str) -> TruthScene:
        folder = self._folders[name]
        path = folder / TRANSFORMS
        fix = "give the file as DL3DV publishes it"
        with readable(path):
            values = read_json_object(path, kind="nerfstudio dataset", fix=fix, error=InputError)
        shared = Section(values, str(path))
        with file_at_fault(path, kind="nerfstudio dataset", fix=fix):
            frames = [
                self._frame(Section(entry, f"{path}: frames[{place}]", shared), folder, place)
                for place, entry in enumerate(values["frames"])
            ]
        return TruthScene(name, frames)

    def _frame(self, frame: Section, folder: Path, place: int) -> TruthFrame:
        name = checked_path(
            frame.text("file_path"), noun="picture", where=frame.where, error=InputError
        )
        if self.picture_folder is not None:
            name = f"{self.picture_folder}/{PurePosixPath(name).name}"
        pose = torch.tensor(frame.values["transform_matrix"], dtype=torch.float64)
        camera_to_world = pose @ torch.from_numpy(OPENGL_FROM_OPENCV)
        _check_rigid(camera_to_world, frame.where)
        sizes = (frame.number("w"), frame.number("h"))
        intrinsics = [frame.number(key) for key in ("fl_x", "fl_y", "cx", "cy")]
        return TruthFrame(
            f"{place:06d}",
            frame.where,
            partial(read_photo, folder / name),
            _resized_camera(camera_to_world, intrinsics, sizes),
        )


class ColmapTruth:
    """FOLDER/SCENE/sparse/0 and FOLDER/SCENE/images, as COLMAP writes them: Tanks and Temples.

    Frames are in the natural order of their names.
    """

    numbers_frames: ClassVar[bool] = False

    def __init__(self, folder: Path, picture_folder: str | None) -> None:
        self.picture_folder = picture_folder or "images"
        own = (folder / "sparse").is_dir()
        paths = [folder] if own else _scene_folders(folder)
        self._folders = {path.resolve().name: path for path in paths if (path / "sparse").is_dir()}

    @property
    def scene_names(self) -> list[str]:
        return list(self._folders)

    def scene(self, name: str) -> TruthScene:
        folder = self._folders[name]
        sparse = find_model(folder)
        images = read_model(sparse)["images"]
        ordered = sorted(images, key=lambda image: natural_order(image["name"]))
        return TruthScene(name, [self._frame(image, folder, sparse) for image in ordered])

    def _frame(self, image: Mapping[str, Any], folder: Path, sparse: Path) -> TruthFrame:
        where = f"{sparse}: {image['name']}"
        name = checked_path(image["name"], noun="picture", where=where, error=InputError)
        world_to_camera = torch.eye(4, dtype=torch.float64)
        rows = torch.as_tensor(image["world_to_camera"], dtype=torch.float64)
        world_to_camera[:3] = rows[:3]
        _check_rigid(world_to_camera, where)
        camera = image["camera"]
        lens = lens_of_camera(camera, where)

        def camera_of(height: int, width: int) -> Cameras:
            if lens.is_distorted:
                raise InputError(
                    "the lens is distorted, and renders have the picture of a pinhole",
                    where=where,
                    fix="undistort the pictures and the model: `colmap image_undistorter`",
                )
            sizes = (camera["width"], camera["height"])
            pose = invert_rigid(world_to_camera[None])[0]
            return _resized_camera(pose, lens.intrinsics, sizes)(height, width)

        return TruthFrame(
            PurePosixPath(name).with_suffix("").as_posix(),
            where,
            partial(read_photo, folder / self.picture_folder / name),
            camera_of,
        )


def _scene_folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and is_safe_name(path.name)]


def _resized_camera(
    camera_to_world: Tensor, intrinsics: Sequence[float], size: tuple[float, float]
) -> Callable[[int, int], Cameras]:
    """Return what makes the camera for a picture shrunk from `size` (width, height)."""

    def camera_of(height: int, width: int) -> Cameras:
        across, down = width / size[0], height / size[1]
        scale = torch.tensor([across, down, across, down], dtype=torch.float64)
        scaled = torch.tensor(intrinsics, dtype=torch.float64) * scale
        return Cameras(camera_to_world[None].float(), scaled[None].float(), height, width)

    return camera_of


def _check_rigid(transform: Tensor, where: str) -> None:
    rotation = transform[:3, :3]
    error = float((rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max())
    if transform.shape != (4, 4) or not error <= RIGID_TOLERANCE:
        raise InputError(
            f"its pose is no rotation with a translation (off by {error:.2g})",
            where=where,
            fix="give rigid 4x4 matrices",
        )
