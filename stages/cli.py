"""lyra-data: the command line. Every verb runs the same function as its DVC stage."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lyra_data import __version__
from lyra_data.errors import LyraError

app = typer.Typer(
    name="lyra-data",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "From a photo to an evaluated 3D Gaussian scene, one reproducible stage at a time.\n\n"
        "The stages run in this order: **annotate**, **generate**, **package**, **train**, "
        "**evaluate**. `dvc repro` runs all of them and skips what is up to date; each verb here "
        "runs one. Everything that changes results is in params.yaml."
    ),
)

ParamsOption = Annotated[
    Path,
    typer.Option(
        "--params",
        help="The project's params.yaml; outputs are written beside it.",
        show_default=True,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, no bars.")
]


def _version(value: bool) -> None:
    if value:
        print(f"lyra-data {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    del version


@app.command()
def annotate(params: ParamsOption = Path("params.yaml"), json_output: JsonOption = False) -> None:
    """Read sources and give every frame a pose, intrinsics and depth.

    Reads params.yaml: **annotate**, and the folders its sources name. Writes outputs/clips and,
    for real photos kept for evaluation alone, outputs/held_out. Sizes are in pixels, depth in
    metres (or "up_to_scale", as the source says), poses camera-to-world with OpenCV axes.
    """
    _run("annotate", params, json_output)


@app.command()
def generate(params: ParamsOption = Path("params.yaml"), json_output: JsonOption = False) -> None:
    """Make synthetic views of every clip along the trajectories.

    Reads params.yaml: **generate** and **seed**, and outputs/clips. Writes outputs/views, one file
    per view. Movement distances are in units of the scene's centre depth, frames must be 8k+1.
    A killed run redoes only the view it was working on.
    """
    _run("generate", params, json_output)


@app.command()
def package(params: ParamsOption = Path("params.yaml"), json_output: JsonOption = False) -> None:
    """Put all views into one dataset of Parquet shards with a manifest.

    Reads params.yaml: **package**, and outputs/views. Writes outputs/dataset: lossless frames,
    latents, cameras, depth, masks and provenance, every file named with its sha256.
    """
    _run("package", params, json_output)


@app.command()
def train(
    params: ParamsOption = Path("params.yaml"),
    phase: Annotated[
        str | None,
        typer.Option(help="One phase of params.yaml train.phases; all in order where not given."),
    ] = None,
    checkpoint_steps: Annotated[
        int, typer.Option(help="Steps between the states a killed run resumes from.", min=1)
    ] = 25,
    json_output: JsonOption = False,
) -> None:
    """Train the 3D Gaussian decoder, one phase or all of them.

    Reads params.yaml: **train** and **seed**, outputs/dataset, and the phase that this one starts
    from. Writes outputs/models/PHASE: weights (safetensors), configuration and loss history.
    Sizes are in pixels, learning rates per step. A killed run resumes bit-exactly.
    """
    _run("train", params, json_output, phase=phase, checkpoint_steps=checkpoint_steps)


@app.command()
def evaluate(params: ParamsOption = Path("params.yaml"), json_output: JsonOption = False) -> None:
    """Measure the decoder on held-out frames and real photos, and write the report.

    Reads params.yaml: **evaluate**, and all results of the stages before. Writes
    reports/evaluation.json, reports/curves/*.csv, reports/report.html (the first scene's) and, for
    every scene, reports/scenes/SCENE/report.html and gaussians.ply.
    PSNR is in dB, SSIM and depth errors (mean absolute relative) have no unit.
    """
    _run("evaluate", params, json_output)


@app.command("check-params")
def check_params(
    params: ParamsOption = Path("params.yaml"), json_output: JsonOption = False
) -> None:
    """Check every section of params.yaml without running anything.

    Each stage checks all of params.yaml before it works. `dvc repro` starts only the stages whose
    own keys changed: run this first after editing, and a misspelt key is found wherever it stands.
    """
    _guarded(lambda _: _checked(params), json_output)


def _checked(params_file: Path) -> Any:
    from stages.params import check_all
    from stages.summary import Summary

    check_all(params_file)
    return Summary("check-params", f"{params_file} is valid")


def _run(stage: str, params_file: Path, json_output: bool, **options: Any) -> None:
    _guarded(
        lambda progress: _run_timed(stage, params_file, progress=progress, **options), json_output
    )


def _guarded(work: Callable[[Any], Any], json_output: bool) -> None:
    """Do the work and show its summary, or the error that the user can mend."""
    from rich.console import Console

    from lyra_data.progress import silent
    from stages.machine import machine_error
    from stages.progress import RichProgress

    console = Console(stderr=True)
    progress = silent if json_output else RichProgress(console)
    try:
        summary = work(progress)
    except LyraError as error:
        progress.finish()
        _fail(error, console, json_output)
    except (OSError, MemoryError, RuntimeError) as error:
        progress.finish()
        refusal = machine_error(error)
        if refusal is None:
            raise
        _fail(refusal, console, json_output)
    except KeyboardInterrupt:
        progress.finish()
        console.print("[yellow]Interrupted.[/] Run the same command again to go on from here.")
        raise typer.Exit(130) from None
    progress.finish()
    if json_output:
        print(json.dumps(summary.as_json(), indent=2))
    else:
        summary.show(Console())


def _run_timed(stage: str, params_file: Path, **options: Any) -> Any:
    """Check all of params.yaml, run the stage, and remember how long it took."""
    from stages.durations import record_duration
    from stages.params import check_all
    from stages.workspace import Workspace

    check_all(params_file)
    started = time.monotonic()
    summary = _stage_function(stage)(params_file, **options)
    name = " ".join(filter(None, (stage, options.get("phase"))))
    record_duration(Workspace(params_file.resolve().parent), name, time.monotonic() - started)
    return summary


def _stage_function(stage: str) -> Callable[..., Any]:
    """The stage's own module is imported only now: `--help` needs none of its packages."""
    import importlib

    return getattr(importlib.import_module(f"stages.{stage}"), f"run_{stage}")


def _fail(error: LyraError, console: Any, json_output: bool) -> None:
    from rich.markup import escape

    if json_output:
        detail = {"what": error.what, "where": error.where, "fix": error.fix}
        print(json.dumps({"error": {"kind": type(error).__name__, **detail}}, indent=2))
    place = f"[bold]{escape(error.where)}[/]: " if error.where else ""
    console.print(
        f"[bold red]error[/] {place}{escape(error.what)}", highlight=False, soft_wrap=True
    )
    if error.fix:
        console.print(f"[bold green]fix[/]   {escape(error.fix)}", highlight=False, soft_wrap=True)
    raise typer.Exit(2) from None


def main() -> None:
    """Entry point of the `lyra-data` command."""
    # Torch's idle threads would spin and take the cores from the renderer's: up to ten times
    # slower steps where anything else runs. Read once, when torch is first imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    app(prog_name="lyra-data")


if __name__ == "__main__":
    sys.exit(main())
