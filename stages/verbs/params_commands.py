"""check-params and estimate: what params.yaml says, before anything runs. No DVC stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stages.options import DeviceOption, JsonOption, ParamsOption, WorkersOption
from stages.running import guarded


def estimate(
    params: ParamsOption = Path("params.yaml"),
    images: Annotated[
        int | None, typer.Option(help="Simulate so many images instead of outputs/clips.", min=0)
    ] = None,
    videos: Annotated[
        int | None, typer.Option(help="Simulate so many videos instead of outputs/clips.", min=0)
    ] = None,
    json_output: JsonOption = False,
    workers: WorkersOption = None,
    device: DeviceOption = None,
) -> None:
    """Estimate views, time, disk and memory before anything runs.

    Of generate in detail, and of every stage. Reads params.yaml, outputs/clips, and what finished
    views (.work/generate) and the last run of every stage (.work/stage_costs.json) took here.
    Every figure says whether it was measured on this machine, published, or comes of a formula of
    docs/scale.md; what nobody measured is unknown.
    """
    options = {"images": images, "videos": videos, "workers": workers, "device": device}

    def work(_: Any) -> Any:
        from stages.verbs.estimate import run_estimate

        return run_estimate(params, **options)

    guarded(work, json_output)


def check_params(
    params: ParamsOption = Path("params.yaml"), json_output: JsonOption = False
) -> None:
    """Check every section of params.yaml without running anything.

    Each stage checks all of params.yaml before it works. `dvc repro` starts only the stages whose
    own keys changed: run this first after editing, and a misspelt key is found wherever it stands.
    """
    guarded(lambda _: _checked(params), json_output)


def _checked(params_file: Path) -> Any:
    from stages.generate import SECTION, check_camera_paths
    from stages.params import check_all, load_section
    from stages.summary import Summary

    check_all(params_file)
    check_camera_paths(load_section(params_file, "generate", SECTION), params_file.parent)
    return Summary("check-params", f"{params_file} is valid")
