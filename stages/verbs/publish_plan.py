"""The plan of a publication, as people are shown it before anything is sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stages.summary import counted, size_text

if TYPE_CHECKING:
    from lyra_data.sharing.publishing import Plan

MOST_FILES = 12
"""Files that are listed one by one; of more, folders are."""

CARD = "README.md"


def show_plan(plan: Plan, *, to_stderr: bool, whole: bool) -> None:
    """Print what would be published.

    Args:
        whole: every file, and the card's text.
    """
    from stages.terminal import terminal

    console = terminal(stderr=to_stderr)
    for line in plan_lines(plan, whole=whole):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def plan_lines(plan: Plan, *, whole: bool) -> list[str]:
    """Return the plan as lines of text."""
    publication = plan.publication
    seen = "private" if publication.private else "public"
    # To make a private repository public is its owner's step, on its page.
    state = "there already, seen by whom it is now" if plan.exists else f"made anew, {seen}"
    if plan.unknown_because is not None:
        state = f"the Hub was not asked ({plan.unknown_because}): everything counts as new"
    # What is long comes first, so that the sums end on the screen.
    lines = [*([f"--- {CARD}", *_card_lines(plan), "---", ""] if whole else [])]
    lines += [
        f"{publication.repository_type} {publication.repository}: {state}",
        f"version  {publication.tag}{_tag_note(plan)}",
        f"licence  {publication.licence}",
    ]
    lines += _file_lines(plan, whole=whole)
    lines += [f"  removed from main: {path}" for path in plan.removed]
    lines.append(
        f"total    {counted(len(plan.files), 'file')}, {size_text(publication.size)}; "
        f"{size_text(plan.bytes_to_send)} to send in {counted(plan.num_commits, 'commit')}, "
        f"about {plan.num_calls} calls"
    )
    if plan.seconds_by_limits >= 1:
        lines.append(f"limits   the Hub's limits make it take {_duration(plan.seconds_by_limits)}")
    return lines


def _tag_note(plan: Plan) -> str:
    return {
        "free": "",
        "same": ": published already, with exactly this content",
        "taken": ": stands for other content already; give another version",
    }[plan.tag]


def _file_lines(plan: Plan, *, whole: bool) -> list[str]:
    if whole or len(plan.files) <= MOST_FILES:
        ordered = sorted(plan.files, key=lambda file: file.path)
        words = {"new": "", "changed": "  replaces another", "there": "  is there, whole"}
        return [f"  {size_text(f.size):>10}  {f.path}{words[f.state]}" for f in ordered]
    sizes: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for file in plan.files:
        folder = file.path.rpartition("/")[0] or "."
        sizes[folder] += file.size
        numbers[folder] += 1
    return [
        f"  {size_text(sizes[folder]):>10}  {folder}/ ({counted(numbers[folder], 'file')})"
        for folder in sorted(sizes)
    ]


def _card_lines(plan: Plan) -> list[str]:
    card = next((file for file in plan.publication.files if file.path == CARD), None)
    if card is None:
        return []
    content = card.source if isinstance(card.source, bytes) else card.source.read_bytes()
    return content.decode("utf-8").splitlines()


def _duration(seconds: float) -> str:
    minutes = -(-seconds // 60)
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
