"""Every key of params.yaml as a row of a table: name, value, type, meaning.

Meanings are read from the "Attributes:" in the docstrings of the params classes.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.camera_paths.params import PATH_KINDS
from lyra_data.engine.params import Params
from lyra_data.generation.teachers import TEACHERS
from lyra_data.models.codecs import CODECS
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.sources import SOURCES
from stages.params import load_seed
from stages.workspace import SECTIONS

Row = tuple[str, str, str, str]

TABLES = {
    "sources": SOURCES,
    "annotator": ANNOTATORS,
    "teacher": TEACHERS,
    "warp_baseline": TEACHERS,
    "codec": CODECS,
    "depth": DEPTH_ESTIMATORS,
}
"""Keys whose `name` chooses a kind, and the table that the kind is in."""

ENTRIES = {"names": PATH_KINDS}
"""Keys of lists whose entries are names, or mappings whose `name` chooses a kind."""

LIMITS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}


def params_rows(values: Mapping[str, Any]) -> Iterator[Row]:
    """Yield a row for every key, whether `values`, all of params.yaml, uses its kind or not."""
    yield "seed", str(values["seed"]), "int, >= 0", str(load_seed.__doc__).partition("\n")[0]
    for stage in SECTIONS:
        section = importlib.import_module(f"stages.{stage}").SECTION
        yield from _rows(stage, section, {"": values[stage]})


def _rows(
    key: str, section: type[Params], values_of: Mapping[Any, Any], *, kind_note: str = ""
) -> Iterator[Row]:
    """Yield the rows of one params class and of those inside it.

    Args:
        values_of: values of the class in params.yaml: one, or by phase, or by position in a list.
        kind_note: put before every meaning.
    """
    meanings = meanings_of(section)
    for name, field in section.model_fields.items():
        if name == "name":  # the row of the kind itself
            continue
        meaning = kind_note + meanings[name]
        values = {label: value[name] for label, value in values_of.items()}
        inner, below = field.annotation, f"{key}.{name}"
        # One of several kinds is typed as the base of all params; `depth` is also a plain number.
        is_kind = name in TABLES and (inner is Params or get_origin(inner) is list)
        origin, arguments = get_origin(inner), get_args(inner)
        if origin is dict:
            inner, below = arguments[1], f"{below}.*"
            values = {phase: value for group in values.values() for phase, value in group.items()}
        elif is_kind and origin is list:
            below = f"{below}[]"
            values = dict(enumerate(value for group in values.values() for value in group))
        if is_kind:
            chosen = {label: value["name"] for label, value in values.items()}
            kinds = TABLES[name].names()
            yield f"{below}.name", _in_words(chosen), " or ".join(kinds), meaning
            for kind in kinds:
                of_kind = {label: values[label] for label in values if chosen[label] == kind}
                params: Any = TABLES[name].kind(kind, where=below)
                yield from _rows(below, params.Params, of_kind, kind_note=f"(`{kind}`) ")
        elif name in ENTRIES:
            kinds = ENTRIES[name]
            yield below, _in_words(values), f"list of names, {' or '.join(kinds)}", meaning
            for kind, params in kinds.items():
                yield from _rows(f"{below}[]", params, {}, kind_note=f"(`{kind}`) ")
        elif origin is list and _is_section(arguments[0]):
            yield below, _in_words(values), "list", meaning
            yield from _rows(f"{below}[]", arguments[0], {}, kind_note=kind_note)
        elif _is_section(inner):
            yield from _rows(below, inner, values, kind_note=kind_note)
        else:
            yield below, _in_words(values), _type(inner, field.metadata), meaning


def _is_section(annotation: Any) -> TypeGuard[type[Params]]:
    return isinstance(annotation, type) and issubclass(annotation, Params)


def meanings_of(section: type[Params]) -> dict[str, str]:
    """Return what the class's docstring says of each key; it has to explain all of them."""
    attributes = str(inspect.getdoc(section)).partition("Attributes:\n")[2]
    meanings = {}
    for names, text in re.findall(r"^    ([\w, ]+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE):
        meanings |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    missing = sorted(section.model_fields.keys() - meanings.keys() - {"name"})
    assert not missing, f"the docstring of {section.__name__} does not explain {missing}"
    return meanings


def _in_words(values: Mapping[Any, Any]) -> str:
    """Return one value where all agree, else each with its label; "" where there is none."""
    texts = {label: json.dumps(value).replace('"', "") for label, value in values.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{label}: {text}" for label, text in texts.items())


def _type(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(get_args(annotation))
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        found = [one for field in more for one in getattr(field, "metadata", [field])]
        return _type(inner, [*found, *metadata])
    if get_origin(annotation) in (Union, UnionType):
        alternatives = [one for one in get_args(annotation) if one is not type(None)]
        words = [_type(one, metadata) for one in alternatives]
        return " or ".join([*words, *(["null"] if len(words) < len(get_args(annotation)) else [])])
    plain = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    limits = [f"{LIMITS[k]} {getattr(m, k)}" for m in metadata for k in LIMITS if hasattr(m, k)]
    return ", ".join([plain, *limits])
