"""Pictures among a project's inputs: whether their depth is there, and which model estimates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.depth.at_hand import depth_at_hand, no_depth_model
from lyra_data.sources.albums import is_picture
from lyra_data.sources.picture import files_beside

PICTURE = "picture"
"""Kind of the source that reads a bare picture."""

PROMPT = "prompt"
"""Kind of the source whose picture is painted of a text."""


def only_pictures(sources: Sequence[Mapping[str, Any]]) -> bool:
    return bool(sources) and all(source["name"] == PICTURE for source in sources)


def with_files_beside(paths: Sequence[Path]) -> list[Path]:
    """Return the paths, and after each picture the depth map and the camera file beside it."""
    every: list[Path] = []
    for path in paths:
        beside = files_beside(path).values() if path.is_file() and is_picture(path) else ()
        every += [path, *beside]
    return every


def estimated_depth(
    sources: Sequence[Mapping[str, Any]], depth: Any, root: Path
) -> dict[str, Any] | None:
    """Return params of the depth model for pictures that come, or are painted, without depth.

    Args:
        sources: params of the sources, with absolute paths.
        depth: section annotate.depth; one that names a model is kept.
        root: the folder of params.yaml.

    Returns:
        None where the section stays: it names a model, or no picture comes without depth.

    Raises:
        ParamsError: no depth model is on this machine; names the command that gets the smallest.
    """
    name = depth.get("name") if isinstance(depth, Mapping) else None
    if name not in DEPTH_ESTIMATORS.names():
        return None
    if DEPTH_ESTIMATORS.kind(name, where="annotate.depth").has_model:
        return None
    lacking = [
        source
        for source in sources
        if source["name"] == PROMPT
        or (source["name"] == PICTURE and "depth" not in files_beside(Path(source["path"])))
    ]
    if not lacking:
        return None
    if (chosen := depth_at_hand(root)) is None:
        first = lacking[0]
        is_painted = first["name"] == PROMPT
        raise no_depth_model(first["text"] if is_painted else first["path"], is_painted=is_painted)
    return chosen
