"""Folders of pictures that training drew, one a step, and those of a phase's end."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lyra_data.engine.atomic import folder_atomically, link_or_copy, storage_errors

SCENE_PLY, VIDEO, GRID = "scene.ply", "video.mp4", "grid.png"
"""Files of a scene, in a folder of its name."""

PICTURES = "pictures.json"
"""The file beside the scenes' folders that says what was drawn."""

STEPS_WITH_GAUSSIANS = 2
"""The newest steps whose files of Gaussians stay: each may have more than 100 MB. Grids and videos
stay of every step."""

STEP_NAME = re.compile(r"step_(\d+)")


class StepPictures:
    """See the module's docstring; `folder` holds a phase's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, step: int) -> Path:
        """Return the folder of a step."""
        return self.folder / f"step_{step:08d}"

    def drop_old_gaussians(self) -> None:
        """Remove the files of Gaussians of all but the newest steps.

        Raises:
            StorageError: one cannot be removed.
        """
        steps = [path for path in self.folder.glob("step_*") if STEP_NAME.fullmatch(path.name)]
        steps.sort(key=lambda path: int(path.name.removeprefix("step_")))
        for folder in steps[:-STEPS_WITH_GAUSSIANS]:
            for path in folder.glob(f"*/{SCENE_PLY}"):
                with storage_errors(path):
                    path.unlink()

    def publish(self, step: int, target: Path) -> None:
        """Put a step's pictures at `target`, in the place of former ones; these are removed where
        there are none of the step, for they show other weights.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        made = self.of(step)
        if made.is_dir():
            with folder_atomically(target) as temporary:
                shutil.copytree(made, temporary, copy_function=link_or_copy, dirs_exist_ok=True)
        elif target.is_dir() and holds_pictures_alone(target):
            with storage_errors(target):
                shutil.rmtree(target)


def holds_pictures_alone(folder: Path) -> bool:
    """Return whether a folder holds what a visualiser wrote and nothing else."""
    if folder.is_symlink() or not (folder / PICTURES).is_file():
        return False
    files = {path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    of_scenes = {path for name in (SCENE_PLY, VIDEO, GRID) for path in folder.glob(f"*/{name}")}
    return files <= {folder / PICTURES, *of_scenes}
