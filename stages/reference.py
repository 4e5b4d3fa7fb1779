"""Reference pages: docs/params.md and docs/schema.md, written from the code they describe.

python -m stages.reference
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyra_data.dataset.fields import FIELDS
from lyra_data.dataset.schema import FORMAT_VERSION
from stages.params import load_yaml
from stages.params_reference import params_rows

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

Format version {FORMAT_VERSION}. `outputs/dataset/data` holds Parquet files: a row is a view, a row
group is a scene, and no column is null unless its encoding says so.
`outputs/dataset/meta/manifest.json` names every file and every scene, with hashes, and every view
that was dropped. Columns are declared in `lyra_data/dataset/fields.py`. `SceneDataset` in
`lyra_data/dataset/reader.py` reads them and refuses what is not as it was written.

| column | Arrow type | encoding | meaning |
| --- | --- | --- | --- |
"""


def params_page(values: Mapping[str, Any]) -> str:
    """docs/params.md: every key, with its value in `values` (the whole of params.yaml)."""
    rows = params_rows(values)
    return PARAMS_HEAD + "".join(_line(f"`{key}`", *cells) for key, *cells in rows)


def schema_page() -> str:
    """docs/schema.md: every column of the dataset."""
    lines = []
    for field in FIELDS:
        meaning = f"{field.meaning}; one entry a frame" if field.per_frame else field.meaning
        lines.append(_line(f"`{field.name}`", f"`{field.type}`", field.encoding, meaning))
    return SCHEMA_HEAD + "".join(lines)


def _line(*cells: str) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |\n"


if __name__ == "__main__":
    docs = REPOSITORY / "docs"
    (docs / "params.md").write_text(params_page(load_yaml(REPOSITORY / "params.yaml")), "utf-8")
    (docs / "schema.md").write_text(schema_page(), "utf-8")
