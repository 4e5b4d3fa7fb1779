"""Protocol: everything that decides what a score means, as one value with a fingerprint.

Two scores may be compared where the fingerprints of their protocols are equal, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import ConfigDict

from lyra_data.engine.hashing import content_key
from lyra_model.metrics.flip import FlipConvention
from lyra_model.metrics.lpips import LpipsConvention
from lyra_model.metrics.psnr import PsnrConvention
from lyra_model.metrics.ssim import SsimConvention

STRICT = ConfigDict(extra="forbid")

TruthFormat = Literal["re10k", "dl3dv", "colmap", "pictures"]


@dataclass(frozen=True)
class Split:
    """The list of scenes, and of the frames of each that are inputs and targets.

    Attributes:
        file: its name; None where nothing was published: then the frames that were judged are
            hashed in its stead.
        sha256: of the file's bytes; None where it is not fixed yet.
        num_listed: scenes in the file; None where it is not known.
        num_used: scenes that have frames listed: the others are in the file and are passed over.
        context_key, target_key: names in the file of inputs and targets, as places in the scene's
            list of frames, from 0.
        num_context, num_targets: inputs and targets of a scene, in words.
        scenes_with_inputs_as_targets: so many scenes have a target that is an input too; None where
            it is not known.
    """

    __pydantic_config__ = STRICT

    file: str | None
    sha256: str | None
    num_listed: int | None
    num_used: int | None
    context_key: str
    target_key: str
    num_context: str
    num_targets: str
    scenes_with_inputs_as_targets: int | None


@dataclass(frozen=True)
class Pictures:
    """The pictures that are compared.

    Attributes:
        truth_format: the form of the ground truth on disk (docs/protocols.md).
        picture_folder: the folder of a scene's pictures, where a format has several sizes.
        truth_height, truth_width: of the truth as it lies on disk; None: any.
        height, width: of both pictures, in pixels; None: as the truth is.
        resampling: of the truth: "lanczos" brings it to where it just covers the size (Pillow's,
            with 8 bits before and after); "none" takes its pixels.
        crop: of the truth: "centre", rounded down to the left and the top; or "none".
        rounding: of renders that are no 8-bit files, to 8 bits: "none", to the "nearest" level, or
            "down" to the next lower one.
    """

    __pydantic_config__ = STRICT

    truth_format: TruthFormat
    picture_folder: str | None
    truth_height: int | None
    truth_width: int | None
    height: int | None
    width: int | None
    resampling: Literal["lanczos", "none"]
    crop: Literal["centre", "none"]
    rounding: Literal["none", "nearest", "down"]


@dataclass(frozen=True)
class Poses:
    """The cameras that targets are rendered along.

    Attributes:
        source: "given" with the dataset; "fitted" to the target's own picture; "predicted" from it.
        alignment: the change that brings the method's world and the poses together, in words.
        scale: the rule for the unit of length, in words.
    """

    __pydantic_config__ = STRICT

    source: Literal["given", "fitted", "predicted"]
    alignment: str
    scale: str


@dataclass(frozen=True)
class Metrics:
    """The metrics and what each of them means; None: not computed.

    Attributes:
        lpips: one for each backbone.
    """

    __pydantic_config__ = STRICT

    psnr: PsnrConvention | None
    ssim: SsimConvention | None
    lpips: tuple[LpipsConvention, ...]
    flip: FlipConvention | None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of figures, in the order of reports."""
        named = [("psnr_db", self.psnr), ("ssim", self.ssim)]
        lpips = [f"lpips_{convention.net}" for convention in self.lpips]
        rest = ["flip"] if self.flip else []
        return (*(name for name, convention in named if convention), *lpips, *rest)


@dataclass(frozen=True)
class Protocol:
    """All that a score depends on but the method.

    Attributes:
        aggregation: "scenes" averages each scene's frames, then scenes; "frames" counts every frame
            alike.
        left_out: a hash of the scenes that were left out of a partial result; None: none was.
    """

    __pydantic_config__ = STRICT

    name: str
    split: Split
    pictures: Pictures
    poses: Poses
    metrics: Metrics
    aggregation: Literal["scenes", "frames"]
    left_out: str | None = None

    def entries(self) -> dict[str, Any]:
        """Return every entry under its dotted name, as plain values."""
        return dict(_flattened("", asdict(self)))

    @property
    def fingerprint(self) -> str:
        """Return a hash of all entries."""
        return content_key(self.entries())


def _flattened(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flattened(f"{prefix}.{key}" if prefix else key, item)
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from _flattened(f"{prefix}[{index}]", item)
    else:
        yield prefix, list(value) if isinstance(value, tuple) else value
