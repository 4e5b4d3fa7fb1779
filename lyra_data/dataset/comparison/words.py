"""Write differences as words and numbers, for tables and pages alike."""

from __future__ import annotations

from collections.abc import Sequence

from lyra_data.dataset.comparison.differences import FieldChange, SceneChange

MAX_VALUE = 24
"""Characters of a value in a table; hashes are told apart by fewer."""

_AMOUNTS = {
    "largest": "largest {:.3g}",
    "moved": "moved {:.3g}",
    "turned_degrees": "turned {:.3g}°",
    "intrinsics_pixels": "{:.3g} px",
    "rms_levels": "RMS {:.3g} of 255",
    "largest_levels": "largest {:.0f}",
    "rms": "RMS {:.3g}",
    "relative": "{:.2%} mean",
    "share": "{:.2%} of pixels",
}


def amounts_in_words(change: FieldChange) -> str:
    """Return how much a field has changed at most; empty where nothing was measured."""
    amounts = {name: value for name, value in change.amounts.items() if value}
    words = ", ".join(_AMOUNTS[name].format(value) for name, value in amounts.items())
    return f"{words} ({change.media_views} decoded)" if words and change.media_views else words


def scene_in_words(change: SceneChange) -> str:
    """Return what differs in a scene: its split, its views, its fields."""
    words = []
    if change.splits:
        words.append(f"{change.splits[0]} → {change.splits[1]}")
    for views, what in ((change.added_views, "added"), (change.removed_views, "removed")):
        if views:
            words.append(f"{numbered(views)} {what}")
    if change.fields:
        words.append(", ".join(one.field for one in change.fields))
    return "; ".join(words)


def numbered(views: Sequence[int]) -> str:
    """Return "view 3" or "views 1, 2, 5"; of many the first ones."""
    shown = ", ".join(map(str, views[:8])) + ", ..." * (len(views) > 8)
    return f"view{'s' * (len(views) > 1)} {shown}"


def number_in_words(number: float | None) -> str:
    return "-" if number is None else f"{number:.4g}"


def shortened_value(text: str | None) -> str:
    """Return a value as a table shows it: its beginning, or "-" where nothing is stated."""
    if text is None:
        return "-"
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."
