"""Values of transforms.json: of one frame where it says so, else what is said for all frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lyra_data.engine.errors import InputError


@dataclass(frozen=True)
class Section:
    """One object of the file.

    Attributes:
        where: file and entry, for messages.
        shared: what holds where this object says nothing.
    """

    values: dict[str, Any]
    where: str
    shared: Section | None = None

    def has(self, key: str) -> bool:
        return key in self.values or (self.shared is not None and self.shared.has(key))

    def number(self, key: str) -> float:
        """Return a finite number.

        Raises:
            InputError: the key is missing, or its value is something else.
        """
        value = self._value(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise self.bad(key, value, "a finite number")
        return float(value)

    def whole(self, key: str) -> int:
        """Return a positive whole number; 1920.0 is one.

        Raises:
            InputError: as `number`.
        """
        value = self.number(key)
        if value < 1 or value != int(value):
            raise self.bad(key, value, "a positive whole number")
        return int(value)

    def text(self, key: str) -> str:
        """Return a text that is not empty.

        Raises:
            InputError: as `number`.
        """
        value = self._value(key)
        if not isinstance(value, str) or not value:
            raise self.bad(key, value, "a path relative to the folder of this file")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> Any:
        """Return one of the choices.

        Raises:
            InputError: the value is none of them.
        """
        value = self._value(key) if self.has(key) else default
        if value not in choices:
            raise self.bad(key, value, " or ".join(choices))
        return value

    def bad(self, key: str, value: Any, expected: str) -> InputError:
        text = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:80]}..."
        return InputError(f"{key} = {text}", where=self.where, fix=f"give {expected}")

    def _value(self, key: str) -> Any:
        if key in self.values:
            return self.values[key]
        if self.shared is not None and self.shared.has(key):
            return self.shared._value(key)
        raise InputError(
            f"missing key {key!r}",
            where=self.where,
            fix=f'add "{key}", for every frame or once for all of them',
        )
