"""Estimate: what generate would take, before it runs. docs/scale.md has the formulas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.executors.failed_tasks import is_tried_again
from lyra_data.engine.placement import Placement
from lyra_data.generation import worker
from lyra_data.generation.costs import read_costs
from lyra_data.generation.estimate_figures import (
    ENCODED_BYTES_PER_PIXEL,
    FULL_PIXELS,
    PUBLISHED,
    RELEASED_BYTES,
    RELEASED_VIEWS,
    ViewFigures,
    view_figures,
)
from lyra_data.generation.jobs import ClipFacts, num_jobs
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.plan import Plan
from lyra_data.generation.user_paths import read_user_paths
from lyra_data.generation.view_making import ViewMaker
from lyra_data.packing.encoding import StoredForm

COPIES_WHILE_RUNNING, COPIES_WITHOUT_SCRATCH = 3, 2
"""Counts every lossless view as made, as assembled (outputs/views is a second name of that file),
and in outputs/dataset. Without `.work` two are left."""

ENCODED_COPIES_WHILE_RUNNING, ENCODED_COPIES_WITHOUT_SCRATCH = 2, 1
"""Counts every encoded view in outputs/encoded, and in outputs/dataset while `package` writes it;
then the dataset alone has its bytes."""

LYRA_IMAGES, LYRA_VIDEOS = 59_031, 7_378
GPUS = (8, 64, 256, 1024)


@dataclass(frozen=True)
class Work:
    """Counts what there is to do.

    Attributes:
        forward, reversed: views by direction.
        finished, failed: of these, those found in the scratch store; what failed and is tried again
            is neither. None where a simulation or a missing model leaves no keys to look for.
        pixels: of all frames of all views.
        pixels_left: of those views that neither finished nor failed.
    """

    forward: int
    reversed: int
    finished: int | None
    failed: int | None
    pixels: int
    pixels_left: int

    @property
    def num_views(self) -> int:
        return self.forward + self.reversed


@dataclass(frozen=True)
class Estimate:
    """Multiplies `work` by `figures`: hours of one unit, bytes at the end of the pipeline.

    Attributes:
        store: the form in which views are kept, as in `generate.store`.
    """

    work: Work
    figures: ViewFigures
    store: StoredForm = "lossless"

    @property
    def hours(self) -> float | None:
        """Return the GPU-hours or core-hours of the views that are left."""
        return _times(self.figures.seconds_per_pixel.value, self.work.pixels_left / 3600)

    @property
    def view_bytes(self) -> float | None:
        """Return the bytes of all views once; the disk holds `copies` times that."""
        return _times(self.figures.bytes_per_pixel.value, self.work.pixels)

    @property
    def copies(self) -> tuple[int, int]:
        """Return how many copies of a view there are at most, and at the end without `.work`."""
        if self.store == "lossless":
            return COPIES_WHILE_RUNNING, COPIES_WITHOUT_SCRATCH
        return ENCODED_COPIES_WHILE_RUNNING, ENCODED_COPIES_WITHOUT_SCRATCH

    def as_json(self) -> dict[str, Any]:
        work, figures = self.work, self.figures
        most, least = self.copies
        pixels = work.pixels / max(work.num_views, 1)
        return {
            "views": work.num_views,
            "views_forward": work.forward,
            "views_reversed": work.reversed,
            "views_finished": work.finished,
            "views_failed": work.failed,
            "unit": figures.unit,
            "seconds_per_view": _times(figures.seconds_per_pixel.value, pixels),
            "seconds_per_view_source": figures.seconds_per_pixel.source,
            "hours_left": self.hours,
            "bytes_per_view": _times(figures.bytes_per_pixel.value, pixels),
            "bytes_per_view_source": figures.bytes_per_pixel.source,
            "disk_bytes": _times(self.view_bytes, most),
            "disk_bytes_without_scratch": _times(self.view_bytes, least),
            "disk_copies": most,
            "disk_copies_without_scratch": least,
            "peak_memory_bytes": figures.peak_memory_bytes.value,
            "peak_memory_bytes_source": figures.peak_memory_bytes.source,
        }


def estimate_clips(
    clips: Sequence[ClipFacts],
    params: GenerateParams,
    *,
    seed: int,
    scratch: Path,
    root: Path,
    device_name: str | None,
) -> Estimate:
    """Estimate the views of all clips, less those that the scratch store holds.

    Args:
        device_name: what will make the views; None: a GPU that is not on this machine.
    """
    fingerprints = _fingerprints(params, root)
    finished: set[int] = set()
    failed: set[int] = set()
    if fingerprints is not None:
        user_paths = read_user_paths(params.trajectories, root)
        plan = Plan(list(clips), params, seed, KeyMaker(params, fingerprints), user_paths)
        failures = worker.failed_views(scratch)
        for task in plan.view_tasks():
            if (scratch / worker.STAGE / task.key).is_dir():
                finished.add(task.number)
            elif (failure := failures.get(task.key)) and not is_tried_again(failure):
                failed.add(task.number)
    per_view = [
        params.num_frames * clip.height * clip.width
        for clip in clips
        for _ in range(num_jobs(clip, params.trajectories))
    ]
    done = finished | failed
    work = Work(
        **_directions(clips, params),
        finished=None if fingerprints is None else len(finished),
        failed=None if fingerprints is None else len(failed),
        pixels=sum(per_view),
        pixels_left=sum(size for number, size in enumerate(per_view) if number not in done),
    )
    return Estimate(work, _figures(params, fingerprints, scratch, device_name), params.store)


def simulate(
    num_images: int,
    num_videos: int,
    params: GenerateParams,
    *,
    height: int,
    width: int,
    scratch: Path,
    root: Path,
    device_name: str | None,
) -> Estimate:
    """Estimate for so many images and videos, none of which needs to exist."""
    names = len(params.trajectories.names)
    pixels = (num_images + 2 * num_videos) * names * params.num_frames * height * width
    work = Work(
        forward=(num_images + num_videos) * names,
        reversed=num_videos * names,
        finished=None,
        failed=None,
        pixels=pixels,
        pixels_left=pixels,
    )
    figures = _figures(params, _fingerprints(params, root), scratch, device_name)
    return Estimate(work, figures, params.store)


def scale_table() -> str:
    """Lyra 1's own scale as a Markdown table: what docs/scale.md shows."""
    rows = ["| | released views | with reversed motion |", "| --- | --- | --- |"]
    estimates = [_at_lyra_scale(with_reversed) for with_reversed in (False, True)]

    def row(name: str, cells: Iterable[str]) -> None:
        rows.append(f"| {name} | {' | '.join(cells)} |")

    row("views", (f"{one.work.num_views:,}" for one in estimates))
    row("GPU-hours", (f"{one.hours:,.0f}" for one in estimates))
    for gpus in GPUS:
        days = (one.hours / gpus / 24 for one in estimates if one.hours is not None)
        row(f"days on {gpus:,} GPUs", (f"{number:,.1f}" for number in days))
    disks = (one.view_bytes or 0.0 for one in estimates)
    row("all views once, lossless", (f"{number / 1e12:,.0f} TB" for number in disks))
    encoded = ENCODED_BYTES_PER_PIXEL.value or 0.0
    row("all views once, compat", (f"{encoded * e.work.pixels / 1e12:,.1f} TB" for e in estimates))
    released = (RELEASED_BYTES / RELEASED_VIEWS * one.work.num_views for one in estimates)
    row("all views once, as released", (f"{number / 1e12:,.1f} TB" for number in released))
    return "\n".join(rows) + "\n"


def _at_lyra_scale(with_reversed: bool) -> Estimate:
    forward = (LYRA_IMAGES + LYRA_VIDEOS) * 6
    backward = LYRA_VIDEOS * 6 if with_reversed else 0
    pixels = (forward + backward) * FULL_PIXELS
    return Estimate(Work(forward, backward, None, None, pixels, pixels), PUBLISHED["gen3c"])


def _directions(clips: Sequence[ClipFacts], params: GenerateParams) -> dict[str, int]:
    names = len(params.trajectories.names)
    num_dynamic = sum(clip.is_dynamic for clip in clips)
    return {"forward": len(clips) * names, "reversed": num_dynamic * names}


def _figures(
    params: GenerateParams,
    fingerprints: dict[str, str] | None,
    scratch: Path,
    device_name: str | None,
) -> ViewFigures:
    fingerprint = None if fingerprints is None else fingerprints["teacher_fingerprint"]
    costs = read_costs(scratch / worker.STAGE)
    name: str = params.teacher.name  # type: ignore[attr-defined]
    return view_figures(name, fingerprint, device_name, costs, params.store)


def _fingerprints(params: GenerateParams, root: Path) -> dict[str, str] | None:
    """Return the models' fingerprints; None where weights are missing, for an estimate is most
    useful before they are fetched."""
    maker = ViewMaker(params, Placement("cpu", root=root))
    try:
        return maker.fingerprints
    except (ParamsError, InputError):
        return None


def _times(one: float | None, other: float) -> float | None:
    return None if one is None else one * other
