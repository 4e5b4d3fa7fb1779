"""params.yaml: read it, validate a stage's section, or all sections before work begins."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lyra_data.engine.documents import parse_yaml
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.foreign_files import require_regular_file
from lyra_data.engine.hashing import content_key
from lyra_data.engine.params import Params, suggestion
from stages.workspace import SECTIONS

Section = TypeVar("Section", bound=Params)


def load_yaml(params_file: Path) -> dict[str, Any]:
    """The whole of params.yaml as plain values.

    Raises:
        ParamsError: the file is missing, is no YAML, or holds unknown sections.
    """
    where = str(params_file)
    try:
        require_regular_file(params_file, ParamsError)
        values = parse_yaml(params_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(
            "no such file", where=where, fix="run in a project's folder, or give --params FILE"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(
            f"cannot be read ({error})", where=where, fix="give a text file"
        ) from None
    except ValueError as error:
        raise ParamsError(
            f"not valid YAML: {error}", where=where, fix="mend the line that the message names"
        ) from None
    if not isinstance(values, dict):
        raise ParamsError("holds no sections", where=where, fix="start from the repository's own")
    known = ["seed", *SECTIONS]
    for name in values:
        if name not in known:
            raise ParamsError(f"unknown key {name}", where=where, fix=suggestion(str(name), known))
    return values


def load_section(
    params_file: Path,
    name: str,
    section: type[Section],
    *,
    changes: Mapping[str, Any] | None = None,
) -> Section:
    """One validated section.

    Args:
        changes: keys that get other values than they have in the file; of a mapping, those of its
            keys that are named.

    Raises:
        ParamsError: a key is unknown or missing, or a value impossible.
    """
    values = load_yaml(params_file)
    if changes and isinstance(values.get(name), dict):
        values[name] = _changed(values[name], changes)
    return _section(values, name, section, params_file)


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with changes at any depth."""
    changed = dict(values)
    for key, new in changes.items():
        old = changed.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            new = _changed(old, new)
        changed[key] = new
    return changed


def load_seed(params_file: Path) -> int:
    """The run's seed: everything random is derived from it."""
    return _seed(load_yaml(params_file), params_file)


def _section(
    values: dict[str, Any], name: str, section: type[Section], params_file: Path
) -> Section:
    if name not in values:
        raise ParamsError(f"missing section {name}", where=str(params_file), fix=f"add `{name}:`")
    return section.parse(values[name], where=name)


def _seed(values: dict[str, Any], params_file: Path) -> int:
    seed = values.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ParamsError(
            f"seed = {seed!r} is no non-negative integer", where=str(params_file), fix="seed: 42"
        )
    return seed


def hash_sections(params_file: Path, *, until: str) -> dict[str, str]:
    """The hash of the values of seed and of every section up to `until`, by name: what stands
    behind a stage's result, and no more."""
    values = load_yaml(params_file)
    names = ("seed", *SECTIONS[: SECTIONS.index(until) + 1])
    return {name: content_key(values[name]) for name in names if name in values}


def check_all(params_file: Path) -> None:
    """Validate every section, so that a typing error in the last one does not wait for the first.

    Raises:
        ParamsError: as `load_section`.
    """
    values = load_yaml(params_file)
    _seed(values, params_file)
    # By name: a static import would make every stage depend on the code of all others.
    modules = {stage: importlib.import_module(f"stages.{stage}") for stage in SECTIONS}
    sections = {
        stage: _section(values, stage, module.SECTION, params_file)
        for stage, module in modules.items()
    }
    modules["evaluate"].check_phase(sections["evaluate"], sections["train"])
    modules["package"].check_store(sections["package"], sections["generate"].store)
