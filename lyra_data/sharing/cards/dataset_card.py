"""Write the card of a dataset that is published: what is in it, how good it is, how it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lyra_data.dataset.format.manifest import CARD_PATH, MANIFEST_PATH, FileEntry, Manifest
from lyra_data.dataset.pictures.dataset_sheet import dataset_sheet_png
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.card import (
    ORDER_IN_WORDS,
    configs_of,
    counted,
    describe_columns,
    describe_format,
    front_matter,
    hub_split,
)
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.sharing.cards.card import (
    CARD_FOLDER,
    Card,
    require_no_secret,
    require_repository,
    require_version,
)
from lyra_data.sharing.cards.dataset_facts import DatasetFacts, read_dataset_facts
from lyra_data.sharing.cards.dataset_sections import (
    describe_content,
    describe_limits,
    describe_making,
    describe_quality,
)
from lyra_data.sharing.cards.licence_section import (
    licence_files,
    licence_metadata,
    licence_section,
)
from lyra_data.sharing.cards.loading import describe_frames, describe_loading
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.licences.known import require_licence
from lyra_data.sharing.licences.uses import Statements

SHEET_PATH = f"{CARD_FOLDER}/contact_sheet.png"
TAGS = ("3d", "multi-view", "camera-poses", "depth", "gaussian-splatting", "synthetic", "lyra-data")
TASKS = ("image-to-3d", "depth-estimation")
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def dataset_card(
    folder: Path,
    *,
    licence: str | None,
    repository: str | None,
    version: str | None,
    made_by: MadeBy,
    stated: Statements | None = None,
) -> Card:
    """Return the card of a dataset, and the files that go with it.

    README.md is one of the files that the manifest names, so the manifest is among the files of the
    card: with the card's own size and hash. The dataset's hash stays what it is.

    Args:
        licence: as params say it (SPDX identifier, or one of ours); None: none is stated.
        repository, version: OWNER/NAME and tag that it is to be read from; None: its folder.
        stated: licences of sources and models, as the publisher states them.

    Raises:
        StageOrderError, CorruptDataError: as `SceneDataset`.
        InputError: the licence is not known, repository or version are no names, a statement fits
            nothing, or the card would hold a token.
    """
    require_repository(repository)
    require_version(version)
    chosen = None if licence is None else require_licence(licence, where="publish: licence")
    facts = read_dataset_facts(
        folder,
        licence=chosen,
        repository=repository,
        version=version,
        made_by=made_by,
        stated=stated,
    )
    text = dataset_card_text(facts)
    require_no_secret(text, where="the dataset's card")
    pictures = {}
    if "rgb" in facts.modalities:
        pictures[SHEET_PATH] = dataset_sheet_png(SceneDataset(folder))
    files = {
        **pictures,
        MANIFEST_PATH.as_posix(): _with_card(facts.manifest, text).text(),
        **licence_files(chosen),
    }
    return Card(text, files)


def dataset_card_text(facts: DatasetFacts) -> str:
    """Return README.md of a dataset with these facts; the same facts, the same text."""
    lines = [
        *front_matter(dataset_metadata(facts)),
        f"# {title_of(facts)}",
        "",
        _summary_line(facts),
        "",
        *_picture_lines(facts),
        *describe_loading(facts),
        *describe_content(facts),
        *describe_quality(facts),
        *describe_making(facts),
        *licence_section(facts.licence, facts.uses, facts.guardrails, noun="dataset"),
        *describe_limits(facts),
        "## Files",
        "",
        describe_format(facts.manifest.encoding),
        "",
        *ORDER_IN_WORDS,
        "",
        *(_one_level_down(line) for line in describe_columns(facts.manifest.shards)),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def dataset_metadata(facts: DatasetFacts) -> dict[str, Any]:
    """Return the values of the card's YAML."""
    manifest = facts.manifest
    return {
        "pretty_name": title_of(facts),
        **licence_metadata(facts.licence),
        "task_categories": list(TASKS),
        "size_categories": [size_category(facts.num_views)],
        "tags": list(TAGS),
        "configs": configs_of(manifest.shards),
        "dataset_info": [_info(facts, name) for name in facts.modalities],
    }


def size_category(num_rows: int) -> str:
    """Return the Hub's word for so many rows."""
    return next((name for limit, name in _SIZES if num_rows < limit), "n>10M")


def title_of(facts: DatasetFacts) -> str:
    """Return the dataset's name for people."""
    if facts.repository is not None:
        return facts.repository.partition("/")[2]
    return "Views of scenes, made by lyra-data"


def _info(facts: DatasetFacts, modality: str) -> dict[str, Any]:
    """Return rows and bytes by split of a modality; `num_bytes` are those before compression."""
    shards = facts.manifest.shards_of([modality])
    names = sorted({shard.split for shard in shards})
    sizes = {name: facts.stored_bytes[modality, name] for name in names}
    rows = {name: sum(one.num_rows for one in shards if one.split == name) for name in names}
    return {
        "config_name": modality,
        "splits": [
            {"name": hub_split(name), "num_bytes": sizes[name], "num_examples": rows[name]}
            for name in names
        ],
        "download_size": sum(shard.size for shard in shards),
        "dataset_size": sum(sizes.values()),
    }


def _summary_line(facts: DatasetFacts) -> str:
    whole, summary = facts.summary.whole, facts.summary
    sources = counted(summary.num_sources, "source")
    size = sum(summary.sizes.values()) / 1e6
    version = f" Version {facts.version}." if facts.version else ""
    return (
        f"{counted(whole.scenes, 'scene')} of {sources}, {counted(whole.views, 'view')} along "
        f"camera paths, {describe_frames(whole.frames, facts.modalities)}, {size:,.1f} MB.{version}"
    )


def _picture_lines(facts: DatasetFacts) -> list[str]:
    if "rgb" not in facts.modalities:
        return []
    words = "The first frame of some scenes, and frames along their camera paths"
    return [f"![{words}]({SHEET_PATH})", ""]


def _with_card(manifest: Manifest, text: str) -> Manifest:
    """Return the manifest of the dataset with this card in the place of its own."""
    data = text.encode()
    card = FileEntry(CARD_PATH.as_posix(), len(data), sha256_of_bytes(data))
    files = tuple(card if entry.path == card.path else entry for entry in manifest.files)
    changed = replace(manifest, files=files)
    assert changed.dataset_hash == manifest.dataset_hash
    return changed


def _one_level_down(line: str) -> str:
    return f"#{line}" if line.startswith("## ") else line
