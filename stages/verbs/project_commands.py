"""init and run: a project of the user's own, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stages.options import (
    DeviceOption,
    JsonOption,
    MaxFramesOption,
    OffloadOption,
    PresetOption,
    WorkersOption,
)
from stages.running import guarded


def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder; new or empty.")],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            help="What it is made of; the demo's built-in scene where not given.",
            show_default=False,
        ),
    ] = None,
    preset: PresetOption = None,
    max_frames: MaxFramesOption = None,
    remote: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where `dvc push` takes its data: a folder, ssh://HOST/PATH, s3://BUCKET/PATH or "
            "hf://buckets/NAMESPACE/NAME. A project that is there gets it too.",
            show_default=False,
        ),
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Server of s3:// that is not Amazon's.", show_default=False
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write, read and remove a few bytes at --remote, as DVC will do."
        ),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Make a project: a preset's params.yaml and dvc.yaml around inputs of your own.

    Without inputs it is the demo, whose scene is built in.

    Writes FOLDER/params.yaml, FOLDER/dvc.yaml and FOLDER/inputs. Then `lyra-data run --project
    FOLDER` runs every stage, as does `dvc repro` in it once `dvc init` (with `--no-scm` outside
    of git, `--subdir` inside) has been run there. With --remote it is a DVC project already; the
    address stands in .dvc/config, and credentials never do.
    """
    if remote is None and (endpoint_url is not None or check):
        option = "--check" if endpoint_url is None else "--endpoint-url"
        raise typer.BadParameter(f"{option} is for --remote, and none is given")

    def work(_: Any) -> Any:
        from stages.verbs.project import init_project
        from stages.verbs.project_remote import both_summaries, set_remote
        from stages.verbs.remote_address import parse_remote

        address = None if remote is None else parse_remote(remote, endpoint_url)
        is_project = (folder / "params.yaml").is_file() and not inputs and preset is None
        if address is not None and is_project:
            return set_remote(folder, address, check=check)
        made = init_project(folder, inputs or [], preset=preset, max_frames=max_frames)
        return (
            made
            if address is None
            else both_summaries(made, set_remote(folder, address, check=check))
        )

    guarded(work, json_output)


def run(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            help="Pictures, videos (or what else `annotate` takes) of a new project.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            help="The project's folder; not given: runs/NAME of the first input, or runs/NAME_2 "
            "where that is of another one."
        ),
    ] = None,
    preset: PresetOption = None,
    max_frames: MaxFramesOption = None,
    json_output: JsonOption = False,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    offload: OffloadOption = "none",
) -> None:
    """Run all stages on inputs of your own, from annotate to a scene.

    Makes a project as `init` does, and runs annotate, generate, package, train, evaluate and
    reconstruct in it.
    Started again with the same inputs, it goes on in the same project. Other inputs, or another
    preset, get a project of their own; a project that --project names is never run on inputs or
    with a preset that it was not made of.
    """

    def work(progress: Any) -> Any:
        from stages.verbs.project import run_project
        from stages.verbs.project_choice import made_project

        folder = made_project(project, inputs or [], preset, max_frames=max_frames)
        options = {"workers": workers, "device": device, "offload": offload}
        return run_project(folder, progress=progress, **options)

    guarded(work, json_output)
