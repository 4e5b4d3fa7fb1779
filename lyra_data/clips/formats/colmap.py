"""A COLMAP dataset on disk: a sparse model and the pictures it names. See docs/formats.md.

    FOLDER/sparse/0/cameras.bin ...  or .txt; or in sparse; or in FOLDER itself
    FOLDER/images/NAME               the pictures
    FOLDER/depth/NAME.npy            z depth, float, 0 where unknown; not COLMAP's, but our export's
    FOLDER/depth/depth.json          its scale
    FOLDER/masks/NAME.png            COLMAP's feature masks: 0 where a picture is not to be used

COLMAP's axes are OpenCV's and its pixel centres at +0.5, both as ours; its poses are
world-to-camera, ours camera-to-world.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lyra_data.clips.formats.colmap_lenses import lens_of_camera
from lyra_data.clips.formats.colmap_models import find_model, hash_of_model, read_model
from lyra_data.clips.formats.colmap_writing import DEPTH_INDEX, write_colmap
from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.clips.formats.posed_pictures import PosedPicture, read_posed_pictures
from lyra_data.engine.documents import read_json
from lyra_data.engine.errors import InputError
from lyra_data.media.images import readable
from lyra_data.media.video import FRAME_SUFFIXES

__all__ = ["read_colmap", "write_colmap"]

log = logging.getLogger(__name__)


def read_colmap(folder: Path) -> ImportedClip:
    """Read and check the dataset in `folder`: every picture that the model poses.

    Raises:
        InputError: a file is missing, cut or damaged, the model is empty, a lens is no pinhole with
            OpenCV's distortion, or depth is not as our export writes it.
    """
    sparse = find_model(folder)
    model = read_model(sparse)
    if not model["images"]:
        raise InputError(
            "the model poses no picture", where=str(sparse), fix="give a model that COLMAP solved"
        )
    if not (folder / "images").is_dir():
        raise InputError(
            "there is no such folder",
            where=str(folder / "images"),
            fix="put the pictures there, under the names that the model has",
        )
    depth_index = _read_depth_index(folder / "depth")
    pictures = [_picture(image, sparse, folder, depth_index) for image in model["images"]]
    scale = None if depth_index is None else depth_index["depth_scale"]
    clip = read_posed_pictures(pictures, scale)
    num_files = len(list(_pictures_below(folder / "images")))
    if num_files > len(pictures):
        num_left = num_files - len(pictures)
        log.warning("%s: %d of %d pictures have no pose", folder, num_left, num_files)
    facts = {
        "model": sparse.relative_to(folder).as_posix(),
        "model_sha256": hash_of_model(sparse),
        "frames_posed": f"{len(pictures)} of {num_files}",
        "sparse_points": str(model["num_points"]),
        **clip.facts,
    }
    return replace(clip, facts=facts)


def _picture(
    image: dict[str, Any], sparse: Path, folder: Path, depth_index: dict[str, Any] | None
) -> PosedPicture:
    name, camera = image["name"], image["camera"]
    where = f"{sparse}: {name}"
    world_to_camera = np.vstack([image["world_to_camera"], [0.0, 0.0, 0.0, 1.0]])
    # The inverse of a rigid transform: R^T and -R^T t. COLMAP stores where the world goes, we where
    # the camera is.
    pose = np.eye(4)
    pose[:3, :3] = world_to_camera[:3, :3].T
    pose[:3, 3] = -world_to_camera[:3, :3].T @ world_to_camera[:3, 3]
    has_depth = depth_index is not None and name not in depth_index["unknown"]
    has_masks = (folder / "masks").is_dir()
    return PosedPicture(
        name=name,
        path=_picture_path(name, sparse, folder),
        where=where,
        camera_to_world=pose,
        lens=lens_of_camera(camera, where),
        size=(camera["width"], camera["height"]),
        depth=folder / "depth" / f"{name}.npy" if has_depth else None,
        mask=folder / "masks" / f"{name}.png" if has_masks else None,
    )


def _picture_path(name: str, sparse: Path, folder: Path) -> Path:
    """Return the path of a picture: its name is relative to `images`, or, as ViPE's own export
    writes it, to the folder of the model."""
    path = folder / "images" / name
    beside = sparse / name
    return beside if not path.is_file() and beside.is_file() else path


def _read_depth_index(folder: Path) -> dict[str, Any] | None:
    """Return the content of depth.json; None where there is no folder of depth."""
    if not folder.is_dir():
        return None
    path = folder / DEPTH_INDEX
    with readable(path):
        index = read_json(path, kind="depth index", fix="correct the text", error=InputError)
    is_right = (
        isinstance(index, dict)
        and set(index) == {"depth_scale", "unknown"}
        and index["depth_scale"] in ("metric", "up_to_scale")
        and isinstance(index["unknown"], list)
        and all(isinstance(name, str) for name in index["unknown"])
    )
    if not is_right:
        raise InputError(
            "this does not say what the depth maps are",
            where=str(path),
            fix='give {"depth_scale": "metric", "unknown": []}, or "up_to_scale"; "unknown" lists '
            "pictures whose depth is nowhere known",
        )
    return index


def _pictures_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in FRAME_SUFFIXES]
