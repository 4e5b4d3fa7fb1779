"""Figures of one view: the time, disk and memory that it takes, each with where it is from.

Measured on this machine where finished views of the same teacher lie in the scratch store; else
published, by others or with this engine. Time and disk grow with the number of pixels of all
frames. For a network with attention that is a lower bound beyond the size it was measured at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from lyra_data.generation.costs import Cost
from lyra_data.packing.encoding import StoredForm

FULL_SIZE = (121, 704, 1280)
FULL_PIXELS = 121 * 704 * 1280
"""Frames, height, width of Lyra 1's clips, and their pixels."""

RELEASED_VIEWS = 354_186 + 44_268
RELEASED_BYTES = 25e12
"""nvidia/PhysicalAI-SpatialIntelligence-Lyra-SDG, "about 25 TB"; its videos are lossy."""

GEN3C_PFLOP = 159.0
"""One clip of FULL_SIZE, 35 steps, both passes; counted on the network's shapes."""

GEN3C_WEIGHT_BYTES = 2 * 7_237_257_216 + 4 * 105_653_696
"""Transformer in bfloat16, autoencoder in float32."""

Unit = Literal["GPU", "CPU core"]


@dataclass(frozen=True)
class Figure:
    """A number and where it is from.

    Attributes:
        source: begins with "measured", "published" or "counted"; "unknown" where value is None.
    """

    value: float | None
    source: str


@dataclass(frozen=True)
class ViewFigures:
    """Tells what one view takes, by the pixels of all its frames.

    Attributes:
        unit: what the seconds are of.
        seconds_per_pixel: of one unit.
        bytes_per_pixel: of the view's file.
        peak_memory_bytes: of one worker.
    """

    unit: Unit
    seconds_per_pixel: Figure
    bytes_per_pixel: Figure
    peak_memory_bytes: Figure


UNKNOWN = Figure(None, "unknown: run `lyra-data generate` on one scene first")

OWN_BYTES_PER_PIXEL = Figure(
    4.56, "published: docs/scale.md, the demo's views; lossless, so it varies with the pictures"
)

ENCODED_BYTES_PER_PIXEL = Figure(
    0.46, "published: docs/scale.md, a view of 121 frames at 704x1280; varies with the pictures"
)

PUBLISHED: dict[str, ViewFigures] = {
    "gen3c": ViewFigures(
        "GPU",
        Figure(1200.0 / FULL_PIXELS, "published: users of Lyra 1, 20 min a trajectory on a B200"),
        OWN_BYTES_PER_PIXEL,
        Figure(43e9, "published: README of Lyra 1, up to 43 GB, fully offloaded"),
    ),
    "warp": ViewFigures(
        "CPU core",
        Figure(2.06e-6, "published: docs/scale.md, 2 cores of an AMD EPYC, the demo's size"),
        OWN_BYTES_PER_PIXEL,
        UNKNOWN,
    ),
}
"""Figures by the teacher's name."""


def view_figures(
    teacher: str,
    teacher_fingerprint: str | None,
    device: str | None,
    costs: Sequence[Cost],
    store: StoredForm = "lossless",
) -> ViewFigures:
    """Return the best known figures of a teacher: measured here, or published, or none.

    Args:
        teacher: its name.
        teacher_fingerprint: the exact model; None where weights are missing.
        device: name of the device it will run on; None: it is not on this machine, so that nothing
            was measured on it.
        costs: of finished views, by whatever teacher and device.
        store: the form in which views are kept; those in another form took other time and bytes.
    """
    published = PUBLISHED.get(teacher, ViewFigures("GPU", UNKNOWN, UNKNOWN, UNKNOWN))
    if store != "lossless":
        published = replace(published, bytes_per_pixel=ENCODED_BYTES_PER_PIXEL)
    same = [
        cost
        for cost in costs
        if cost.teacher_fingerprint == teacher_fingerprint
        and cost.device == device
        and cost.store == store
    ]
    if not same:
        return published
    source = f"measured: {len(same)} finished views on this machine ({device})"
    return ViewFigures(
        "CPU core" if same[0].cores else "GPU",
        Figure(
            median(cost.seconds * max(cost.cores, 1) / cost.num_pixels for cost in same), source
        ),
        Figure(median(cost.view_bytes / cost.num_pixels for cost in same), source),
        Figure(max(cost.peak_memory_bytes for cost in same), source),
    )
