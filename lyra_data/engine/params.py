"""Params: frozen, typed sections of params.yaml that refuse what they do not know."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from lyra_data.engine.errors import ParamsError


def multiple_of(unit: int, noun: str) -> AfterValidator:
    """Accept whole numbers 1, 2, 3, ... times `unit` alone; the message names the nearest ones.

    Args:
        noun: what is counted, in the plural, e.g. "pixels".
    """

    def check(number: int) -> int:
        below = number // unit * unit
        if number <= 0 or number != below:
            near = sorted({max(each, unit) for each in (below, below + unit)})
            raise ValueError(
                f"must be a multiple of {unit} {noun}; nearest: {', '.join(map(str, near))}"
            )
        return number

    return AfterValidator(check)


class Params(BaseModel):
    """Base of every params section. A component states its own Params class above itself.

    No number may be infinite or NaN: none means anything here, and hashes of params need JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Any, *, where: str) -> Self:
        """Validate `values` (a mapping from YAML) as this section.

        Args:
            where: dotted params key of the section, used in messages, e.g. "generate.teacher".

        Raises:
            ParamsError: naming every offending key, its value and the known choices.
        """
        if not isinstance(values, Mapping):
            raise ParamsError(
                f"expected a mapping, found {values!r}",
                where=where,
                fix=f"write `{where}:` followed by its keys: {', '.join(cls.model_fields)}",
            )
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise _explain(error, cls, where) from None


def _explain(error: ValidationError, section: type[Params], where: str) -> ParamsError:
    problems, fixes = [], []
    for item in error.errors(include_url=False):
        location = ".".join(str(part) for part in item["loc"])
        key = f"{where}.{location}" if location else where
        if item["type"] == "extra_forbidden":
            known = _fields_at(section, item["loc"][:-1])
            misspelt = str(item["loc"][-1])
            problems.append(f"unknown key {key}")
            fixes.append(suggestion(misspelt, known))
        elif item["type"] == "missing":
            problems.append(f"missing key {key}")
            fixes.append(f"add `{item['loc'][-1]}:`")
        else:
            problems.append(
                f"{key}{_describe_value(item['input'])}: {item['msg'].removeprefix(VALUE_ERROR)}"
            )
            if item["type"] == "literal_error":
                known = re.findall(r"'([^']*)'", item.get("ctx", {}).get("expected", ""))
                fixes.append(suggestion(str(item["input"]), known))
    return ParamsError(
        "; ".join(problems),
        where="params.yaml",
        fix="; ".join(fixes) or "correct the value in params.yaml",
    )


VALUE_ERROR = "Value error, "
"""Pydantic's words before the message of a ValueError of ours."""


def _describe_value(value: Any) -> str:
    """Return the offending value for a message; a whole section would bury it."""
    return "" if isinstance(value, Mapping) else f" = {value!r}"


def _fields_at(section: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Return names of the keys known at a nested location, as far as the types say."""
    current: Any = section
    for part in location:
        if _is_section(current):
            field = current.model_fields.get(str(part))
            current = None if field is None else field.annotation
            if get_origin(current) in (Union, UnionType):  # a section that may be left out
                current = _section_in(current)
        else:  # the part is a position in a list or a key of a mapping of sections
            current = _section_in(current)
    return list(current.model_fields) if _is_section(current) else []


def _section_in(annotation: Any) -> Any:
    return next(filter(_is_section, get_args(annotation)), None)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def suggestion(word: str, known: list[str]) -> str:
    """Return 'did you mean x? known: a, b, x', for an error's `fix`.

    Where no name is close, one that begins with the word is meant.
    """
    close = difflib.get_close_matches(word, known, n=1)
    close = close or [name for name in known if word and name.startswith(word)]
    start = f"did you mean {close[0]!r}? " if close else ""
    return f"{start}known: {', '.join(known)}" if known else f"remove {word!r}"
