"""Reading the camera paths that params name, once for all scenes, before work begins."""

from __future__ import annotations

import logging
from pathlib import Path

from lyra_data.camera_paths.params import FilePathParams, KeyPosesParams
from lyra_data.camera_paths.reading import read_camera_path
from lyra_data.camera_paths.user_path import UserPath
from lyra_data.generation.trajectories import TrajectoryParams

log = logging.getLogger(__name__)


def read_user_paths(trajectories: TrajectoryParams, root: Path) -> dict[str, UserPath]:
    """Read all paths of the user's own, by the names of their views.

    Args:
        root: the folder that relative paths start from: that of params.yaml.

    Raises:
        InputError: a file is missing, of no known format, or holds impossible values.
    """
    return {
        entry.view_name: _read(entry, root)
        for entry in trajectories.names
        if not isinstance(entry, str)
    }


def _read(entry: FilePathParams | KeyPosesParams, root: Path) -> UserPath:
    if isinstance(entry, KeyPosesParams):
        return UserPath(entry)
    files = [root / name for name in (entry.path, entry.source_poses) if name is not None]
    for file in files:
        if (root / "inputs").resolve() not in file.resolve().parents:
            log.warning("DVC does not notice changes in %s: only inputs/ is watched", file)
    poses, *others = map(read_camera_path, files)
    return UserPath(entry, poses, others[0] if others else None)
