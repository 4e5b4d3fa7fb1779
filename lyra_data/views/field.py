"""Define what an entry of the list of fields says: a column, its bytes, and how it is packed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from lyra_data.media.images import MAX_PIXELS
from lyra_data.scene.view import View

Row: TypeAlias = dict[str, Any]
"""One view: name of a column or field -> its value, as stored or decoded."""

MAX_VIEW_PIXELS = 2**31
"""Pixels of all frames of a view; 121 of 704x1280 are a twentieth of it."""


@dataclass(frozen=True)
class RowShape:
    """Sizes that decoding the other columns of a row needs; height and width in pixels.

    Raises:
        ValueError: a frame has more than MAX_PIXELS, or all of them more than MAX_VIEW_PIXELS:
            decoders make room by these numbers, which anybody may have written.
    """

    num_frames: int
    height: int
    width: int
    latent_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = (self.num_frames, self.height, self.width)
        pixels = self.height * self.width
        if min(sizes) < 0 or pixels > MAX_PIXELS or pixels * self.num_frames > MAX_VIEW_PIXELS:
            raise ValueError(
                f"{self.num_frames} frames of {self.height}x{self.width}: no view is so large"
            )


BlobKindName: TypeAlias = Literal["video", "depth", "mask", "array"]
"""Key of `packing.blob_kinds.BLOB_KINDS`."""


@dataclass(frozen=True)
class Packing:
    """Storage of a field in the dataset: as one blob a view.

    Attributes:
        column: name of the blob's column there.
        kind: how values become bytes.
        option: the key of `package` in params.yaml that chooses the codec; None: the kind has one.
    """

    column: str
    kind: BlobKindName
    option: Literal["rgb", "depth", "latents"] | None = None


@dataclass(frozen=True)
class Field:
    """One column.

    Attributes:
        name: of the column and, unless `derived`, of the View's attribute, or of its cameras' or
            its quality's.
        type: Arrow type.
        encoding: how a value becomes bytes; a change makes another format version.
        meaning: what it is, with unit and range.
        encode: takes the stored value from a View.
        decode: gives the attribute back from the stored value; raises ValueError on bad bytes.
        per_frame: the column is a list with one entry a frame, so frames are read one by one.
        derived: describes the row and is no attribute of View.
        nullable: null stands for what could not be measured.
        modality: files of the dataset that the column belongs to.
        packing: how the dataset stores it as one blob a view; None: there as it is here.
    """

    name: str
    type: pa.DataType
    encoding: str
    meaning: str
    encode: Callable[[View], Any]
    decode: Callable[[Any, RowShape], Any]
    per_frame: bool = False
    derived: bool = False
    nullable: bool = False
    modality: str = "preview"
    packing: Packing | None = None
