"""visualise: what a trained decoder makes of a dataset's scenes, as training draws it. No stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import DeviceOption, JsonOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from rich.table import Table

    from stages.summary import Summary
    from stages.verbs.visualise_inputs import Choices


def visualise(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A trained phase, by its name or its folder (outputs/models/PHASE), or "
            "hf://OWNER/NAME of the Hub.",
            show_default=False,
        ),
    ],
    scenes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|ID",
            help="So many validation scenes (5), or the scenes of a name or a pattern (town-*); "
            "may be repeated. Not given: 4; without validation scenes the first scene.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write: new, empty, or written by this verb. Not given: "
            "reports/visualised/PHASE of the project.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Another dataset than the project's outputs/dataset: a folder, "
            "hf://datasets/OWNER/NAME, http(s)://, s3://.",
            show_default=False,
        ),
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option(
            "--params",
            help="The project's params.yaml. Not given: that of the project that the checkpoint "
            "lies in, or the one here.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Draw what a trained decoder makes of a dataset's scenes: grids, videos and PLYs.

    For every scene a folder with grid.png (a row a view: a frame that the decoder read, a target,
    its render, depth and error), video.mp4 (an orbit: colours, and depth beside them) and
    scene.ply; beside them pictures.json with the PSNR of every view. Of a scene that stands still,
    targets are frames that no phase has read or was supervised by; of a moving one, all views at
    one moment. Training draws the same at intervals and at the end of every phase.
    """

    def work(progress: Any) -> Summary:
        from stages.verbs.visualise_inputs import Choices

        choices = Choices(checkpoint, tuple(scenes or ()), output, dataset, params, device)
        return run_visualise(choices, progress=progress)

    guarded(work, json_output)


def run_visualise(choices: Choices, *, progress: Any) -> Summary:
    """Draw the scenes of a dataset that are chosen.

    Raises:
        InputError: there is no such checkpoint or scene, the dataset is of another codec or too
            small, or the output folder holds files of others.
        StageOrderError: there is no such dataset.
        CorruptDataError: the checkpoint or the dataset is cut or altered.
        StorageError: the disk is full or cannot be written.
    """
    from rich.text import Text

    from lyra_model.training.visualiser import Visualiser
    from stages.summary import Summary
    from stages.verbs.visualise_inputs import opened

    made = opened(choices)
    visualiser = Visualiser(
        made.reader, made.trained.name, made.trained.phase, made.rendering, made.scene_ids
    )
    progress.start("Drawing", len(made.scene_ids), "scenes")
    facts = visualiser.draw(
        made.decoder,
        made.output,
        step=made.trained.phase.steps,
        origin=made.origin,
        progress=progress,
    )
    progress.finish()
    drawn = counted(len(made.scene_ids), "scene")
    return Summary(
        "visualise",
        f"{drawn} of phase {made.trained.name}: {made.output}",
        {"output": str(made.output), **facts},
        (_table(facts["scenes"]), Text(f"look at {made.output / made.scene_ids[0]}", no_wrap=True)),
    )


def _table(scenes: list[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(width=80, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("scene", overflow="fold")
    table.add_column("split")
    for name in ("views", "Gaussians", "PSNR of the targets"):
        table.add_column(name, justify="right", no_wrap=True)
    for scene in scenes:
        score = "-" if scene["psnr_db"] is None else f"{scene['psnr_db']:.2f} dB"
        views, gaussians = str(len(scene["views"])), f"{scene['num_gaussians']:,}"
        table.add_row(scene["scene_id"], scene["split"], views, gaussians, score)
    return table
