"""Assembly: from finished views in the scratch store to a scene's folder in outputs/views.

Nothing of a view is copied where the file system has hard links: 400,000 views are 25 TB. A file in
outputs/views that is altered in place is therefore altered in the scratch store too; the store
checks hashes and makes it again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from lyra_data.engine.atomic import link_or_copy, storage_errors
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import checked_name
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.quality import assemble_scene
from lyra_data.views.dropped import DroppedView, read_dropped

STAGE = "generate_scenes"
DROPPED_FILE = "dropped.json"
VIEWS_FOLDER = "views"


def assemble(
    view_files: Mapping[int, Path],
    scene_id: str,
    target: Path,
    params: GenerateParams,
    *,
    store: ScratchStore,
    key: str,
) -> list[DroppedView]:
    """Choose among a scene's views and link those kept into `<target>/<scene_id>`.

    Args:
        view_files: all finished views of the scene, by the view_index they are to have.
        target: folder of all scenes.
        store: where assembled scenes wait, found again by `key`.

    Returns:
        The views that are finished but not good enough. Where that is all of them, the scene has
        no folder.

    Raises:
        CorruptDataError: a view file is cut or altered.
        StorageError: the disk is full or cannot be written.
    """
    if store.get(key) is None:
        with store.put(key) as folder:
            indices = sorted(view_files)
            files = [view_files[index] for index in indices]
            target_of_views = folder / VIEWS_FOLDER
            dropped = assemble_scene(files, target_of_views, params, view_indices=indices)
            text = json.dumps([view.as_json() for view in dropped], ensure_ascii=False)
            (folder / DROPPED_FILE).write_text(text + "\n", encoding="utf-8")
    finished = store.folder / key
    scene_folder = target / checked_name(scene_id, noun="scene_id", where=str(target))
    chosen = finished / VIEWS_FOLDER / scene_id
    with storage_errors(scene_folder):
        if scene_folder.is_dir():  # a worker died while it linked
            shutil.rmtree(scene_folder)
        for path in sorted(chosen.iterdir()) if chosen.is_dir() else ():
            scene_folder.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, scene_folder / path.name)
    return read_dropped(finished)


def nothing_kept(dropped: Sequence[DroppedView]) -> InputError:
    """Return the error of a scene whose views were all dropped."""
    return InputError(
        "\n".join(["no view is good enough:", *(f"  {view.within_scene()}" for view in dropped)]),
        where=f"scene {dropped[0].scene_id}",
        fix="look at these views, or move the limits in params.yaml: generate.quality "
        "(docs/quality.md)",
    )
