"""Places of weights: where they are put, and where a project finds them, from any folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

VARIABLE = "LYRA_WEIGHTS"
"""Variable of the environment: the folder that weights are put into and looked for in."""

PROJECT_FOLDER = "weights"
"""The first part of a relative path in params.yaml, such as weights/gen3c, and a folder of the
project's own, which is looked into first."""

DOWNLOADS = "downloads"
"""The folder, among weights, of what was fetched and not converted."""


def weights_folder() -> Path:
    """Return where weights are put: LYRA_WEIGHTS, or lyra-data/weights in the user's cache."""
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "lyra-data" / "weights"


def find_weights(path: str | Path, root: Path) -> Path:
    """Return where weights lie that params.yaml names.

    A path `weights/NAME` is looked for in the project, and then as NAME in `weights_folder`. Any
    other is only that of the project.

    Args:
        path: as params.yaml says it; a relative one starts from `root`.
        root: the folder of params.yaml.

    Returns:
        The first that is there; where none is, the project's.
    """
    own = root / path
    parts = PurePath(path).parts
    if own.exists() or parts[:1] != (PROJECT_FOLDER,) or ".." in parts:
        return own
    shared = weights_folder().joinpath(*parts[1:])
    return shared if shared.exists() else own
