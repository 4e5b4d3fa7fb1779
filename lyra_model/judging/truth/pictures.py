"""Ground truth as plain pictures: a folder for every scene, or one folder for one scene."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from lyra_data.engine.errors import InputError
from lyra_data.engine.names import is_safe_name
from lyra_data.media.images import read_photo
from lyra_data.media.video import natural_order
from lyra_model.judging.truth.frames import TruthFrame, TruthScene

SUFFIXES = (".png", ".jpg", ".jpeg")


class PictureTruth:
    """FOLDER/SCENE/NAME.png, at any depth below the scene; FOLDER/NAME.png is one scene of the
    folder's name."""

    numbers_frames: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if pictures_in(folder):
            self._folders = {folder.resolve().name: folder}
        else:
            self._folders = {
                path.name: path
                for path in sorted(folder.iterdir())
                if path.is_dir() and is_safe_name(path.name) and pictures_below(path)
            }
        if not self._folders:
            raise InputError(
                "no picture here, nor in any folder of a scene below",
                where=str(folder),
                fix="give a folder of pictures, or one with a folder of pictures for every scene",
            )

    @property
    def scene_names(self) -> list[str]:
        return list(self._folders)

    def scene(self, name: str) -> TruthScene:
        folder = self._folders[name]
        frames = {}
        for path in pictures_below(folder):
            stem = path.relative_to(folder).with_suffix("").as_posix()
            if stem in frames:
                raise InputError(
                    "two pictures have this name, with other endings",
                    where=str(path),
                    fix="keep one of them",
                )
            frames[stem] = TruthFrame(stem, str(path), partial(read_photo, path))
        return TruthScene(name, list(frames.values()))


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures directly in a folder, in the natural order of their names."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    return sorted(paths, key=lambda path: natural_order(path.name))


def pictures_below(folder: Path) -> list[Path]:
    """Return the pictures of a folder and of those below it, in the natural order of their paths.

    Hidden files are no pictures: some systems leave a `._NAME` beside each.
    """
    paths = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(paths, key=lambda path: natural_order(path.relative_to(folder).as_posix()))
