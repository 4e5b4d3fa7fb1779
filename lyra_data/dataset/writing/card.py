"""Write the plain card of a new dataset: README.md, with configs for `load_dataset` and the viewer.

A published dataset has a card that says more (`lyra_data/sharing/cards`); its configs and its lists
of columns are these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lyra_data.dataset.format.layout import FORMAT_VERSION, MODALITIES, columns_of
from lyra_data.dataset.format.manifest import SceneEntry, ShardEntry
from lyra_data.packing.encoding import Encoding

ORDER_IN_WORDS = (
    "A row is a view and a row group is a scene, in the same order in every config; splits",
    "keep the views of one photo or video together. `meta/manifest.json` names every file",
    "with its sha256, `meta/index` every blob with its place and hashes.",
)


def card_text(
    shards: Sequence[ShardEntry], scenes: Sequence[SceneEntry], encoding: Encoding
) -> str:
    """Return the text of the card of a dataset of these shards."""
    num_views = sum(len(scene.view_indices) for scene in scenes)
    lines = [
        *front_matter({"configs": configs_of(shards)}),
        "# Views of scenes, made by lyra-data",
        "",
        f"{counted(len(scenes), 'scene')}, {counted(num_views, 'view')}. "
        f"{describe_format(encoding.as_json())}",
        "",
        *ORDER_IN_WORDS,
        "",
    ]
    return "\n".join([*lines, *describe_columns(shards)])


def front_matter(values: Mapping[str, Any]) -> list[str]:
    """Return the lines of a card's metadata, whatever the texts in it hold, and a blank one."""
    text = yaml.safe_dump(
        dict(values), sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000
    )
    return ["---", *text.splitlines(), "---", ""]


def modalities_of(shards: Sequence[ShardEntry]) -> list[str]:
    """Return the modalities that are there: a part of a dataset may lack some."""
    existing = {shard.modality for shard in shards}
    return [name for name in MODALITIES if name in existing]


def configs_of(shards: Sequence[ShardEntry]) -> list[dict[str, Any]]:
    """Return a config for each modality, with the files of its splits; preview is the default."""
    splits = sorted({shard.split for shard in shards})
    return [
        {
            "config_name": modality,
            **({"default": True} if modality == "preview" else {}),
            "data_files": [
                {"split": hub_split(split), "path": f"data/{modality}/{_pattern(split, splits)}"}
                for split in splits
            ],
        }
        for modality in modalities_of(shards)
    ]


def hub_split(split: str) -> str:
    """Return the name of a split as `load_dataset` takes it: letters, digits, "_" and "."."""
    return re.sub(r"\W+", "_", split.replace("-", "_").replace(".", "_"))


def _pattern(split: str, splits: Sequence[str]) -> str:
    """Return the pattern of a split's shards alone; train-* would fit train-small's too."""
    is_prefix = any(other.startswith(f"{split}-") for other in splits)
    return f"{split}-?????-of-?????.parquet" if is_prefix else f"{split}-*.parquet"


def describe_format(encoding: Mapping[str, str]) -> str:
    """Return the version of the format and the encodings, in words."""
    kinds = ", ".join(f"{name} {kind}" for name, kind in encoding.items())
    return f"Format version {FORMAT_VERSION}; {kinds}."


def describe_columns(shards: Sequence[ShardEntry]) -> list[str]:
    """Return a section for each modality: its size, and a table of its columns."""
    lines = []
    for modality in modalities_of(shards):
        size = sum(shard.size for shard in shards if shard.modality == modality)
        lines += [
            f"## {modality} ({size / 1e6:.1f} MB)",
            "",
            "| column | Arrow type | encoding | meaning |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| `{column.name}` | `{column.type}` | {column.encoding} | {column.meaning} |"
            for column in columns_of(modality)
        ]
        lines.append("")
    return lines


def counted(count: int, noun: str) -> str:
    """Return e.g. "1 scene" or "2 scenes"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
