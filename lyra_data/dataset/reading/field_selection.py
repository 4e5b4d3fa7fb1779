"""Say what is to be read of a scene: which fields, of which views, of which frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lyra_data.views.fields import FIELD_BY_NAME


@dataclass(frozen=True)
class FieldSelection:
    """Some fields of some views (names and meanings: `views.fields.FIELDS`).

    Attributes:
        view_indices: in the order their rows are returned.
        frames: numbers of frames by view_index, in the order they are returned; a view that is not
            named here has all its frames read.
        as_stored: depth and latents stay halves where they are stored so.
    """

    names: Sequence[str]
    view_indices: Sequence[int]
    frames: Mapping[int, Sequence[int]] = field(default_factory=dict)
    as_stored: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.names if name not in FIELD_BY_NAME]
        assert not unknown, f"no fields {unknown}; there are {list(FIELD_BY_NAME)}"

    def packed(self) -> list[str]:
        """Return the fields that are stored as one blob a view."""
        return [name for name in self.names if FIELD_BY_NAME[name].packing is not None]

    def plain(self) -> list[str]:
        """Return the fields that are stored as plain columns."""
        return [name for name in self.names if FIELD_BY_NAME[name].packing is None]
