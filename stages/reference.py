"""References: docs/params.md, docs/schema.md, the code in dvc.yaml and what the package carries of
the repository's own project, written from the code.

python -m stages.reference
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyra_data.dataset.format.layout import FORMAT_VERSION, MODALITIES, columns_of
from stages.code_dependencies import with_code_dependencies
from stages.params import load_yaml
from stages.params_reference import params_rows
from stages.presets import DEMO, FOLDER, PROJECT_FILES

REPOSITORY = Path(__file__).resolve().parent.parent

GENERATED = "<!-- Written by `python -m stages.reference`: change the code, not this page. -->"

PARAMS_HEAD = f"""{GENERATED}

# The keys of params.yaml

`*` stands for the name of a phase, `[]` for a place in a list. The value is the one in this
repository's params.yaml, and empty where the file does not use that kind. No key has a default: a
missing key is refused, and so is an unknown one. Lyra 1's values stand in [brackets].

| key | value | type | meaning |
| --- | --- | --- | --- |
"""

SCHEMA_HEAD = f"""{GENERATED}

# The columns of the dataset

Format version {FORMAT_VERSION}. `outputs/dataset/data` has a folder of Parquet files for every
modality: a row is a view and a row group is a scene, in the same order in all of them; a scene of
more than 256 MiB of one modality has several row groups (then the version is 3).
`outputs/dataset/meta/manifest.json` names every file and every scene, with hashes, and every view
that was dropped; `meta/index` has the place and the hashes of every blob. No column is null unless
its encoding says so. Columns are declared in `lyra_data/views/fields.py` and dealt out in
`lyra_data/dataset/format/layout.py`. How to read them: [dataset.md](dataset.md).
"""


def params_page(values: Mapping[str, Any]) -> str:
    """Return docs/params.md: every key, with its value in `values` (the whole of params.yaml)."""
    rows = params_rows(values)
    return PARAMS_HEAD + "".join(_line(f"`{key}`", *cells) for key, *cells in rows)


def schema_page() -> str:
    """Return docs/schema.md: every column of the dataset."""
    lines = []
    for modality in MODALITIES:
        lines.append(f"\n## {modality}\n\n")
        lines.append("| column | Arrow type | encoding | meaning |\n| --- | --- | --- | --- |\n")
        for column in columns_of(modality):
            cells = (f"`{column.name}`", f"`{column.type}`", column.encoding, column.meaning)
            lines.append(_line(*cells))
    return SCHEMA_HEAD + "".join(lines)


CODE = ("lyra_data/", "lyra_model/", "stages/")
"""Dependencies of dvc.yaml that lie in the repository and not in a project."""


def packaged_files() -> dict[Path, str]:
    """Return the files of the package that copy the repository's own project, with their texts.

    The pipeline leaves out the code and what is said to its developers: where a project runs, the
    code is the installed one.
    """
    lines = (REPOSITORY / "dvc.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.strip().removeprefix("- ").startswith((*CODE, "#"))]
    note = "# The code is not among the dependencies: after an upgrade, `dvc repro --force`."
    start = REPOSITORY / "outputs" / "models" / "random_weights" / "README.md"
    return {
        FOLDER / f"{DEMO}.yaml": (REPOSITORY / "params.yaml").read_text(encoding="utf-8"),
        PROJECT_FILES / "pipeline.yaml": "\n".join([note, *kept]) + "\n",
        PROJECT_FILES / "publish.yaml": (REPOSITORY / "publish/dvc.yaml").read_text("utf-8"),
        PROJECT_FILES / "dvcignore": (REPOSITORY / ".dvcignore").read_text(encoding="utf-8"),
        PROJECT_FILES / "random_weights.md": start.read_text(encoding="utf-8"),
    }


def _line(*cells: str) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |\n"


if __name__ == "__main__":
    docs = REPOSITORY / "docs"
    (docs / "params.md").write_text(params_page(load_yaml(REPOSITORY / "params.yaml")), "utf-8")
    (docs / "schema.md").write_text(schema_page(), "utf-8")
    pipeline = REPOSITORY / "dvc.yaml"
    pipeline.write_text(with_code_dependencies(pipeline.read_text("utf-8"), REPOSITORY), "utf-8")
    for path, text in packaged_files().items():
        path.write_text(text, "utf-8")
