"""Which project `run` works in: never one that was made of something else."""

from __future__ import annotations

import itertools
import logging
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from lyra_data.engine.errors import InputError
from lyra_data.engine.names import fix_for_missing
from stages.params import load_yaml
from stages.verbs.project import init_project, is_free
from stages.verbs.project_record import read_record

log = logging.getLogger(__name__)

RUNS = Path("runs")
"""Folder of projects whose own folder is not named."""

MAX_NAME_BYTES = 200
"""Bytes of a project's name, in UTF-8; file systems take 255, and a number follows."""


def require_inputs(inputs: Sequence[Path], *, known: Sequence[str] = ()) -> None:
    """Refuse inputs that are not there.

    Args:
        known: names that are no files and may be given as inputs, for the fix.

    Raises:
        InputError: there is no such file or folder; the nearest name is suggested.
    """
    for path in inputs:
        if not path.exists():
            raise InputError(
                "there is no such file or folder",
                where=str(path),
                fix=fix_for_missing(path, known=known),
            )


def made_project(
    folder: Path | None,
    inputs: Sequence[Path],
    preset: str | None,
    *,
    size: Callable[[], tuple[int, int]] | None = None,
    max_frames: int | None = None,
) -> Path:
    """Return the folder of the project that was made of these inputs; it is made where none was.

    Args:
        folder: of the project; None: below runs/, the first of NAME, NAME_2, NAME_3, ... that was
            made of these inputs (and from this preset) or is free.
        preset: the one asked for; None: that of the project, or of a new one, as `init_project`
            chooses.
        size: gives height and width of a new project's frames; None: as the preset has it.
        max_frames: most frames of every video of a new project; a project that is there has to be
            of as many. None: all of them, or as the project has it.

    Raises:
        InputError: neither a folder nor inputs are given; the folder's project was made of
            something else; projects from several presets are made of these inputs.
    """
    if folder is None and not inputs:
        raise InputError(
            "neither an input nor a project is given",
            where="lyra-data run",
            fix="give a picture or a video, or --project FOLDER",
        )
    require_inputs(inputs)
    if folder is None:
        folder = _project_below_runs(inputs, preset)
    elif _is_project(folder):
        difference = read_record(folder).difference(folder, inputs, preset)
        if difference is not None:
            raise InputError(
                difference,
                where=str(folder),
                fix="give another --project for a new one, or neither input nor --preset to go on "
                "with what is there",
            )
    if inputs and not _is_project(folder):
        init_project(
            folder,
            inputs,
            preset=preset,
            needs_models=True,
            size=size() if size else None,
            max_frames=max_frames,
        )
    elif max_frames is not None:
        _require_frames(folder, max_frames)
    return folder


def _require_frames(folder: Path, max_frames: int) -> None:
    """Raise InputError where the videos of a project are read to another length."""
    sources = load_yaml(folder / "params.yaml")["annotate"]["sources"]
    lengths = {source["max_frames"] for source in sources if "max_frames" in source}
    if lengths != {max_frames}:
        taken = ", ".join("all" if one is None else str(one) for one in lengths) or "no"
        raise InputError(
            f"this project takes {taken} frames of its videos, not {max_frames}",
            where=str(folder),
            fix="give another --project, or change max_frames in its params.yaml",
        )


def project_name(path: Path) -> str:
    """Return a project's name of an input's: its letters, of any script, digits, "_" and "-"."""
    name = path.resolve().name if path.is_dir() or not path.stem.strip(".") else path.stem
    words = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", name)).strip("_")
    return words.encode("utf-8", "ignore")[:MAX_NAME_BYTES].decode("utf-8", "ignore") or "project"


def _project_below_runs(inputs: Sequence[Path], preset: str | None) -> Path:
    """Return the project below runs/ that was made of the inputs, or the first folder that is
    free."""
    name = project_name(inputs[0])
    matches, differences = [], []
    for folder in _numbered(name):
        if _is_project(folder):
            record = read_record(folder)
            difference = record.difference(folder, inputs, preset)
            if difference is None:
                matches.append((folder, record.preset))
            else:
                differences.append(f"{folder}: {difference}")
    if len({made_from for _, made_from in matches}) > 1:
        listed = ", ".join(f"{folder} (preset {made_from})" for folder, made_from in matches)
        raise InputError(
            f"several projects are made of this input: {listed}",
            where=str(inputs[0]),
            fix="say which by --project or --preset",
        )
    if matches:
        return matches[0][0]
    names = (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))
    free = next(RUNS / name for name in names if is_free(RUNS / name))
    for difference in differences:
        log.warning("%s; this one is %s", difference, free)
    return free


def _numbered(name: str) -> list[Path]:
    """Return what stands below runs/ as NAME, NAME_2, NAME_3, ..., in the order of the numbers."""
    if not RUNS.is_dir():
        return []
    pattern = re.compile(re.escape(name) + r"(?:_([1-9][0-9]{0,8}))?")
    matches = [match for one in RUNS.iterdir() if (match := pattern.fullmatch(one.name))]
    return [RUNS / match[0] for match in sorted(matches, key=lambda match: int(match[1] or 1))]


def _is_project(folder: Path) -> bool:
    return (folder / "params.yaml").is_file()
