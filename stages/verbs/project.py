"""A project of the user's own: made from a preset and an input, and run from end to end."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from lyra_data.engine.atomic import (
    flush_all_to_disk,
    followed,
    partial_folder,
    remove_leftovers,
    storage_errors,
)
from lyra_data.engine.documents import parse_yaml
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.locks import held_lock
from lyra_data.engine.progress import Progress, silent
from lyra_data.models.depth.at_hand import SMALLEST
from lyra_data.sources.detection import source_params_of_each, taking_at_most
from stages.presets import DEMO, PICTURES_PRESET, PROJECT_FILES, VIDEO_PRESET, preset_file
from stages.running import run_timed
from stages.summary import Summary, counted
from stages.verbs.project_inputs import bring_in
from stages.verbs.project_pictures import estimated_depth, only_pictures, with_files_beside
from stages.verbs.project_record import INPUTS, write_record
from stages.workspace import PUBLISH, STAGES, Workspace

SOURCES_BLOCK = re.compile(r"^  sources:\n(?:    .*\n)+", re.MULTILINE)


DEPTH_BLOCK = re.compile(r"^  depth:\n(?:    .*\n)+", re.MULTILINE)


def init_project(
    folder: Path,
    inputs: Sequence[Path],
    *,
    preset: str | None = None,
    needs_models: bool = False,
    size: tuple[int, int] | None = None,
    max_frames: int | None = None,
) -> Summary:
    """Make a project: the preset's params.yaml with these inputs as sources, dvc.yaml, inputs/.

    Files are linked into inputs/, or copied where the file system cannot link. Where pictures come
    without depth and the preset names no depth model, one that is at hand is written, or the
    smallest. Without inputs, the preset's own sources stay.

    Args:
        preset: None: `photo` for pictures alone, `video` for other inputs, `demo` for none.
        needs_models: refuse pictures without depth where no depth model is at hand.
        size: height and width of annotated frames; None: as the preset has it.
        max_frames: most frames of every video; None: all of them.

    Raises:
        InputError: the folder is not empty, or an input is missing or of no known kind.
        ParamsError: there is no such preset; no depth model is at hand.
    """
    if not is_free(folder):
        raise _not_empty(folder)
    each = source_params_of_each([path.absolute() for path in inputs])
    sources = [source for found in each.values() for source in found]
    limited = iter(taking_at_most(sources, max_frames))
    preset = preset or _preset_for(sources)
    text = preset_file(preset).read_text(encoding="utf-8")
    text, notes = with_depth_model(text, sources, folder, needs_models=needs_models)
    with new_project_folder(folder) as made:
        (made / INPUTS).mkdir()
        local: list[dict[str, Any]] = []
        origins = {}
        for path, found in each.items():
            local += [_with_local_path(next(limited), path) for _ in found]
            for file in with_files_beside([path]):
                _bring_in(file, made / INPUTS)
                origins[_name_of(file)] = file
        write_record(made, preset, origins)
        write_project(made, preset, text, local, size=size)
    made_of = counted(len(sources), "input") if sources else "the preset's own source"
    return Summary(
        "init",
        f"{folder} made from preset {preset} with {made_of}",
        {"project": str(folder), "preset": preset, "sources": local},
        (*notes, Text(f"next: lyra-data run --project {folder}")),
    )


_CREW = ("executor", "workers", "ray_address")
OPTIONS_OF = {
    "annotate": (*_CREW, "device", "offload"),
    "generate": (*_CREW, "device", "offload"),
    "package": _CREW,
    "train": ("device",),
    "evaluate": (*_CREW, "device"),
    "reconstruct": (*_CREW, "device"),
}
"""Stage -> options of the command line that are handed on to it where several stages are run."""


def write_project(
    made: Path,
    preset: str,
    text: str,
    sources: Sequence[Mapping[str, Any]],
    *,
    size: tuple[int, int] | None = None,
) -> None:
    """Write what a project needs beside its inputs: params.yaml, dvc.yaml and where models start.

    Args:
        made: an empty folder but for `inputs`.
        text: the preset's params.yaml.
        sources: params of sources, with paths as they are to stand in params.yaml; none: those of
            the preset.
        size: height and width of annotated frames; None: as the preset has it.
    """
    if sources:
        assert SOURCES_BLOCK.search(text), f"preset {preset} has no block of sources"
        text = SOURCES_BLOCK.sub(lambda _: f"  sources:\n{_block(list(sources))}", text, count=1)
    if size is not None:
        text = _with_size(text, preset, *size)
    (made / INPUTS).mkdir(exist_ok=True)
    (made / "params.yaml").write_text(text, encoding="utf-8")
    shutil.copyfile(PROJECT_FILES / "pipeline.yaml", made / "dvc.yaml")
    (made / PUBLISH).mkdir()
    shutil.copyfile(PROJECT_FILES / "publish.yaml", made / PUBLISH / "dvc.yaml")
    shutil.copyfile(PROJECT_FILES / "dvcignore", made / ".dvcignore")
    start = made / "outputs" / "models" / "random_weights"
    start.mkdir(parents=True)
    shutil.copyfile(PROJECT_FILES / "random_weights.md", start / "README.md")


def _with_size(text: str, preset: str, height: int, width: int) -> str:
    """Return a params.yaml whose annotator makes frames of another size."""
    head, annotator, rest = text.partition("\n  annotator:\n")
    for name, value in (("height", height), ("width", width)):
        line = re.compile(rf"^    {name}: \d+", re.MULTILINE)
        assert line.search(rest), f"preset {preset} states no {name} of its annotator"
        rest = line.sub(f"    {name}: {value}", rest, count=1)
    return head + annotator + rest


def run_project(folder: Path, *, progress: Progress = silent, **options: Any) -> Summary:
    """Run every stage in order; what is finished is not done again.

    Args:
        options: of the command line, each for the stages that have it (`OPTIONS_OF`).

    Raises:
        InputError: the folder holds no params.yaml.
        BusyError: another process runs this project.
        LyraError: as the stage that fails.
    """
    params_file = folder / "params.yaml"
    if not params_file.is_file():
        raise InputError(
            "there is no project here",
            where=str(folder),
            fix="give an input, and a project is made of it: lyra-data run VIDEO",
        )
    workspace = Workspace(folder.resolve())
    summaries = run_stages(workspace, STAGES, progress=progress, **options)
    evaluated, reconstructed = summaries["evaluate"], summaries["reconstruct"]
    return Summary(
        "run",
        f"report: {workspace.reports / 'report.html'}",
        {"project": str(folder), **{name: done.as_json() for name, done in summaries.items()}},
        (
            *(Text(f"{name}: {done.headline}") for name, done in summaries.items()),
            *evaluated.details,
            *reconstructed.details,
        ),
    )


def run_stages(
    workspace: Workspace, stages: Sequence[str], *, progress: Progress, **options: Any
) -> dict[str, Summary]:
    """Run some stages of a project, in their order, and return what each of them did.

    Args:
        options: as `run_project`.

    Raises:
        BusyError: another process runs this project.
        LyraError: as the stage that fails.
    """
    summaries = {}
    with held_lock(workspace.scratch, "run"):
        for stage in stages:
            accepted = {name: options[name] for name in OPTIONS_OF[stage] if name in options}
            params_file = workspace.root / "params.yaml"
            summaries[stage] = run_timed(stage, params_file, progress=progress, **accepted)
    return summaries


def _preset_for(sources: Sequence[dict[str, Any]]) -> str:
    if not sources:
        return DEMO
    return PICTURES_PRESET if only_pictures(sources) else VIDEO_PRESET


def with_depth_model(
    text: str, sources: Sequence[dict[str, Any]], folder: Path, *, needs_models: bool
) -> tuple[str, tuple[Text, ...]]:
    """Return a preset's text with the depth model that its pictures need, and notes for the user.

    Raises:
        ParamsError: none is at hand, and it is needed.
    """
    depth = parse_yaml(text)["annotate"]["depth"]
    notes: tuple[Text, ...] = ()
    try:
        chosen = estimated_depth(sources, depth, folder)
    except ParamsError as error:
        if needs_models:
            raise
        chosen, notes = dict(SMALLEST), (Text(f"note: {error.what}: {error.fix}"),)
    if chosen is None:
        return text, notes
    assert DEPTH_BLOCK.search(text), "the preset has no block of depth"
    return DEPTH_BLOCK.sub(lambda _: f"  depth:\n{_block(chosen)}", text, count=1), notes


def _block(values: Any) -> str:
    """Return values as YAML, as they stand in a key of a section."""
    block = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10**6)
    return "".join(f"    {line}\n" for line in block.splitlines())


def _with_local_path(source: dict[str, Any], given: Path) -> dict[str, Any]:
    """Return a source's params with its path in inputs/; it is the path that was given, or a file
    in that folder."""
    key = "path" if "path" in source else "folder"
    inside = os.path.relpath(source[key], given)
    local = Path(INPUTS) / _name_of(given) / ("" if inside == "." else inside)
    return {**source, key: local.as_posix()}


def _bring_in(path: Path, inputs: Path) -> None:
    """Bring an input's file or folder into inputs/."""
    target = inputs / _name_of(path)
    if target.exists():
        raise InputError(
            f"two inputs are called {target.name}", where=str(path), fix="rename one of them"
        )
    bring_in(path, target)


def _name_of(path: Path) -> str:
    """Return the name that an input is given by: a link's own, whose suffix tells what it is."""
    return Path(os.path.normpath(path.absolute())).name


def is_free(folder: Path) -> bool:
    """Return whether a project can be made there: nothing stands there, or an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _not_empty(folder: Path) -> InputError:
    return InputError(
        "this folder is not empty",
        where=str(folder),
        fix="name a new one; a project that is there goes on with `lyra-data run`",
    )


@contextmanager
def new_project_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder`, where nobody has made one meanwhile.

    Raises:
        InputError: something stands there now.
        StorageError: the disk is full, read-only or not permitted.
    """
    folder = followed(folder)
    with storage_errors(folder), partial_folder(folder.parent) as workplace:
        remove_leftovers(folder.parent)
        made = workplace / (folder.name or "project")
        made.mkdir()
        yield made
        flush_all_to_disk(made)
        try:
            made.rename(folder)  # onto an empty folder or none, and nothing else
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _not_empty(folder) from None
            raise
