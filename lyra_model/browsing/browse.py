"""Browse: write the pages of a dataset and the files that they show, a scene at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lyra_data.clips.formats.export_folders import require_free
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress
from lyra_model.browsing.pages import catalogue_pages, render_catalogue, render_scene_page
from lyra_model.browsing.scene_files import SceneCard, write_scene_files


@dataclass(frozen=True)
class WrittenPages:
    """Counts of what was written; `index` is the first page of the catalogue."""

    index: Path
    num_scenes: int
    num_views: int
    num_pages: int


def browse_dataset(
    dataset: SceneDataset, folder: Path, *, scenes: Sequence[str] | None, progress: Progress
) -> WrittenPages:
    """Write the pages of a dataset into a new folder, which appears whole or not at all.

    Frames of one view are in memory at a time, besides the facts of all.

    Args:
        scenes: only these; None: all.

    Raises:
        InputError: the folder is not free, there is no scene, or none of that name.
        CorruptDataError: the dataset's bytes have changed.
        StorageError: the disk is full or cannot be written.
    """
    require_free(folder)
    entries = [dataset.entry(name) for name in scenes] if scenes else list(dataset.scenes)
    if not entries:
        raise InputError("it holds no scene", where=dataset.uri, fix="package some, or all splits")
    names = [entry.scene_id for entry in entries]
    cards: list[SceneCard] = []
    progress.start("Browsing", len(entries), "scenes")
    with folder_atomically(folder) as target:
        for position, entry in enumerate(entries):
            place = target / "scenes" / entry.scene_id
            place.mkdir(parents=True)
            card = write_scene_files(dataset[entry.scene_id], entry.split, place)
            page = render_scene_page(
                card,
                before=names[position - 1] if position else None,
                after=names[position + 1] if position + 1 < len(names) else None,
                dataset=dataset.uri,
            )
            (place / "index.html").write_text(page, encoding="utf-8")
            # Poses of all frames are what would grow with the dataset.
            cards.append(replace(card, views=tuple(replace(v, poses=[]) for v in card.views)))
            progress.advance(note=entry.scene_id)
        pages = catalogue_pages(cards)
        for page in pages:
            text = render_catalogue(page, dataset.uri)
            (target / page.file).write_text(text, encoding="utf-8")
    progress.finish()
    return WrittenPages(folder / pages[0].file, len(cards), pages[0].num_views, len(pages))
