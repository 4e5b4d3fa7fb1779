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
from lyra_data.engine.errors import InputError
from lyra_data.engine.locks import held_lock
from lyra_data.engine.progress import Progress, silent
from lyra_data.sources.detection import source_params_of_all
from stages.presets import REPOSITORY, preset_file
from stages.running import run_timed
from stages.summary import Summary, counted
from stages.verbs.project_inputs import bring_in
from stages.verbs.project_record import INPUTS, write_record
from stages.workspace import STAGES, Workspace

CODE = ("lyra_data/", "lyra_model/", "stages/")
"""Dependencies of dvc.yaml that lie in the repository and not in a project."""

SOURCES_BLOCK = re.compile(r"^  sources:\n(?:    .*\n)+", re.MULTILINE)


def init_project(
    folder: Path, inputs: Sequence[Path], *, preset: str, size: tuple[int, int] | None = None
) -> Summary:
    """Make a project: the preset's params.yaml with these inputs as sources, dvc.yaml, inputs/.

    Files are linked into inputs/, or copied where the file system cannot link.

    Args:
        size: height and width of annotated frames; None: as the preset has it.

    Raises:
        InputError: the folder is not empty, or an input is missing or of no known kind.
        ParamsError: there is no such preset.
    """
    if not is_free(folder):
        raise _not_empty(folder)
    sources = source_params_of_all([path.absolute() for path in inputs])
    with new_project_folder(folder) as made:
        (made / INPUTS).mkdir()
        local, origins = [], {}
        for source, path in zip(sources, inputs, strict=True):
            local.append(_bring_in(source, path, made / INPUTS))
            origins[_name_of(path)] = path
        write_record(made, preset, origins)
        write_project(made, preset, local, size=size)
    return Summary(
        "init",
        f"{folder} made from preset {preset} with {counted(len(sources), 'input')}",
        {"project": str(folder), "preset": preset, "sources": local},
        (Text(f"next: lyra-data run --project {folder}"),),
    )


def write_project(
    made: Path,
    preset: str,
    sources: Sequence[Mapping[str, Any]],
    *,
    size: tuple[int, int] | None = None,
) -> None:
    """Write what a project needs beside its inputs: params.yaml, dvc.yaml and where models start.

    Args:
        made: an empty folder but for `inputs`.
        sources: params of sources, with paths as they are to stand in params.yaml; none: those of
            the preset.
        size: height and width of annotated frames; None: as the preset has it.

    Raises:
        ParamsError: there is no such preset.
    """
    text = preset_file(preset).read_text(encoding="utf-8")
    if sources:
        block = yaml.safe_dump(list(sources), sort_keys=False, allow_unicode=True, width=10**6)
        indented = "".join(f"    {line}\n" for line in block.splitlines())
        assert SOURCES_BLOCK.search(text), f"preset {preset} has no block of sources"
        text = SOURCES_BLOCK.sub(lambda _: f"  sources:\n{indented}", text, count=1)
    if size is not None:
        text = _with_size(text, preset, *size)
    (made / INPUTS).mkdir(exist_ok=True)
    (made / "params.yaml").write_text(text, encoding="utf-8")
    (made / "dvc.yaml").write_text(_pipeline_without_code(), encoding="utf-8")
    shutil.copyfile(REPOSITORY / ".dvcignore", made / ".dvcignore")
    start = Path("outputs") / "models" / "random_weights"
    (made / start).mkdir(parents=True)
    shutil.copyfile(REPOSITORY / start / "README.md", made / start / "README.md")


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
        options: of `lyra-data annotate` and `generate`: device, offload, workers. The
            device is that of `train` and `evaluate` too.

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
            accepted = options if stage in ("annotate", "generate") else {}
            if stage in ("train", "evaluate", "reconstruct") and "device" in options:
                accepted = {"device": options["device"]}
            params_file = workspace.root / "params.yaml"
            summaries[stage] = run_timed(stage, params_file, progress=progress, **accepted)
    return summaries


def _bring_in(source: dict[str, Any], path: Path, inputs: Path) -> dict[str, Any]:
    """Bring a source's file or folder into inputs/, and return its params with the new path."""
    target = inputs / _name_of(path)
    if target.exists():
        raise InputError(
            f"two inputs are called {target.name}", where=str(path), fix="rename one of them"
        )
    bring_in(path, target)
    key = "path" if "path" in source else "folder"
    return {**source, key: f"{INPUTS}/{target.name}"}


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


def _pipeline_without_code() -> str:
    """The repository's dvc.yaml for a project elsewhere: its code is the installed one."""
    lines = (REPOSITORY / "dvc.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.strip().removeprefix("- ").startswith((*CODE, "#"))]
    note = "# The code is not among the dependencies: after an upgrade, `dvc repro --force`."
    return "\n".join([note, *kept]) + "\n"
