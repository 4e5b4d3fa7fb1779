"""reconstruct: pictures, videos, words, clips, views or datasets' scenes, made scenes to turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stages.options import (
    DeviceOption,
    ExecutorOption,
    JsonOption,
    MaxFramesOption,
    OffloadOption,
    ParamsOption,
    RayAddressOption,
    WorkersOption,
)
from stages.running import guarded, run_timed

OF_INPUTS = "Of INPUTs alone; without, params.yaml says it"


def reconstruct(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Pictures, videos, folders that annotate takes, clips, folders of views, "
            "DATASET#SCENE (also hf://), data in Lyra's layout, or motorcycle, the built-in photo.",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Make a picture of this text, and the scene of it.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write, new or one that this command wrote; of several scenes, each "
            "has a folder in it. Not given: outputs/scenes of the project.",
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    method: Annotated[
        Literal["fit", "unproject", "decoder"] | None,
        typer.Option(
            metavar="METHOD",
            help="fit: Gaussians of the pixels, optimised against the views. unproject: these "
            "Gaussians as they are. decoder: those of a trained decoder (--weights). "
            "Not given: decoder where --weights is, else fit.",
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="The decoder: a checkpoint's folder, e.g. outputs/models/demo or what `lyra-data "
            "weights convert lyra` wrote; or cpu-small, which is shipped; or "
            "hf://OWNER/NAME[@REVISION] of the Hub.",
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    refine: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps of fitting after the decoder.",
            min=0,
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of fitting.", min=0, show_default=False, rich_help_panel=OF_INPUTS
        ),
    ] = None,
    pixels: Annotated[
        int | None,
        typer.Option(
            help="Pixels of a picture, about; its shape is the input's. Not given: 98304 (384x256) "
            "of a picture, 49152 of a video.",
            min=1024,
            max=4_000_000,
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    max_frames: MaxFramesOption = None,
    render_path: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="The camera's way in the videos: orbit, arc, dolly, or a file of cameras "
            "(docs/camera-paths.md).",
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Settings to start from: a file's name in the folder presets.",
            rich_help_panel=OF_INPUTS,
        ),
    ] = "scene",
    project: Annotated[
        Path | None,
        typer.Option(
            help="The folder of unfinished work and of the settings; not given: runs/NAME of the "
            "first input.",
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    params: ParamsOption = Path("params.yaml"),
    max_memory: Annotated[
        float | None,
        typer.Option(
            metavar="GIB",
            help="Read fewer frames and make fewer Gaussians where a scene would take more memory.",
            min=0.1,
            show_default=False,
            rich_help_panel=OF_INPUTS,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Make the project, say what it would do and hold in memory, and stop.",
            rich_help_panel=OF_INPUTS,
        ),
    ] = False,
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    ray_address: RayAddressOption = "auto",
    device: DeviceOption = None,
    offload: OffloadOption = "none",
) -> None:
    """Make 3D Gaussian scenes that can be turned, shared and opened elsewhere.

    Writes a folder for every scene: scene.html (one file, opens offline in a browser), scene.ply,
    video.mp4 and depth.mp4 along a camera path, cameras.json and report.json (what was used, PSNR
    of frames read, of frames held out and of real photos, and how far the camera may move before
    holes show). Of a moving scene there are several moments, and videos through space, through time
    and through both.

    Without INPUT it is the last stage of the project here: it reads params.yaml, section
    **reconstruct**, and outputs/views, and writes outputs/scenes. With INPUTs it makes a project of
    them (runs/NAME) and runs annotate and generate first; what is finished there is used again. The
    same input and settings give the same bytes, but for the times in report.json. A killed run goes
    on when the same command is given again. Workers take a scene each, and change no byte.
    """
    crew = {"executor": executor, "workers": workers, "ray_address": ray_address, "device": device}
    changes = {
        "method": method or ("decoder" if weights else None),
        "weights": weights,
        "refine_steps": refine,
    }

    def work(progress: Any) -> Any:
        if method == "decoder" and weights is None:
            raise typer.BadParameter("--method decoder needs --weights, e.g. cpu-small")
        if not inputs and prompt is None:
            of_inputs = (output, steps, pixels, max_frames, render_path, project, max_memory)
            if dry_run or any(value is not None for value in (*changes.values(), *of_inputs)):
                raise typer.BadParameter(
                    "--output, --method, --weights, --refine, --steps, --pixels, --max-frames, "
                    "--render-path, --project, --max-memory and --dry-run are of INPUTs; of the "
                    "project here, params.yaml says them"
                )
            if not params.exists():
                from lyra_data.engine.errors import InputError

                raise InputError(
                    "neither an INPUT nor a project is given",
                    where=str(params),
                    fix="name a picture, a video, or motorcycle, the built-in photo; or run it in "
                    "a project's folder",
                )
            return run_timed("reconstruct", params, progress=progress, **crew)

        from stages.verbs.reconstruct_inputs import Request, reconstruct_inputs

        request = Request(
            inputs=tuple(inputs or ()),
            prompt=prompt,
            output=output,
            changes={name: value for name, value in changes.items() if value is not None},
            steps=steps,
            pixels=pixels,
            render_path=render_path,
            max_frames=max_frames,
            preset=preset,
            project=project,
            dry_run=dry_run,
            max_bytes=None if max_memory is None else round(max_memory * 2**30),
        )
        return reconstruct_inputs(request, progress=progress, offload=offload, **crew)

    guarded(work, json_output)
