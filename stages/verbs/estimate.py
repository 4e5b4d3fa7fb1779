"""estimate: views, time, disk and memory of generate, before it runs. No DVC stage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from rich.table import Table

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.generation.costs import device_name
from lyra_data.generation.estimate import Estimate, estimate_clips, simulate
from lyra_data.generation.estimate_figures import GEN3C_WEIGHT_BYTES
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.plan import read_clip_facts
from stages.params import check_all, load_section, load_seed, load_yaml
from stages.summary import Summary, counted
from stages.workspace import Workspace


def run_estimate(
    params_file: Path,
    *,
    images: int | None = None,
    videos: int | None = None,
    workers: int | None = None,
    device: str | None = None,
) -> Summary:
    """Estimate views, time, disk and memory. See `lyra-data estimate --help`."""
    check_all(params_file)
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "generate", GenerateParams)
    is_simulated = images is not None or videos is not None
    device = device or Placement.automatic().device
    machine: dict[str, Any] = {
        "scratch": workspace.scratch,
        "root": workspace.root,
        "device_name": device_name(device),
    }
    if is_simulated:
        size = load_yaml(params_file)["annotate"]["annotator"]
        estimate = simulate(
            images or 0,
            videos or 0,
            params,
            height=size["height"],
            width=size["width"],
            **machine,
        )
    else:
        clips = read_clip_facts(workspace.require(workspace.clips, made_by="annotate"))
        estimate = estimate_clips(clips, params, seed=load_seed(params_file), **machine)
    if estimate.work.num_views == 0:
        raise ParamsError(
            "nothing to estimate: 0 images and 0 videos",
            where="--images, --videos",
            fix="give a number, or neither, for outputs/clips",
        )
    source = "simulated" if is_simulated else "outputs/clips, params.yaml"
    num_workers = workers or max(len(_gpus()), 1)
    free_bytes = shutil.disk_usage(workspace.root).free
    facts = {
        **estimate.as_json(),
        "views_source": source,
        "device": device,
        "device_name": machine["device_name"],
        "workers": num_workers,
        "days": _days(estimate, num_workers),
        "disk_free_bytes": free_bytes,
        "gpus": _gpus(),
        "fits": _fits(estimate),
    }
    headline = f"{counted(estimate.work.num_views, 'view')}, " + (
        "how long is unknown"
        if estimate.hours is None
        else f"{_number(estimate.hours)} {estimate.figures.unit}-hours"
    )
    return Summary("estimate", headline, facts, (_table(facts),))


_COPIES = {
    3: "3 x: made, assembled, dataset",
    2: "2 x: views, dataset",
    1: "1 x: dataset, once packaged",
}


def _table(facts: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("what", "how much", "from"):
        table.add_column(name, overflow="fold", no_wrap=False)
    unit, workers = facts["unit"], facts["workers"]
    source = facts["seconds_per_view_source"]
    is_here = facts["device_name"] is not None
    rows = [
        (
            "views",
            f"{facts['views']:,}: {facts['views_forward']:,} forward, "
            f"{facts['views_reversed']:,} reversed",
            facts["views_source"],
        ),
        ("finished", _count(facts["views_finished"]), "counted: .work/generate"),
        ("failed before", _count(facts["views_failed"]), "counted: .work/generate_failures"),
        (
            "device",
            f"{facts['device']}: {facts['device_name']}" if is_here else facts["device"],
            "this machine" if is_here else "not on this machine: figures are published ones",
        ),
        ("one view", _with_unit(facts["seconds_per_view"], f"{unit}-seconds"), source),
        ("what is left", _with_unit(facts["hours_left"], f"{unit}-hours"), "views x one view"),
        (f"on {workers} workers", _with_unit(facts["days"], "days"), _share_of_cores(unit)),
        ("a view's file", _bytes(facts["bytes_per_view"]), facts["bytes_per_view_source"]),
        ("disk", _bytes(facts["disk_bytes"]), _COPIES[facts["disk_copies"]]),
        (
            "without .work",
            _bytes(facts["disk_bytes_without_scratch"]),
            _COPIES[facts["disk_copies_without_scratch"]],
        ),
        ("free here", _bytes(facts["disk_free_bytes"]), "measured: this disk"),
        (
            "memory",
            f"{_bytes(facts['peak_memory_bytes'])} a worker",
            facts["peak_memory_bytes_source"],
        ),
        ("this machine", facts["fits"], "measured: CUDA"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _gpus() -> list[dict[str, Any]]:
    import torch

    devices = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in devices]


def _fits(estimate: Estimate) -> str:
    """Return in words what the GPUs of this machine have room for."""
    gpus, peak = _gpus(), estimate.figures.peak_memory_bytes.value
    if not gpus:
        return "has no GPU"
    name, memory = gpus[0]["name"], gpus[0]["memory_bytes"]
    gpus_here = f"{len(gpus)} x {name}, {_bytes(memory)}"
    if estimate.figures.unit != "GPU" or peak is None:
        return gpus_here
    if memory >= peak + GEN3C_WEIGHT_BYTES:
        return f"{gpus_here}: --offload none should fit"
    if memory >= peak:
        return f"{gpus_here}: fits with --offload"
    return f"{gpus_here}: less than ever was enough; try --offload sequential"


def _days(estimate: Estimate, workers: int) -> float | None:
    """Return the days that are left; on a CPU workers share the cores, whatever their number."""
    if estimate.hours is None:
        return None
    parallel = workers if estimate.figures.unit == "GPU" else len(os.sched_getaffinity(0))
    return estimate.hours / parallel / 24


def _share_of_cores(unit: str) -> str:
    cores = len(os.sched_getaffinity(0))
    return "one GPU a worker" if unit == "GPU" else f"they share {cores} cores"


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _with_unit(number: float | None, unit: str) -> str:
    return "unknown" if number is None else f"{_number(number)} {unit}"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _bytes(number: float | None) -> str:
    if number is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB" if number < 1000 else f"{number:,.0f} TB"
