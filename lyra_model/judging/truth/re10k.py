"""RealEstate10K on disk: pixelSplat's chunks (*.torch), or its own texts with folders of frames."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file
from lyra_data.engine.names import checked_name, is_safe_name, stays_inside
from lyra_data.engine.pickles import refuse_endless_checkpoint
from lyra_data.media.images import check_num_pixels, read_photo, readable, tensor_of
from lyra_model.judging.truth.frames import TruthFrame, TruthScene
from lyra_model.judging.truth.pictures import pictures_in
from lyra_model.judging.truth.re10k_cameras import (
    NUM_VALUES,
    camera_of_values,
    check_values,
    read_camera_text,
)

INDEX = "index.json"
KIND = "chunk of RealEstate10K"
COPY_AGAIN = "copy or convert the dataset again; pixelSplat's README says where it lies"


class ChunkTruth:
    """FOLDER/*.torch or FOLDER/test/*.torch: each is a list of scenes with encoded pictures.

    The chunk that was read last stays in memory: 100 to 200 MB.
    """

    numbers_frames: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "test" if (folder / "test").is_dir() else folder
        self._chunks = self._listed()
        self._open: tuple[str, dict[str, Mapping[str, Any]]] | None = None

    @property
    def scene_names(self) -> list[str]:
        return sorted(self._chunks, key=lambda name: (self._chunks[name], name))

    def scene(self, name: str) -> TruthScene:
        file = self._chunks[name]
        if self._open is None or self._open[0] != file:
            self._open = None  # the former chunk goes before the next one is read
            self._open = (file, read_chunk(self.folder / file))
        path = self.folder / file
        if name not in self._open[1]:
            raise InputError(f"scene {name} is not in it", where=str(path), fix=COPY_AGAIN)
        return _scene(name, self._open[1][name], path)

    def _listed(self) -> dict[str, str]:
        """Return the chunk of every scene, by index.json or by reading all chunks."""
        path = self.folder / INDEX
        if not path.is_file():
            return {
                name: chunk.name
                for chunk in sorted(self.folder.glob("*.torch"))
                for name in read_chunk(chunk)
            }
        values = read_json_object(path, kind="index", fix=COPY_AGAIN, error=InputError)
        for name, chunk in values.items():
            checked_name(name, noun="scene", where=str(path), error=InputError)
            if not stays_inside(chunk):
                raise InputError(f"{chunk!r} is no file here", where=str(path), fix=COPY_AGAIN)
        return values


def read_chunk(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return the scenes of a chunk by name. No code in it is run.

    Raises:
        InputError: there is no such file, it is cut, asks for code, or is no list of scenes.
    """
    require_regular_file(path)
    with readable(path), file_at_fault(path, kind=KIND, fix=COPY_AGAIN):
        refuse_endless_checkpoint(path)
        try:
            mapped = zipfile.is_zipfile(path)
            chunk = torch.load(path, map_location="cpu", mmap=mapped, weights_only=True)
        except UnpicklingError:
            raise InputError(
                "asks for code, which pictures have no need of; nothing was run",
                where=str(path),
                fix=COPY_AGAIN,
            ) from None
        scenes = {example["key"]: example for example in chunk}
        for name, example in scenes.items():
            checked_name(name, noun="scene", where=str(path), error=InputError)
            cameras, pictures = example["cameras"], example["images"]
            if cameras.ndim != 2 or cameras.shape[1] != NUM_VALUES:
                raise ValueError(f"scene {name} has cameras of {list(cameras.shape)}")
            if len(pictures) != len(cameras):
                raise ValueError(f"{name}: {len(pictures)} pictures, {len(cameras)} cameras")
    return scenes


def _scene(name: str, example: Mapping[str, Any], path: Path) -> TruthScene:
    frames = []
    with file_at_fault(path, kind=KIND, fix=COPY_AGAIN):
        for place, values in enumerate(example["cameras"]):
            check_values(values, f"camera {place} of {name}")
            where = f"{path}: {name}, picture {place}"
            read = partial(_decoded, example["images"][place], where)
            frames.append(TruthFrame(f"{place:06d}", where, read, camera_of_values(values)))
    return TruthScene(name, frames)


def _decoded(encoded: Tensor, where: str) -> UInt8[Tensor, "3 height width"]:
    data = io.BytesIO(encoded.numpy().tobytes())
    with (
        file_at_fault(where, kind="picture", fix=COPY_AGAIN),
        Image.open(data, formats=("PNG", "JPEG")) as image,
    ):
        check_num_pixels(*image.size, where)
        return tensor_of(image.convert("RGB"))


class TextTruth:
    """FOLDER/SCENE.txt with FOLDER/SCENE/TIMESTAMP.png (or .jpg), as RealEstate10K is published.

    Frames are those of the text, in its order; all of them need a picture.
    """

    numbers_frames: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = [
            path.stem for path in sorted(folder.glob("*.txt")) if is_safe_name(path.stem)
        ]

    @property
    def scene_names(self) -> list[str]:
        return self._names

    def scene(self, name: str) -> TruthScene:
        cameras = read_camera_text(self.folder / f"{name}.txt")
        folder = self.folder / name
        pictures = {path.stem: path for path in pictures_in(folder)} if folder.is_dir() else {}
        frames = []
        for place, (timestamp, values) in enumerate(cameras):
            if timestamp not in pictures:
                raise InputError(
                    f"there is no picture of the frame at {timestamp}",
                    where=str(folder),
                    fix=f"put the frames there as TIMESTAMP.png, as {name}.txt names them",
                )
            path = pictures[timestamp]
            read = partial(read_photo, path)
            frames.append(TruthFrame(f"{place:06d}", str(path), read, camera_of_values(values)))
        return TruthScene(name, frames)
