"""Options that several verbs of the command line share."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from lyra_data.engine.placement import Offload

WORKERS = "Who works, and where: changes no result"

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
ExecutorOption = Annotated[
    Literal["local", "ray"],
    typer.Option(
        help="local: processes of this machine; ray: actors on a Ray cluster.",
        metavar="KIND",
        rich_help_panel=WORKERS,
        envvar="LYRA_EXECUTOR",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="How many work at once; not given: one a GPU, without GPU one.",
        min=1,
        rich_help_panel=WORKERS,
        envvar="LYRA_WORKERS",
    ),
]
AnnotateWorkersOption = Annotated[
    int | None,
    typer.Option(
        help="How many scenes at once, each worker with its share of the cores; not given: one a "
        "GPU, without GPU one.",
        min=1,
        rich_help_panel=WORKERS,
        envvar="LYRA_ANNOTATE_WORKERS",
    ),
]
PackageWorkersOption = Annotated[
    int | None,
    typer.Option(
        help="How many views are encoded at once, each by one core; not given: one.",
        min=1,
        rich_help_panel=WORKERS,
        envvar=["LYRA_PACKAGE_WORKERS", "LYRA_WORKERS"],
    ),
]
CpuWorkersOption = Annotated[
    int | None,
    typer.Option(
        help="How many work at once, each with its share of the cores; not given: one.",
        min=1,
        rich_help_panel=WORKERS,
        envvar="LYRA_WORKERS",
    ),
]
RayAddressOption = Annotated[
    str,
    typer.Option(
        help="HOST:PORT of the cluster's head; its nodes share the project's folder.",
        rich_help_panel=WORKERS,
        envvar="LYRA_RAY_ADDRESS",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda, cuda:1; not given: a GPU where there is one.",
        rich_help_panel=WORKERS,
        envvar="LYRA_DEVICE",
    ),
]
OffloadOption = Annotated[
    Offload,
    typer.Option(
        metavar="MODE",
        help="What leaves the GPU while it does not work (less memory, slower): none, model, "
        "group, sequential.",
        rich_help_panel=WORKERS,
        envvar="LYRA_OFFLOAD",
    ),
]


LoaderWorkersOption = Annotated[
    int,
    typer.Option(
        help="Processes that read ahead for each process that trains; 0: a thread of it does.",
        min=0,
        max=64,
        rich_help_panel=WORKERS,
        envvar="LYRA_LOADER_WORKERS",
    ),
]


CacheSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="What may be kept on this machine of a dataset from afar, in the folder LYRA_CACHE, "
        "e.g. 200GB; 0: nothing; not given: a tenth of the disk.",
        envvar="LYRA_CACHE_SIZE",
    ),
]


class Tracker(StrEnum):
    """Programs that can show the training log's figures (lyra_model/training/trackers.py)."""

    tensorboard = "tensorboard"
    trackio = "trackio"


TrackerOption = Annotated[
    list[Tracker] | None,
    typer.Option(
        metavar="NAME",
        help="Show the log's figures there too: tensorboard, trackio; may be repeated.",
        envvar="LYRA_TRACKER",
    ),
]

PresetOption = Annotated[
    str | None,
    typer.Option(
        help="Settings to start from: cpu-small, demo, gen3c, h100-dynamic, h100-static, photo or "
        "video. Of a new project where not given: photo for pictures, video for other inputs, demo "
        "without inputs.",
        show_default=False,
    ),
]

DatasetArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A dataset's folder, e.g. outputs/dataset, or hf://datasets/OWNER/NAME, http(s)://, "
        "s3://.",
        show_default=False,
    ),
]
OutputArgument = Annotated[
    Path,
    typer.Argument(metavar="OUT", help="The folder to write; new or empty.", show_default=False),
]
ShardOption = Annotated[
    int | None,
    typer.Option(
        "--scenes-per-shard",
        help="Scenes in one file of every modality; not given: as in the (first) dataset.",
        min=1,
    ),
]
SampleOption = Annotated[
    str,
    typer.Option(
        metavar="N|all",
        help="Views of a dataset whose frames and depth are read, the same N every time; "
        "everything else is of all views.",
    ),
]
SAMPLED_VIEWS = "12"
"""Value of SampleOption where it is not given."""


def number_of_views(sample: str) -> int | None:
    """Return the number that `--sample` gives; None: all views.

    Raises:
        InputError: it is neither a number nor "all".
    """
    from lyra_data.engine.errors import InputError

    if sample == "all":
        return None
    if not (sample.isascii() and sample.isdigit()):
        raise InputError(
            f"{sample!r} is no number of views", where="--sample", fix="give a number, or all"
        )
    return int(sample)


_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>|[kMGT]i?B?)")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}


def bytes_of(size: str | None) -> int | None:
    """Return the bytes that `--cache-size` gives; None: it was not given.

    Raises:
        InputError: it is no size.
    """
    from lyra_data.engine.errors import InputError

    if size is None:
        return None
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise InputError(
            f"{size!r} is no size",
            where="--cache-size",
            fix="give a number of bytes, or one with kB, MB, GB, TB, or KiB's kind, e.g. 200GB",
        )
    unit = match["unit"]
    return int(float(match["number"]) * (1024 if "i" in unit else 1000) ** _POWERS[unit[:1]])


MaxFramesOption = Annotated[
    int | None,
    typer.Option(
        "--max-frames",
        help="Frames taken of every video, from its first on; not given: all.",
        min=2,
        show_default=False,
    ),
]
