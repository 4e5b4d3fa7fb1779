"""browse: static pages to look through a packaged dataset. No DVC stage: it changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import DatasetArgument, JsonOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from stages.summary import Summary


def browse(
    dataset: DatasetArgument,
    output: Annotated[
        Path, typer.Option(help="The folder to write; new or empty.", show_default=False)
    ],
    split: Annotated[
        str | None, typer.Option(help="Only this split's scenes.", show_default=False)
    ] = None,
    scene: Annotated[
        list[str] | None, typer.Option(help="Only this scene; may be repeated.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Write pages to look through a dataset in a browser; open index.html, nothing is served.

    The catalogue has a strip of frames for every view, and filters by camera path, split, scene
    and quality. A scene's page plays all its views in step, with their depth and what was
    invented, shows their cameras in 3D, and lists their numbers.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.dataset.reading.reader import SceneDataset
        from lyra_model.browsing.browse import browse_dataset
        from stages.summary import Summary

        opened = SceneDataset(dataset, split=split)
        written = browse_dataset(opened, output, scenes=scene, progress=progress)
        facts = {
            "dataset": dataset,
            "page": str(written.index),
            "num_scenes": written.num_scenes,
            "num_views": written.num_views,
        }
        counts = f"{counted(written.num_views, 'view')} of {counted(written.num_scenes, 'scene')}"
        return Summary("browse", f"{counts}: open {written.index}", facts)

    guarded(work, json_output)
