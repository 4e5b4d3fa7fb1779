"""Code dependencies: the files of ours that a stage runs, as dvc.yaml lists them.

`make docs` writes them into dvc.yaml, between two comments of every stage. They are read from the
source by `lyra_data.engine.imports`, as the hash of code in scratch keys is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.engine.imports import DATA_SUFFIXES, files_run_by, modules_run_by
from lyra_data.generation.teachers import TEACHERS
from lyra_data.models.codecs import CODECS
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.sources import SOURCES
from stages.workspace import STAGES

REGISTRIES = {
    "lyra_data/annotation/annotators": ANNOTATORS,
    "lyra_data/generation/teachers": TEACHERS,
    "lyra_data/models/codecs": CODECS,
    "lyra_data/models/depth": DEPTH_ESTIMATORS,
    "lyra_data/sources": SOURCES,
}

CHOSEN_BY = {
    "annotate": {
        "lyra_data/annotation/annotators": "annotate.annotator.name",
        "lyra_data/models/depth": "annotate.depth.name",
    },
    "generate": {
        "lyra_data/generation/teachers": "generate.teacher.name",
        "lyra_data/models/codecs": "generate.codec.name",
        "lyra_data/models/depth": "generate.extension.depth.name",
    },
    "package": {"lyra_data/models/codecs": "generate.codec.name"},
    "train": {"lyra_data/models/codecs": "train.codec.name"},
    "evaluate": {
        "lyra_data/generation/teachers": "evaluate.warp_baseline.name",
        "lyra_data/models/codecs": "train.codec.name",
        "lyra_data/models/depth": "generate.extension.depth.name",
    },
    "reconstruct": {
        "lyra_data/generation/teachers": "generate.teacher.name",
        "lyra_data/models/codecs": "generate.codec.name",
        "lyra_data/models/depth": "generate.extension.depth.name",
    },
}
"""Stage -> folder of kinds -> key of params.yaml that chooses one. DVC puts its value into a path;
of folders that are not named here, and of `sources`, which is a list, every kind is listed."""

BLOCK = re.compile(
    r"^(?P<indent> +)# code: written by `make docs`\n(?:.*\n)*?(?P=indent)# end of code\n",
    re.MULTILINE,
)


def with_code_dependencies(pipeline: str, repository: Path) -> str:
    """Return the text of dvc.yaml with the code of every stage, in the order of the stages.

    Raises:
        ValueError: a stage has no block of code, or a block no stage.
    """
    blocks = list(BLOCK.finditer(pipeline))
    if len(blocks) != len(STAGES):
        raise ValueError(f"dvc.yaml has {len(blocks)} blocks of code for {len(STAGES)} stages")
    names = iter(STAGES)

    def block(match: re.Match[str]) -> str:
        indent = match["indent"]
        lines = [f"- {path}" for path in code_dependencies(next(names), repository)]
        lines = ["# code: written by `make docs`", *lines, "# end of code"]
        return "".join(f"{indent}{line}\n" for line in lines)

    return BLOCK.sub(block, pipeline)


def code_dependencies(stage: str, repository: Path) -> list[str]:
    """Return the files and whole folders that a stage runs, with `${key}` for the chosen kinds.

    What a kind imports is listed whichever is chosen, for DVC cannot make that depend on params;
    scratch keys name the chosen kinds alone, so that a change elsewhere repeats no work.
    """
    modules = {f"stages.{stage}"}
    chosen: dict[str, str] = {}
    while True:
        reached = {name.replace(".", "/") for name in modules_run_by(*modules)}
        new = [folder for folder in REGISTRIES if folder in reached and folder not in chosen]
        if not new:
            break
        for folder in new:
            kinds = [REGISTRIES[folder].module(name) for name in REGISTRIES[folder].names()]
            chosen[folder] = CHOSEN_BY[stage].get(folder, "")
            modules |= _beside(kinds) if chosen[folder] else set(kinds)
    patterns = [f"{folder}/${{{key}}}.py" for folder, key in chosen.items() if key]
    return sorted([*_folded(files_run_by(*modules), repository), *patterns])


def _beside(kinds: list[str]) -> set[str]:
    """Return what the modules of kinds run beside themselves."""
    return {module for kind in kinds for module in modules_run_by(kind) - {kind}}


def _folded(files: Iterable[str], repository: Path) -> set[str]:
    """Return the files, with a folder in place of its files wherever all of them are among them."""
    paths = set(files)
    folders = {parent.as_posix() for name in paths for parent in Path(name).parents}
    for folder in sorted(folders - {"."}, key=len):
        inside = {
            path.relative_to(repository).as_posix()
            for path in (repository / folder).rglob("*")
            if path.suffix in (".py", *DATA_SUFFIXES)
        }
        if inside <= paths:
            paths = (paths - inside) | {folder}
    return paths
