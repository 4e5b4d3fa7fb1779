"""Write the card: README.md of a dataset, with configs for `load_dataset` and the Hub's viewer."""

from __future__ import annotations

from collections.abc import Sequence

from lyra_data.dataset.format.encoding import Encoding
from lyra_data.dataset.format.layout import FORMAT_VERSION, MODALITIES, columns_of
from lyra_data.dataset.format.manifest import SceneEntry, ShardEntry


def card_text(
    shards: Sequence[ShardEntry], scenes: Sequence[SceneEntry], encoding: Encoding
) -> str:
    """Return the text of the card of a dataset of these shards."""
    splits = sorted({shard.split for shard in shards})
    existing = {shard.modality for shard in shards}
    modalities = [name for name in MODALITIES if name in existing]
    num_views = sum(len(scene.view_indices) for scene in scenes)
    kinds = ", ".join(f"{name} {kind}" for name, kind in encoding.as_json().items())
    lines = ["---", "configs:"]
    for modality in modalities:
        lines.append(f"- config_name: {modality}")
        lines += ["  default: true"] * (modality == "preview")
        lines.append("  data_files:")
        for split in splits:
            lines += [f"  - split: {split}", f"    path: data/{modality}/{split}-*.parquet"]
    lines += [
        "---",
        "",
        "# Views of scenes, made by lyra-data",
        "",
        f"{_counted(len(scenes), 'scene')}, {_counted(num_views, 'view')}. "
        f"Format version {FORMAT_VERSION}; {kinds}.",
        "",
        "A row is a view and a row group is a scene, in the same order in every config; splits",
        "keep the views of one photo or video together. `meta/manifest.json` names every file",
        "with its sha256, `meta/index` every blob with its place and hashes.",
        "",
    ]
    for modality in modalities:
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
    return "\n".join(lines)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
