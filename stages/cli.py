"""lyra-data: the command line. Every verb runs the same function as its DVC stage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lyra_data import __version__
from stages.options import (
    AnnotateWorkersOption,
    CacheSizeOption,
    DeviceOption,
    ExecutorOption,
    JsonOption,
    LoaderWorkersOption,
    MaxFramesOption,
    OffloadOption,
    PackageWorkersOption,
    ParamsOption,
    RayAddressOption,
    TrackerOption,
    WorkersOption,
    bytes_of,
)
from stages.running import guarded as _guarded
from stages.running import run_stage, run_timed
from stages.shares import ShardOption, WorkOption
from stages.usage import JsonErrors
from stages.verbs.browse import browse
from stages.verbs.check import check
from stages.verbs.convert import convert
from stages.verbs.dataset_editing import filter_views, merge_datasets, split_scenes
from stages.verbs.dedup import dedup_scenes
from stages.verbs.diff import diff
from stages.verbs.export import export
from stages.verbs.gate import gate
from stages.verbs.inspection import inspect
from stages.verbs.judge import judge
from stages.verbs.params_commands import check_params, estimate
from stages.verbs.project_commands import init, run
from stages.verbs.publish import publish
from stages.verbs.pull import pull
from stages.verbs.reconstruct import reconstruct
from stages.verbs.stats import stats
from stages.verbs.view import view
from stages.verbs.visualise import visualise
from stages.verbs.weights import weights_app

STAGES = "Stages, in their order"
PROJECTS = "Projects: begin, run, plan"
LOOKING = "Look, count, compare"
SCORES = "Scores"
DATASETS = "Datasets and weights: fetch, change, hand on"

app = typer.Typer(
    name="lyra-data",
    cls=JsonErrors,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "From a photo or a video to an evaluated 3D Gaussian scene, one reproducible stage at a "
        "time.\n\n"
        "A scene of your own in one command: `lyra-data reconstruct photo.jpg`.\n\n"
        "The stages run in this order: **annotate**, **generate**, **package**, **train**, "
        "**evaluate**, **reconstruct**. `dvc repro` runs all of them and skips what is up to date; "
        "each verb here runs one. Everything that changes results is in params.yaml."
    ),
)


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


@app.command(rich_help_panel=STAGES)
def annotate(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            help="Pictures, videos, folders of frames, ViPE, nerfstudio or COLMAP results to "
            "annotate instead of the sources in params.yaml.",
            show_default=False,
        ),
    ] = None,
    params: ParamsOption = Path("params.yaml"),
    output: Annotated[
        Path | None,
        typer.Option(help="Where clips of INPUTs go; not given: outputs/annotated."),
    ] = None,
    max_frames: MaxFramesOption = None,
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: AnnotateWorkersOption = None,
    ray_address: RayAddressOption = "auto",
    device: DeviceOption = None,
    offload: OffloadOption = "none",
    shard: ShardOption = None,
    work_address: WorkOption = None,
) -> None:
    """Read sources and give every frame a pose, intrinsics and depth.

    Reads params.yaml: **annotate**, and the folders its sources name. Writes outputs/clips and,
    for real photos kept for evaluation alone, outputs/held_out. Sizes are in pixels, depth in
    metres (or "up_to_scale", as the source says), poses camera-to-world with OpenCV axes.
    A killed run redoes only the scenes it was working on; workers and devices change no result.
    """
    options: dict[str, Any] = {"executor": executor, "workers": workers, "device": device}
    options |= {"ray_address": ray_address, "offload": offload}
    if not inputs:
        if output is not None:
            raise typer.BadParameter("--output is for clips of INPUTs, and none is given")
        if max_frames is not None:
            raise typer.BadParameter("--max-frames is for INPUTs; params.yaml has it for sources")
        run_stage("annotate", params, json_output, shard=shard, work=work_address, **options)
        return
    if shard is not None:
        raise typer.BadParameter("--shard is for the sources of params.yaml, not for INPUTs")

    def work(progress: Any) -> Any:
        from stages.verbs.annotate_inputs import run_annotate_inputs

        return run_annotate_inputs(
            params, inputs, output=output, max_frames=max_frames, progress=progress, **options
        )

    _guarded(work, json_output)


@app.command(rich_help_panel=STAGES)
def generate(
    params: ParamsOption = Path("params.yaml"),
    prompt: Annotated[
        str | None,
        typer.Option(help="Make one scene of this text instead, in outputs/prompts."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try recorded failures again.")
    ] = False,
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    ray_address: RayAddressOption = "auto",
    device: DeviceOption = None,
    offload: OffloadOption = "none",
    shard: ShardOption = None,
    work_address: WorkOption = None,
) -> None:
    """Make synthetic views of every clip along the trajectories.

    Reads params.yaml: **generate** and **seed**, and outputs/clips. Writes outputs/views, one file
    per view. Movement distances are in units of the scene's centre depth, frames must be 8k+1.
    A killed run redoes only the views it was working on; failed views are recorded with their
    reasons, and tried again with --retry-failed alone. Workers and devices change no result.
    """
    options = {"executor": executor, "workers": workers, "ray_address": ray_address}
    options |= {"device": device, "offload": offload, "retry_failed": retry_failed}
    if prompt is not None and shard is not None:
        raise typer.BadParameter("--shard is for the clips of the project, not for --prompt")

    def work(progress: Any) -> Any:
        if prompt is not None:
            from stages.verbs.prompt import run_prompt

            return run_prompt(params, prompt, progress=progress, **options)
        return run_timed(
            "generate", params, progress=progress, shard=shard, work=work_address, **options
        )

    _guarded(work, json_output)


@app.command(rich_help_panel=STAGES)
def package(
    params: ParamsOption = Path("params.yaml"),
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: PackageWorkersOption = None,
    ray_address: RayAddressOption = "auto",
    shard: ShardOption = None,
    work_address: WorkOption = None,
) -> None:
    """Put all views into one dataset of Parquet shards with a manifest.

    Reads params.yaml: **package**, and outputs/views. Writes outputs/dataset: frames, latents,
    cameras, depth, masks and provenance, every file named with its sha256. A killed run redoes
    only the views it was encoding; workers change no result.
    """
    options = {"executor": executor, "workers": workers, "ray_address": ray_address}
    run_stage("package", params, json_output, shard=shard, work=work_address, **options)


@app.command(rich_help_panel=STAGES)
def train(
    params: ParamsOption = Path("params.yaml"),
    phase: Annotated[
        str | None,
        typer.Option(
            help="One phase of params.yaml train.phases, or what DVC calls its stage, train@PHASE; "
            "all in order where not given."
        ),
    ] = None,
    checkpoint_steps: Annotated[
        int, typer.Option(help="Steps between the states a killed run resumes from.", min=1)
    ] = 25,
    keep_states: Annotated[
        int, typer.Option(help="So many of the newest states are kept.", min=1)
    ] = 2,
    keep_every: Annotated[
        int, typer.Option(help="Besides, every K-th state is kept; 0: none.", min=0)
    ] = 0,
    validation_steps: Annotated[
        int,
        typer.Option(
            help="Steps between looks at the validation scenes, scores and pictures; 0: none.",
            min=0,
        ),
    ] = 100,
    device: DeviceOption = None,
    loader_workers: LoaderWorkersOption = 0,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Train on this one, not on outputs/dataset: a folder, hf://datasets/OWNER/NAME, "
            "s3://, http(s)://.",
            show_default=False,
        ),
    ] = None,
    cache_size: CacheSizeOption = None,
    tracker: TrackerOption = None,
    json_output: JsonOption = False,
) -> None:
    """Train the 3D Gaussian decoder, one phase or all of them.

    Reads params.yaml: **train** and **seed**, outputs/dataset, and the phase that this one starts
    from. Writes outputs/models/PHASE: weights (safetensors), configuration and loss history.
    Sizes are in pixels, learning rates per step. A killed run resumes bit-exactly. But for
    --dataset, the options change no result. Each step and validation is a line of
    .work/train/KEY/log.jsonl, beside the states and, in samples, grids, videos and PLYs of
    validation scenes (else of one that is trained on), every --validation-steps; those of a phase's
    end are in reports/training/PHASE.
    """
    options: dict[str, Any] = {"checkpoint_steps": checkpoint_steps}
    options |= {"keep_newest": keep_states, "keep_every": keep_every}
    options |= {"validation_steps": validation_steps, "device": device}
    options |= {"loader_workers": loader_workers, "dataset": dataset}
    options |= {"trackers": [kind.value for kind in tracker or ()]}
    # DVC calls the stage of a phase train@PHASE, perhaps after a path.
    options["phase"] = None if phase is None else phase.rpartition("train@")[2]

    def work(progress: Any) -> Any:
        cache_bytes = bytes_of(cache_size)
        return run_timed("train", params, progress=progress, cache_bytes=cache_bytes, **options)

    _guarded(work, json_output)


@app.command(rich_help_panel=STAGES)
def evaluate(
    params: ParamsOption = Path("params.yaml"),
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    ray_address: RayAddressOption = "auto",
    device: DeviceOption = None,
) -> None:
    """Measure the decoder on held-out frames and real photos, and write the report.

    Reads params.yaml: **evaluate**, and all results of the stages before. Writes
    reports/metrics.json (a few figures), reports/evaluation.json (all, and what they are of),
    reports/curves/*.csv, reports/report.html (the first scene's) and, for every scene,
    reports/scenes/SCENE/report.html and gaussians.ply.
    PSNR is in dB, SSIM and depth errors (mean absolute relative) have no unit. A killed run judges
    only the scenes again that it was judging; workers change no result.
    """
    options = {"executor": executor, "workers": workers, "ray_address": ray_address}
    run_stage("evaluate", params, json_output, device=device, **options)


app.command("reconstruct", rich_help_panel=STAGES)(reconstruct)
app.command("publish", rich_help_panel=STAGES)(publish)
app.command("estimate", rich_help_panel=PROJECTS)(estimate)
app.command("check-params", rich_help_panel=PROJECTS)(check_params)
app.command("init", rich_help_panel=PROJECTS)(init)
app.command("run", rich_help_panel=PROJECTS)(run)
app.command("inspect", rich_help_panel=LOOKING)(inspect)
app.command("view", rich_help_panel=LOOKING)(view)
app.command("browse", rich_help_panel=LOOKING)(browse)
app.command("visualise", rich_help_panel=LOOKING)(visualise)
app.command("stats", rich_help_panel=LOOKING)(stats)
app.command("diff", rich_help_panel=LOOKING)(diff)
app.command("check", rich_help_panel=LOOKING)(check)
app.command("judge", rich_help_panel=SCORES)(judge)
app.command("gate", rich_help_panel=SCORES)(gate)
app.command("pull", rich_help_panel=DATASETS)(pull)
app.command("convert", rich_help_panel=DATASETS)(convert)
app.command("export", rich_help_panel=DATASETS)(export)
app.command("filter", rich_help_panel=DATASETS)(filter_views)
app.command("split", rich_help_panel=DATASETS)(split_scenes)
app.command("merge", rich_help_panel=DATASETS)(merge_datasets)
app.command("dedup", rich_help_panel=DATASETS)(dedup_scenes)
app.add_typer(weights_app, rich_help_panel=DATASETS)


def main() -> None:
    """Entry point of the `lyra-data` command."""
    # Torch's idle threads spin, and would slow the renderer's up to ten times. Read at import.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    app(prog_name="lyra-data")


if __name__ == "__main__":
    sys.exit(main())
