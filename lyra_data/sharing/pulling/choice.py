"""Choose a part of a dataset: scenes, camera paths, splits, quality, modalities, a size."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from lyra_data.dataset.editing.conditions import Condition
from lyra_data.dataset.editing.filtering import CONDITION_COLUMNS
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import is_number
from lyra_data.scene.quality import NUMBERS

QUALITY_NUMBERS = ("known_fraction", *NUMBERS)
DEFAULT_NUMBER = "cache_psnr_db"
"""Number of a view's quality that a bare --min-quality is compared with."""

GB = 10**9


@dataclass(frozen=True)
class PartChoice:
    """Demands on what is pulled. Empty or None: no demand.

    Attributes:
        num_scenes: that many scenes, from the first on.
        scenes: names, or patterns of them (`fnmatch`).
        conditions: on the columns of `preview` and on `split`.
        modalities: those that are pulled beside `preview`.
        max_bytes: of all scenes together.
    """

    num_scenes: int | None = None
    scenes: tuple[str, ...] = ()
    trajectories: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    modalities: tuple[str, ...] = ()
    max_bytes: int | None = None

    @staticmethod
    def of(
        *,
        scenes: Sequence[str] | None = None,
        trajectories: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
        min_quality: Sequence[str] | None = None,
        where: Sequence[str] | None = None,
        modalities: Sequence[str] | None = None,
        max_gb: float | None = None,
    ) -> PartChoice:
        """Return the choice that options of the command line make; commas part names.

        Raises:
            InputError: a number, a condition or a modality cannot be.
        """
        names = _names(scenes)
        counts = [int(name) for name in names if is_number(name)]
        if len(counts) > 1 or 0 in counts:
            raise InputError(
                f"{', '.join(map(str, counts))}: one number of scenes, at least 1, can be given",
                where="--scenes",
                fix="write e.g. --scenes 5; a scene whose name is a number: --scenes '[5]'",
            )
        texts = [*map(_quality_condition, min_quality or ()), *(where or ())]
        if max_gb is not None and not 0 < max_gb < math.inf:
            raise InputError(f"{max_gb} is no size", where="--max-gb", fix="write e.g. --max-gb 50")
        return PartChoice(
            num_scenes=counts[0] if counts else None,
            scenes=tuple(name for name in names if not is_number(name)),
            trajectories=_names(trajectories),
            splits=_names(splits),
            conditions=tuple(Condition(text, CONDITION_COLUMNS) for text in texts),
            modalities=_modalities(_names(modalities)),
            max_bytes=None if max_gb is None else int(max_gb * GB),
        )

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is demanded."""
        return self == PartChoice()

    @property
    def columns(self) -> list[str]:
        """Return the columns of `preview` that choose views; empty: no view is left out."""
        named = set().union(*(condition.columns for condition in self.conditions)) - {"split"}
        named |= {"trajectory"} if self.trajectories else set()
        return sorted(named or ({"trajectory"} if self.conditions else ()))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, for the manifest."""
        values = {
            "num_scenes": self.num_scenes,
            "scenes": list(self.scenes),
            "trajectories": list(self.trajectories),
            "splits": list(self.splits),
            "where": [condition.text for condition in self.conditions],
            "modalities": list(self.modalities),
            "max_bytes": self.max_bytes,
        }
        return {key: value for key, value in values.items() if value not in (None, [])}

    def names_scene(self, scene_id: str) -> bool:
        """Return whether a scene is named, by itself or by a pattern."""
        return not self.scenes or any(fnmatchcase(scene_id, name) for name in self.scenes)

    def require_fitting(self, scene_ids: Iterable[str]) -> None:
        """See that every name and pattern fits a scene.

        Raises:
            InputError: one fits none.
        """
        known = list(scene_ids)
        for name in self.scenes:
            if not any(fnmatchcase(scene_id, name) for scene_id in known):
                raise InputError(
                    f"{name!r} fits no scene",
                    where="--scenes",
                    fix=f"there are: {_some(known)}",
                )

    def require_split(self, splits: Collection[str]) -> None:
        """See that the dataset has every split that is named."""
        _require_names("split", self.splits, splits)

    def require_trajectories(self, trajectories: Collection[str]) -> None:
        """See that there are views of every camera path that is named."""
        _require_names("trajectories", self.trajectories, trajectories)


def _names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names that options give, each once, in their order."""
    names = [name.strip() for text in texts or () for name in text.split(",")]
    return tuple(dict.fromkeys(filter(None, names)))


def _quality_condition(text: str) -> str:
    """Return the condition that a --min-quality stands for."""
    name, _, number = text.rpartition("=")
    name = name or DEFAULT_NUMBER
    try:
        least = float(number)
    except ValueError:
        least = math.nan
    if name not in QUALITY_NUMBERS or not math.isfinite(least):
        raise InputError(
            f"{text!r} is no number of a view's quality",
            where="--min-quality",
            fix=f"write e.g. --min-quality 25 ({DEFAULT_NUMBER}) or --min-quality "
            f"sharpness_ratio=0.8; numbers: {', '.join(QUALITY_NUMBERS)}; where low is good, use "
            "--where",
        )
    return f"{name} >= {least!r}"


def _modalities(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in MODALITIES]
    if unknown:
        raise InputError(
            f"there is no modality {unknown[0]!r}",
            where="--modalities",
            fix=f"modalities: {', '.join(MODALITIES)}",
        )
    return tuple(name for name in MODALITIES if name in names)


def _require_names(option: str, names: Collection[str], existing: Collection[str]) -> None:
    unknown = sorted(set(names) - set(existing))
    if unknown:
        raise InputError(
            f"there is none that is called {unknown[0]!r}",
            where=f"--{option}",
            fix=f"there are: {_some(sorted(existing))}",
        )


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:10])}{', ...' * (len(names) > 10)}"
