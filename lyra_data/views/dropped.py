"""Record views that the limits of params.yaml kept out of the data, and why."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lyra_data.engine.documents import build_from_json
from lyra_data.engine.names import is_safe_name, shortened

DROPPED_FILE = "dropped.json"


@dataclass(frozen=True)
class DroppedView:
    """A view that was made and not kept; a reason is a number and the limit it is beyond."""

    scene_id: str
    view_index: int
    trajectory: str
    motion_reversed: bool
    reasons: tuple[str, ...]

    @staticmethod
    def from_json(values: dict[str, Any]) -> DroppedView:
        """Return the view that `as_json` described.

        Raises:
            ValueError, TypeError, KeyError: the values are no dropped view's.
        """
        for name in (values["scene_id"], values["trajectory"]):
            if not is_safe_name(name):
                raise ValueError(f"{shortened(name)} is no name")
        return DroppedView(**{**values, "reasons": tuple(values["reasons"])})

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": list(self.reasons)}

    def __str__(self) -> str:
        return f"{self.scene_id}/{self.within_scene()}"

    def within_scene(self) -> str:
        """Return the view and its reasons, for a list of one scene's views."""
        direction = ", motion reversed" if self.motion_reversed else ""
        return f"{self.trajectory}{direction}: {'; '.join(self.reasons)}"


def record_dropped(dropped: list[DroppedView], folder: Path) -> None:
    """Write all dropped views, of which there may be none, as `<folder>/dropped.json`."""
    text = json.dumps([view.as_json() for view in dropped], indent=2, ensure_ascii=False)
    (folder / DROPPED_FILE).write_text(text + "\n", encoding="utf-8")


def read_dropped(folder: Path) -> list[DroppedView]:
    """Read what `record_dropped` wrote; nothing where there is no such file.

    Raises:
        CorruptDataError: the file is cut or altered.
    """
    path = Path(folder) / DROPPED_FILE
    try:
        return build_from_json(
            path,
            lambda entries: [DroppedView.from_json(values) for values in entries],
            kind="list of dropped views",
            fix="run `lyra-data generate` again",
        )
    except FileNotFoundError:
        return []
