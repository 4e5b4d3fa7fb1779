"""Imports: which of our own modules a module runs, read from the source and not by importing it.

One answer for two users: the hash of code in every scratch key (`provenance.code_fingerprint`) and
the dependencies in dvc.yaml (`stages.code_dependencies`).
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGES = ("lyra_data", "lyra_model", "stages")

DATA_SUFFIXES = (".css", ".html", ".j2", ".js", ".json")
"""Files beside a package's modules that they read."""

NAMED_MODULE = re.compile(rf"((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(?::\w+)?")
"""A module in a string, alone or as "module:attribute": a table imports it by name."""

NAMING_CALLS = ("Registry", "code_fingerprint", "getLogger")
"""Calls whose strings name modules that they do not import."""


def modules_run_by(*names: str) -> frozenset[str]:
    """Return the named modules, all of ours that they import, directly or not, and their packages.

    Imports inside functions count, and so do modules that a string names, as the table of losses
    does. Imports for type checkers do not count: nothing runs them. Neither do the kinds in a
    `Registry`: params choose among them, so whoever asks names those that are chosen too.
    """
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        module = waiting.pop()
        if module in reached:
            continue
        reached.add(module)
        package, _, _ = module.rpartition(".")
        waiting += [*imports_of(module), *([package] if package else [])]
    return frozenset(reached)


def files_run_by(*names: str) -> dict[str, Path]:
    """Return the files of `modules_run_by`, with the data files of packages, by a stable name.

    A name is the path below the folder that holds the packages, e.g. lyra_data/scene/clip.py.
    """
    files = {}
    for module in modules_run_by(*names):
        path, name = _require_file(module), module.replace(".", "/")
        if not _is_package(path):
            files[f"{name}.py"] = path
            continue
        files[f"{name}/__init__.py"] = path
        for data in path.parent.iterdir():
            if data.suffix in DATA_SUFFIXES:
                files[f"{name}/{data.name}"] = data
    return dict(sorted(files.items()))


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """Return the modules of ours that one module's source imports or names, its packages aside."""
    path = _require_file(module)
    package = module if _is_package(path) else module.rpartition(".")[0]
    ours = {*PACKAGES, module.partition(".")[0]}
    tree = ast.parse(path.read_bytes(), filename=str(path))
    named = (name for node in _running_nodes(tree) for name in _names_in(node, package))
    return frozenset(
        name for name in named if name.partition(".")[0] in ours and file_of(name) is not None
    )


@functools.cache
def file_of(module: str) -> Path | None:
    """Return a module's source file, or None where there is no such module."""
    root, *rest = module.split(".")
    spec = importlib.util.find_spec(root)  # of a root package: imports nothing
    if spec is None:
        return None
    if not rest:
        return None if spec.origin is None else Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *rest)
        for candidate in (path / "__init__.py", path.with_suffix(".py")):
            if candidate.is_file():
                return candidate
    return None


def _require_file(module: str) -> Path:
    path = file_of(module)
    assert path is not None, f"no module {module}"
    return path


def _is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def _running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node below, but for blocks of type checkers and calls that only name modules."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _last_name(child.func) in NAMING_CALLS:
            continue
        if isinstance(child, ast.If) and _last_name(child.test) == "TYPE_CHECKING":
            for statement in child.orelse:
                yield statement
                yield from _running_nodes(statement)
            continue
        yield child
        yield from _running_nodes(child)


def _last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _names_in(node: ast.AST, package: str) -> Iterable[str]:
    """Return the modules that one node may import; `package` is where relative imports start."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            start = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*start, *filter(None, [node.module])])
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        match = NAMED_MODULE.fullmatch(node.value)
        return [match[1]] if match else []
    return []
