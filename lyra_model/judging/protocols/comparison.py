"""Comparison of protocols: which entries differ, and what is to be said of one loudly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyra_data.engine.errors import InputError
from lyra_model.judging.protocols.protocol import Protocol

MISSING = "nothing"


def differing_entries(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Return the entries, by name, in which two protocols differ, with both values."""
    names = [*first, *(name for name in second if name not in first)]
    pairs = {name: (first.get(name, MISSING), second.get(name, MISSING)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def require_comparable(
    first: Mapping[str, Any], second: Mapping[str, Any], *, where: str, fix: str | None = None
) -> None:
    """Refuse to compare scores whose protocols have other fingerprints.

    Args:
        first, second: all entries of both protocols (`Protocol.entries`).

    Raises:
        InputError: they differ; every entry that does is named, with both values.
    """
    differing = differing_entries(first, second)
    if differing:
        told = "; ".join(f"{name}: {_text(a)} | {_text(b)}" for name, (a, b) in differing.items())
        count = len(differing)
        noun = "entry" if count == 1 else "entries"
        raise InputError(
            f"these scores mean different things, their protocols differ in {count} {noun}: {told}",
            where=where,
            fix=fix or "judge both with the same protocol, split file and scenes",
        )


def cautions(protocol: Protocol) -> list[str]:
    """Return what a reader of these scores has to know, most important first."""
    found = []
    if protocol.poses.source != "given":
        found.append(
            f"target poses are {protocol.poses.source} from the target pictures themselves "
            f"({protocol.poses.alignment}): such scores are higher than those of given poses, and "
            "not to be put beside them"
        )
    num_inputs = protocol.split.scenes_with_inputs_as_targets
    if num_inputs:
        found.append(f"targets include inputs in {num_inputs} of {protocol.split.num_used} scenes")
    if protocol.split.file is None and protocol.name.startswith("lyra-table1"):
        found.append(
            "the split behind the paper's table is unpublished: these scores are not the paper's, "
            "whatever the scenes"
        )
    if protocol.left_out:
        found.append("scenes were left out: this is a partial result")
    if any(convention.network_range == "[0, 1]" for convention in protocol.metrics.lpips):
        found.append("LPIPS is given pictures in [0, 1], which makes it several times smaller")
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
