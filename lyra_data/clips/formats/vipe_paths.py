"""Paths of the files of one clip in a folder of ViPE results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lyra_data.engine.errors import InputError


@dataclass(frozen=True)
class VipePaths:
    """The files of clip `name` (vipe/utils/io.py in nv-tlabs/vipe has the same names).

    Attributes:
        folder: what `vipe infer` was given as --output.
        name: name of the video that was annotated, without its suffix.
    """

    folder: Path
    name: str

    @property
    def rgb(self) -> Path:
        return self.folder / "rgb" / f"{self.name}.mp4"

    @property
    def pose(self) -> Path:
        return self.folder / "pose" / f"{self.name}.npz"

    @property
    def intrinsics(self) -> Path:
        return self.folder / "intrinsics" / f"{self.name}.npz"

    @property
    def camera_types(self) -> Path:
        return self.folder / "intrinsics" / f"{self.name}_camera.txt"

    @property
    def depth(self) -> Path:
        return self.folder / "depth" / f"{self.name}.zip"

    @property
    def mask(self) -> Path:
        return self.folder / "mask" / f"{self.name}.zip"

    @property
    def phrases(self) -> Path:
        return self.folder / "mask" / f"{self.name}.txt"

    @property
    def info(self) -> Path:
        """A pickle, which could run anything when it is opened: it is never read."""
        return self.folder / "vipe" / f"{self.name}_info.pkl"


def find_vipe_clip(folder: Path, name: str | None) -> VipePaths:
    """Find the clip `name`, or the only one where None is given.

    Raises:
        InputError: there is no such folder or clip, there are several to choose from, or the clip
            lacks one of the files that every clip has.
    """
    if not folder.is_dir():
        raise InputError(
            "there is no such folder",
            where=str(folder),
            fix="give the folder that `vipe infer` was given as --output",
        )
    names = sorted(path.stem for path in (folder / "rgb").glob("[!.]*.mp4"))
    if not names:
        raise InputError(
            "there is no rgb/NAME.mp4, so this holds no clip of ViPE's",
            where=str(folder),
            fix="give the folder that `vipe infer` was given as --output, whole",
        )
    if name is None and len(names) > 1:
        raise InputError(
            f"which of its {len(names)} clips is meant? found {_listed(names)}",
            where=str(folder),
            fix="name one as `clip`",
        )
    if name is not None and name not in names:
        raise InputError(
            f"there is no clip {name!r}; found {_listed(names)}",
            where=str(folder),
            fix="correct `clip`: it is the video's name without its suffix",
        )
    paths = VipePaths(folder, name or names[0])
    for path in (paths.pose, paths.intrinsics, paths.depth):
        if not path.is_file():
            raise InputError(
                f"the result of clip {paths.name!r} is incomplete: this file is missing",
                where=str(path),
                fix="copy the whole result, or run ViPE again with a pipeline that writes poses "
                "and depth (`lyra`, `default` or `dav3`; `pose_only` writes no depth)",
            )
    return paths


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
