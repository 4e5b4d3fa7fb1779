"""Renaming: a table of name templates that leads from one naming of a model's weights to another.

A template is a name with places in braces: `{i}` and `{j}` are numbers, `{qkv}` one of q, k, v, and
so on (`PLACES`). The same table leads back, so that messages can name a missing weight as the
checkpoint would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

PLACES = {
    "i": r"\d+",
    "j": r"\d+",
    "qkv": "[qkv]",
    "qk": "[qk]",
    "thw": "[thw]",
    "one": "[12]",
    "side": "encoder|decoder",
    "end": "conv_in|conv_out",
    "what": "weight|bias",
}


@dataclass(frozen=True)
class Renaming:
    """One template and what it becomes; both name the same places."""

    source: str
    target: str

    def to_target(self, name: str) -> str | None:
        return _rewrite(self._source_pattern, self.target, name)

    def to_source(self, name: str) -> str | None:
        return _rewrite(self._target_pattern, self.source, name)

    @cached_property
    def _source_pattern(self) -> re.Pattern[str]:
        return _pattern(self.source)

    @cached_property
    def _target_pattern(self) -> re.Pattern[str]:
        return _pattern(self.target)


@dataclass(frozen=True)
class NameTable:
    """Rules that turn the names of one kind of checkpoint into those of our model.

    Attributes:
        renamings: templates; a name matches at most one.
        dropped: patterns of names that the model has no use for, with the reason.
        prefix: what the checkpoint may put before every name of the model.
    """

    renamings: Sequence[Renaming]
    dropped: Mapping[str, str]
    prefix: str = ""

    def rename(self, names: Iterable[str]) -> Renamed:
        """Sort every name of a checkpoint into renamed, dropped, unknown and doubled ones."""
        result = Renamed()
        for name in names:
            target = self._target(name.removeprefix(self.prefix))
            if self._is_dropped(name):
                result.dropped.append(name)
            elif target is None:
                result.unknown.append(name)
            elif target in result.sources:
                result.doubled[name] = target
            else:
                result.sources[target] = name
        return result

    def source_of(self, target: str) -> str | None:
        """Return the checkpoint's own name of a weight, with the prefix; None where it has none."""
        candidates = (renaming.to_source(target) for renaming in self.renamings)
        source = next(filter(None, candidates), None)
        return None if source is None else self.prefix + source

    def _target(self, name: str) -> str | None:
        candidates = [renaming.to_target(name) for renaming in self.renamings]
        targets = [target for target in candidates if target is not None]
        assert len(targets) <= 1, f"{name} matches several templates: {targets}"
        return targets[0] if targets else None

    def _is_dropped(self, name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self.dropped)


@dataclass
class Renamed:
    """A checkpoint's names after renaming.

    Attributes:
        sources: the checkpoint's name by the model's.
        dropped: names that the model has no use for.
        unknown: names that no template knows.
        doubled: names for a weight that another name has already given, with the model's name.
    """

    sources: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    doubled: dict[str, str] = field(default_factory=dict)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(
            f"(?P<{part}>{PLACES[part]})" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        )
    )


def _rewrite(pattern: re.Pattern[str], template: str, name: str) -> str | None:
    match = pattern.fullmatch(name)
    return None if match is None else template.format(**match.groupdict())
