"""What a conformance checker returns, and the table of the kinds that have one.

A checker is a module with `check(entry, folder) -> Result`: `entry` is one item of INDEX.json's
`entries`, `folder` the folder that INDEX.json lies in. It feeds the entry's inputs to our code and
compares every output through a `Comparison`. The `cases` of a gen3c folder's own INDEX.json are
entries of kind "gen3c", each with its `case` and the `subfolder` its files lie in.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CHECKERS: dict[str, str] = {
    "trajectories": "tests.conformance.trajectories",
    "cache": "tests.conformance.cache",
    "rays": "tests.conformance.rays",
    "mamba": "tests.conformance.mamba",
    "model": "tests.conformance.model",
    "losses": "tests.conformance.losses",
    "latents": "tests.conformance.latents",
    "ply": "tests.conformance.ply",
    "images": "tests.conformance.images",
    "vipe": "tests.conformance.vipe",
    "gen3c": "tests.conformance.gen3c",
}
"""Kind of an entry -> module of its checker. A module that is not there yet means: skipped."""

Checker = Callable[[dict[str, Any], Path], "Result"]


@dataclass(frozen=True)
class Result:
    """Outcome of one entry of INDEX.json.

    Attributes:
        largest_error: largest absolute difference over all outputs compared; None if skipped.
        failures: one line per output outside its tolerance; empty when the entry conforms.
        skipped: why nothing was compared, or None.
        notes: what could not be compared, and why, where the rest was.
    """

    kind: str
    file: str
    largest_error: float | None
    tolerance: str
    failures: tuple[str, ...] = ()
    skipped: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.skipped is None and not self.failures

    @property
    def status(self) -> str:
        if self.skipped is not None:
            return "skip"
        return "FAIL" if self.failures else "ok"

    def __str__(self) -> str:
        error = "" if self.largest_error is None else f"{self.largest_error:.3g}"
        line = f"{self.status:4} {self.kind:12} {self.file:44} {error:>9} {self.tolerance}"
        if self.skipped is not None:
            line += f" ({self.skipped})"
        notes = [f"not compared: {note}" for note in self.notes]
        return "\n".join([line, *(f"       {text}" for text in (*self.failures, *notes))])


@dataclass
class Comparison:
    """Collects the outputs of one entry and judges each by its tolerance.

    A tolerance has the keys of INDEX.json: atol, rtol (as numpy's allclose), exact, exact_fraction
    (smallest share of equal elements), fraction_within (smallest share inside atol/rtol),
    mean_rtol (largest mean relative difference). NaN equals NaN.
    """

    entry: Mapping[str, Any]
    largest_error: float = 0.0
    compared: int = 0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, name: str, actual: Any, expected: Any, tolerance: Mapping[str, Any] | None = None
    ) -> None:
        """Compare one output; `tolerance` is the entry's own when it has only one."""
        tolerance = dict(self.entry["tolerance"] if tolerance is None else tolerance)
        actual, expected = as_numpy(actual), as_numpy(expected)
        self.compared += 1
        if actual.shape != expected.shape:
            self.failures.append(f"{name}: shape {actual.shape} instead of {expected.shape}")
            return
        if actual.dtype.kind not in "biuf":  # names and the like
            if not np.array_equal(actual, expected):
                self.failures.append(f"{name}: not equal")
            return
        left, right = actual.astype(np.float64), expected.astype(np.float64)
        equal = (left == right) | (np.isnan(left) & np.isnan(right))
        with np.errstate(invalid="ignore"):
            difference = np.where(equal, 0.0, np.abs(left - right))
        largest = float(difference.max(initial=0.0))
        # A NaN on one side only is an error without a size.
        self.largest_error = max(self.largest_error, np.inf if np.isnan(largest) else largest)
        problem = _outside(difference, equal, right, tolerance)
        if problem:
            self.failures.append(f"{name}: {problem}; largest error {largest:.3g}")

    def result(self) -> Result:
        assert self.compared, f"{self.entry['file']}: the checker compared nothing"
        return Result(
            kind=self.entry["kind"],
            file=self.entry["file"],
            largest_error=self.largest_error,
            tolerance=json.dumps(self.entry["tolerance"]),
            failures=tuple(self.failures),
            notes=tuple(self.notes),
        )


def _outside(
    difference: np.ndarray, equal: np.ndarray, expected: np.ndarray, tolerance: dict[str, Any]
) -> str | None:
    """How `difference` breaks `tolerance`, or None."""
    if difference.size == 0:
        return None
    unknown = set(tolerance) - {
        "atol",
        "rtol",
        "exact",
        "exact_fraction",
        "fraction_within",
        "mean_rtol",
    }
    assert not unknown, f"unknown tolerance keys {unknown}"
    if tolerance.get("exact") and not equal.all():
        return f"{int((~equal).sum())} of {equal.size} elements differ"
    if equal.mean() < tolerance.get("exact_fraction", 0.0) and "atol" not in tolerance:
        return f"only {equal.mean():.5f} are equal, {tolerance['exact_fraction']} asked"
    if "atol" in tolerance or "rtol" in tolerance:
        size = np.where(np.isfinite(expected), np.abs(expected), 0.0)  # 0 * inf would be NaN
        bound = tolerance.get("atol", 0.0) + tolerance.get("rtol", 0.0) * size
        share = float((equal | (difference <= bound)).mean())
        asked = tolerance.get("fraction_within", tolerance.get("exact_fraction", 1.0))
        if share < asked:
            return f"only {share:.5f} lie within the tolerance, {asked} asked"
    if "mean_rtol" in tolerance:
        mean = float((difference / np.maximum(np.abs(expected), 1e-12)).mean())
        if mean > tolerance["mean_rtol"]:
            return f"mean relative error {mean:.3g}, {tolerance['mean_rtol']} allowed"
    return None


def as_numpy(value: Any) -> np.ndarray:
    """Tensors, arrays, lists and numbers as one array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):  # which NumPy lacks; float32 holds each of its values
            value = value.float()
        value = value.numpy()
    return np.asarray(value)


def load_arrays(entry: Mapping[str, Any], folder: Path) -> dict[str, np.ndarray]:
    """Arrays of an entry's .npz by name."""
    with np.load(folder / entry["file"], allow_pickle=False) as arrays:
        return dict(arrays)


def index_files(folder: Path) -> list[Path]:
    """The folder's INDEX.json and that of its subfolder gen3c, as far as they are there."""
    paths = (folder / "INDEX.json", folder / "gen3c" / "INDEX.json")
    return [path for path in paths if path.is_file()]


def load_entries(folder: Path) -> list[dict[str, Any]]:
    """`entries` and `cases` of the folder's index files."""
    entries = []
    for path in index_files(folder):
        index, subfolder = json.loads(path.read_text()), str(path.parent.relative_to(folder))
        entries += index.get("entries", []) if subfolder == "." else []
        entries += [_entry_of_case(case, subfolder) for case in index.get("cases", [])]
    return entries


def find_entry(folder: Path, file: str) -> dict[str, Any]:
    """The entry of one file, or of one gen3c case by its id."""
    return next(entry for entry in load_entries(folder) if entry["file"] == file)


def _entry_of_case(case: dict[str, Any], subfolder: str) -> dict[str, Any]:
    return {
        "kind": "gen3c",
        "file": case["id"],
        "tolerance": case.get("tolerance", {}),
        "case": case,
        "subfolder": subfolder,
    }


def has_checker(kind: str) -> bool:
    """Whether a kind's checker exists; imports nothing, so a broken one fails alone."""
    module = CHECKERS.get(kind)
    return module is not None and importlib.util.find_spec(module) is not None


def find_checker(kind: str) -> Checker:
    """The checker of a kind that has one."""
    return importlib.import_module(CHECKERS[kind]).check


def check_entry(entry: dict[str, Any], folder: Path) -> Result:
    """Run an entry's checker; a kind without one is skipped, saying so."""
    if not has_checker(entry["kind"]):
        return skip(entry, f"no checker for kind {entry['kind']!r}")
    return find_checker(entry["kind"])(entry, folder)


def skip(entry: Mapping[str, Any], reason: str) -> Result:
    """The result of an entry that nothing was compared for."""
    return Result(
        kind=entry["kind"],
        file=entry["file"],
        largest_error=None,
        tolerance="",
        skipped=reason,
    )
