"""One scene of data in Lyra's layout, converted for reconstruct; the others are left alone."""

from __future__ import annotations

from pathlib import Path

from lyra_data.dataset.convert.from_lyra import FromLyraSettings, convert_from_lyra
from lyra_data.dataset.convert.lyra_clip import ClipSettings
from lyra_data.dataset.convert.lyra_source import LyraScene, LyraSource
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import silent

LISTED = 5


def is_lyra_layout(name: str) -> bool:
    """Return whether it is a tar, or a folder with clips of Lyra's: INDEX/rgb/NAME.mp4 in it."""
    path = Path(name)
    if path.is_file():
        return path.suffix == ".tar"
    return path.is_dir() and any(
        parent.name.isdecimal()
        for pattern in ("*/rgb", "*/*/rgb")
        for parent in (rgb.parent for rgb in path.glob(pattern))
    )


def convert_scene(layout: Path, scene: str, dataset: Path) -> SceneDataset:
    """Convert one scene, its latents and poses as sample.py of Lyra needs them.

    Args:
        layout: a folder or a tar.
        scene: its name in the layout, or its id in a dataset; "": the only one.
        dataset: the folder to write.

    Raises:
        InputError: there is no such scene, several are there and none is named, or a clip of it
            cannot be read.
        StorageError: the disk is full or cannot be written.
    """
    settings = FromLyraSettings(ClipSettings(repair_poses=True, latents="lossless"), 1, False)
    with LyraSource(layout) as source:
        source.keep(_scene_of(source, scene, layout))
        convert_from_lyra(
            source, dataset, settings, scratch=dataset.parent / ".work", progress=silent
        )
    return SceneDataset(dataset)


def _scene_of(source: LyraSource, scene: str, layout: Path) -> LyraScene:
    named, some, count = [], [], 0
    for one in source.scenes():
        count += 1
        if scene in ("", one.scene_id, one.name):
            named = [*named, one][:2]
        if len(some) < LISTED:
            some.append(one.scene_id)
    if len(named) == 1:
        return named[0]
    listed = ", ".join(some) + ", ..." * (count > LISTED)
    if not scene:
        what = f"there are {count} scenes ({listed}), and none is named"
    elif named:
        what = f"several scenes have the name {scene!r}: {named[0].scene_id}, {named[1].scene_id}"
    else:
        what = f"there is no scene {scene!r}, only {listed}"
    first = named[0].scene_id if named else some[0]
    raise InputError(what, where=str(layout), fix=f"name one: {layout}#{first}")
