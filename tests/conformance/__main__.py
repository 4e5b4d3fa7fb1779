"""`python -m tests.conformance DIR [--kind K]`: compare with every golden file and say how far off.

Prints a line per entry and `N passed, N failed, N skipped`; exits with 1 when one failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tests.conformance.base import Result, check_entry, index_files, load_entries


def _check(entry: dict[str, Any], folder: Path) -> Result:
    """An entry's result; an error in our code fails this entry and lets the others be compared."""
    try:
        return check_entry(entry, folder)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return Result(entry["kind"], entry["file"], None, "", failures=(reason,))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="folder that holds INDEX.json, its own or in gen3c/"
    )
    parser.add_argument("--kind", action="append", help="only this kind; may be repeated")
    arguments = parser.parse_args()
    indices = index_files(arguments.folder)
    if not indices:
        parser.error(f"{arguments.folder} holds no INDEX.json, nor does its folder gen3c")
    entries = load_entries(arguments.folder)
    if not entries:
        parser.error(f"{' and '.join(map(str, indices))}: neither entries nor cases")
    known = sorted({entry["kind"] for entry in entries})
    for kind in arguments.kind or []:
        if kind not in known:
            parser.error(f"unknown kind {kind!r}; known: {', '.join(known)}")

    count = {"ok": 0, "FAIL": 0, "skip": 0}
    for entry in entries:
        if arguments.kind and entry["kind"] not in arguments.kind:
            continue
        result = _check(entry, arguments.folder)
        count[result.status] += 1
        sys.stdout.write(f"{result}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped\n")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
