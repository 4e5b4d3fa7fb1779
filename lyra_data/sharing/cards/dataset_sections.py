"""Write the sections of a dataset's card, each from its facts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lyra_data.dataset.summary import LEVELS, Part
from lyra_data.dataset.writing.card import counted
from lyra_data.scene.quality import NUMBERS
from lyra_data.sharing.cards.dataset_facts import DatasetFacts
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.cards.markdown import code_block, figure, plain, table
from lyra_data.views.dropped import DroppedView

MOST_SCENES = 50
"""Lines of the tables of scenes and of camera paths; the rest is counted."""

MOST_LISTED = 20
"""Dropped views, and failures, that are listed; the rest is counted."""


def describe_content(facts: DatasetFacts) -> list[str]:
    """Return tables of splits, camera paths and scenes."""
    summary = facts.summary
    headings = ["scenes", "views", "frames", "seconds"]
    lines = ["## What is in it", ""]
    lines += table(["split", *headings], _parts(summary.splits))
    paths = _parts(summary.paths)
    lines += table(["camera path", *headings], paths[:MOST_SCENES])
    if len(paths) > MOST_SCENES:
        lines += [f"And {len(paths) - MOST_SCENES} more camera paths.", ""]
    rows = [
        [
            plain(scene.scene_id),
            plain(scene.split),
            scene.num_views,
            scene.num_frames,
            f"{scene.width}x{scene.height}",
            _share(scene.known_fraction),
            plain(scene.caption, 120),
            plain(scene.licence, 80),
        ]
        for scene in facts.scenes[:MOST_SCENES]
    ]
    titles = ["scene", "split", "views", "frames", "size", "known", "text", "source's licence"]
    lines += table(titles, rows)
    rest = len(facts.scenes) - MOST_SCENES
    if rest > 0:
        lines += [f"And {rest:,} more: the config `preview` has a row a view.", ""]
    known = "known: share of pixels that came from the source, not from the teacher."
    return [*lines, known, ""]


def _share(fraction: float | None) -> str:
    return "not stated" if fraction is None else f"{100 * fraction:.1f} %"


def _parts(parts: Mapping[str, Part]) -> list[list[object]]:
    return [
        [plain(name), part.scenes, part.views, part.frames, round(part.seconds, 2)]
        for name, part in parts.items()
    ]


def describe_quality(facts: DatasetFacts) -> list[str]:
    """Return the distribution of every measured number, dropped views and failures."""
    lines = ["## Quality", ""]
    numbers = facts.measured
    if numbers:
        levels = [f"{100 * level:g} %" for level in LEVELS]
        rows = [
            [_column(name), one.count, *(figure(value) for value in one.values)]
            for name, one in numbers.items()
        ]
        lines += table(["number", "views", *levels], rows)
        lines += [
            *(f"- `{name}`: {plain(NUMBERS[name].meaning, 300)}" for name in numbers),
            "",
        ]
    else:
        lines += ["Nothing was measured of these views.", ""]
    return [*lines, *_dropped(facts.manifest.dropped), *_failures(facts)]


def _column(name: str) -> str:
    unit = NUMBERS[name].unit
    return f"`{name}`" + (f" ({unit})" if unit else "")


def _dropped(dropped: tuple[DroppedView, ...]) -> list[str]:
    if not dropped:
        return ["No view was dropped for its quality.", ""]
    reasons = Counter(reason.split(" ")[0] for view in dropped for reason in view.reasons)
    commonest = ", ".join(f"{plain(name)} {count}" for name, count in sorted(reasons.items()))
    views = (
        "1 view was made and is" if len(dropped) == 1 else f"{len(dropped)} views were made and are"
    )
    lines = [f"{views} not in it. By the first word of their reasons: {commonest}.", ""]
    lines += table(
        ["scene", "camera path", "why"],
        [
            [
                plain(view.scene_id),
                plain(view.trajectory + (", reversed" if view.motion_reversed else "")),
                plain("; ".join(view.reasons)),
            ]
            for view in dropped[:MOST_LISTED]
        ],
    )
    return lines + _rest(len(dropped))


def _failures(facts: DatasetFacts) -> list[str]:
    failures = facts.made_by.failures
    if not failures:
        return []
    lines = [f"{counted(len(failures), 'item')} failed when it was made:", ""]
    lines += table(
        ["stage", "item", "why"],
        [
            [plain(stage), plain(failure.item), plain(failure.reason)]
            for stage, failure in failures[:MOST_LISTED]
        ],
    )
    return lines + _rest(len(failures))


def _rest(count: int) -> list[str]:
    return [f"And {count - MOST_LISTED} more.", ""] if count > MOST_LISTED else []


def describe_making(facts: DatasetFacts) -> list[str]:
    """Return what made the dataset: versions, commits, hashes, and params where they are known."""
    made_by, manifest = facts.made_by, facts.manifest
    known = {name.replace("_", " "): _fact(value) for name, value in manifest.provenance.items()}
    rows: list[list[object]] = [
        ["dataset hash", f"`{manifest.dataset_hash}`"],
        ["codec of the latents", plain(f"{manifest.codec.name}, {manifest.codec.fingerprint}")],
        *([plain(name), plain(value, 500)] for name, value in known.items()),
        *describe_lock(made_by),
    ]
    lines = ["## How it was made", "", *table(["fact", "value"], rows)]
    return lines + describe_params(made_by)


def describe_lock(made_by: MadeBy) -> list[list[object]]:
    """Return rows of what DVC's lock states: its hash, and that of each result."""
    if made_by.lock_hash is None:
        return [["dvc.lock", "there was none"]]
    outs: list[list[object]] = [
        [plain(f"{path} in dvc.lock"), plain(md5)] for path, md5 in made_by.outs.items()
    ]
    return [["hash of its stages in dvc.lock", f"`{made_by.lock_hash}`"], *outs]


def describe_params(made_by: MadeBy) -> list[str]:
    """Return the params, folded; nothing where they are not known."""
    if not made_by.params:
        return []
    lines = ["<details><summary>params.yaml</summary>", "", *code_block(made_by.params, "yaml")]
    return [*lines, "</details>", ""]


def _fact(value: Any) -> str:
    return (
        value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    )


def describe_limits(facts: DatasetFacts) -> list[str]:
    """Return what the data are not, as far as they say it themselves."""
    summary, encoding = facts.summary, facts.manifest.encoding
    limits = []
    if "warp" in facts.teachers:
        limits.append(
            "Views of the teacher `warp` are the source moved by its depth, with holes filled by "
            "inpainting from their edges: no model imagined what was hidden."
        )
    if set(facts.teachers) - {"warp"}:
        names = ", ".join(plain(name) for name in facts.teachers if name != "warp")
        limits.append(
            f"Teachers ({names}): what the source does not show was invented, and may be wrong or "
            "differ from view to view; the mask `filled` says where."
        )
    if encoding.get("rgb") not in ("lossless", "original"):
        limits.append("Frames are stored with losses; statistics are of the frames before.")
    if encoding.get("depth") == "half" or encoding.get("latents") == "half":
        limits.append("Depth or latents are stored as half floats.")
    if summary.num_sources == 1:
        limits.append("All views show one source: nothing here says how a model does on others.")
    if len(summary.splits) == 1:
        limits.append(f"There is one split, {plain(next(iter(summary.splits)))}: none is held out.")
    if facts.num_up_to_scale:
        limits.append(
            f"{counted(facts.num_up_to_scale, 'view')} of {facts.num_views} have depth and poses "
            "up to an unknown scale, not in metres."
        )
    unmeasured = [name for name in NUMBERS if not summary.numbers[name].count]
    if unmeasured:
        limits.append(f"Not measured: {', '.join(unmeasured)}.")
    return ["## Limits", "", *(f"- {limit}" for limit in limits), ""]
