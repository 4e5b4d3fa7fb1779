"""Gather the facts of a dataset's card as plain values, from the dataset's folder alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.summary import DatasetSummary, summarise_dataset
from lyra_data.dataset.writing.card import modalities_of
from lyra_data.engine.progress import silent
from lyra_data.scene.quality import NUMBERS
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.licences.guardrail import GuardrailState, guardrail_states
from lyra_data.sharing.licences.licence import Licence
from lyra_data.sharing.licences.uses import FactsKeeper, Statements, Use, ViewRow, count_uses
from lyra_data.views.fields import Row

_COLUMNS = [
    *("provenance", "caption", "licence", "known_fraction", "depth_scale"),
    *("num_frames", "height", "width"),
]


@dataclass(frozen=True)
class SceneFacts:
    """One line of the table of scenes.

    Attributes:
        known_fraction: mean share of pixels that came from the source, over its views; None: the
            data were converted, and do not state it.
        caption: of the first view; "".
        licence: what its row says of the source's; "".
    """

    scene_id: str
    split: str
    num_views: int
    num_frames: int
    height: int
    width: int
    known_fraction: float | None
    caption: str
    licence: str


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset as its card describes it.

    Attributes:
        licence: the one it is published under; None: none is stated.
        repository: OWNER/NAME on the Hub; None: it is read from its folder.
        version: tag that it is published as; None: the newest.
        uses: what its rows depend on.
        teachers: names of the kinds of teachers.
        num_up_to_scale: views whose depth and poses are not in metres.
        stored_bytes: size of the columns before compression, by modality and split, as the footers
            of the files state it.
    """

    licence: Licence | None
    repository: str | None
    version: str | None
    manifest: Manifest
    summary: DatasetSummary
    scenes: tuple[SceneFacts, ...]
    uses: tuple[Use, ...]
    guardrails: tuple[GuardrailState, ...]
    teachers: tuple[str, ...]
    num_up_to_scale: int
    stored_bytes: Mapping[tuple[str, str], int]
    made_by: MadeBy

    @property
    def num_views(self) -> int:
        return self.summary.whole.views

    @property
    def modalities(self) -> list[str]:
        """Return the modalities that are there: a pulled part may lack some."""
        return modalities_of(self.manifest.shards)

    @property
    def measured(self) -> Mapping[str, Any]:
        """Return the quantiles of every number of quality that some view has."""
        numbers = self.summary.numbers
        return {name: numbers[name] for name in NUMBERS if numbers[name].count}


def read_dataset_facts(
    folder: Path,
    *,
    licence: Licence | None,
    repository: str | None,
    version: str | None,
    made_by: MadeBy,
    stated: Statements | None = None,
) -> DatasetFacts:
    """Read the plain columns of all views; no picture is decoded.

    Raises:
        StageOrderError, CorruptDataError: as `SceneDataset`.
        InputError: as `count_uses`.
    """
    dataset, keeper = SceneDataset(folder), FactsKeeper()
    scenes, rows, num_up_to_scale = [], [], 0
    for entry in dataset.scenes:
        views = dataset[entry.scene_id].stored.rows("preview", _COLUMNS)
        facts = [keeper.facts_of(view["provenance"]) for view in views]
        scenes.append(_scene_facts(entry, views, is_converted="converted_from" in facts[0]))
        num_up_to_scale += sum(view["depth_scale"] != "metric" for view in views)
        rows += [
            ViewRow(entry.scene_id, view["view_index"], of_view)
            for view, of_view in zip(views, facts, strict=True)
        ]
    return DatasetFacts(
        licence=licence,
        repository=repository,
        version=version,
        manifest=dataset.manifest,
        summary=summarise_dataset(folder, sample=0, progress=silent),
        scenes=tuple(scenes),
        uses=count_uses(rows, stated),
        guardrails=guardrail_states(rows),
        teachers=tuple(sorted({row.provenance.get("teacher", "not stated") for row in rows})),
        num_up_to_scale=num_up_to_scale,
        stored_bytes=_stored_bytes(dataset),
        made_by=made_by,
    )


def _scene_facts(entry: SceneEntry, views: Sequence[Row], *, is_converted: bool) -> SceneFacts:
    first = views[0]
    known = sum(view["known_fraction"] for view in views) / len(views)
    return SceneFacts(
        entry.scene_id,
        entry.split,
        len(views),
        first["num_frames"],
        first["height"],
        first["width"],
        None if is_converted else known,
        first["caption"] or "",
        first["licence"],
    )


def _stored_bytes(dataset: SceneDataset) -> dict[tuple[str, str], int]:
    sizes: dict[tuple[str, str], int] = {}
    for shard in dataset.manifest.shards:
        footer = dataset.files.plain.footer(shard.path)
        size = sum(
            footer.row_group(group).total_byte_size for group in range(footer.num_row_groups)
        )
        key = shard.modality, shard.split
        sizes[key] = sizes.get(key, 0) + size
    return sizes
