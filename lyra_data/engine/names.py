"""Names that come out of files: checked where they are read, before they become part of a path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from lyra_data.engine.errors import CorruptDataError, LyraError

MAX_NAME_LENGTH = 200
"""Characters; file systems take 255 bytes, and suffixes (`_camera_to_world.npy`) follow."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def is_safe_name(name: Any) -> bool:
    """Return whether a value can stand as one file or folder name, whoever wrote it.

    Letters, digits, "_", "-" and "." make a name; it does not begin with "." (so that it is neither
    hidden nor "..") and is at most MAX_NAME_LENGTH long. No separator, no blank, no control
    character, no letter that two file systems would write in two ways.
    """
    return isinstance(name, str) and len(name) <= MAX_NAME_LENGTH and bool(_NAME.fullmatch(name))


def is_number(text: str) -> bool:
    """Return whether a text is a whole number in plain digits that `int` reads at once.

    `str.isdigit` holds for a superscript two too, which `int` refuses, and for thousands of digits.
    """
    return bool(re.fullmatch(r"[0-9]{1,18}", text))


def checked_name(
    name: Any, *, noun: str, where: str, error: type[LyraError] = CorruptDataError
) -> str:
    """Return `name` where it is safe as a file or folder name.

    Args:
        noun: the thing that is named, for the message: "scene_id", "trajectory", "shard".
        where: the file that the name stands in.

    Raises:
        CorruptDataError (or `error`): it is no text, empty, too long, or holds anything but
            letters, digits, "_", "-" and ".".
    """
    if is_safe_name(name):
        return name
    raise error(
        f"{noun} {shortened(name)} is no name: letters, digits, '_', '-' and '.' make one, "
        f"{MAX_NAME_LENGTH} at most, and it does not begin with '.'",
        where=where,
        fix="nothing was read or written under this name; make the file again, or ask who made it",
    )


def stays_inside(relative: Any) -> bool:
    """Return whether a path relative to a folder leads to a file below it, whoever wrote it."""
    if not isinstance(relative, str) or not relative or "\0" in relative or "\\" in relative:
        return False
    path = PurePosixPath(relative)
    return not path.is_absolute() and ".." not in path.parts and path != PurePosixPath(".")


def checked_path(
    relative: Any, *, noun: str, where: str, error: type[LyraError] = CorruptDataError
) -> str:
    """Return `relative` where it names a file below the folder that it is relative to.

    Raises:
        CorruptDataError (or `error`): it is absolute, holds "..", a NUL or a backslash, or is
            empty.
    """
    if stays_inside(relative):
        return relative
    raise error(
        f"{noun} {shortened(relative)} lies outside its folder",
        where=where,
        fix="nothing was read or written there; do not use this folder, and ask who made it",
    )


def checked_file_name(
    name: Any, *, noun: str, where: str, error: type[LyraError] = CorruptDataError
) -> str:
    """Return `name` where it names one file of a folder; blanks and any script's letters may stand.

    For names that people chose for their own files; what we name ourselves is a `checked_name`.

    Raises:
        CorruptDataError (or `error`): it holds "/" or is no `checked_path`.
    """
    checked = checked_path(name, noun=noun, where=where, error=error)
    if "/" in checked:
        raise error(
            f"{noun} {shortened(name)} is no name of one file",
            where=where,
            fix="nothing was read or written there; do not use this folder, and ask who made it",
        )
    return checked


def inside(folder: Path, relative: str) -> bool:
    """Return whether `folder / relative` is below `folder` once symbolic links are followed.

    Names that stay inside can still lead out through a link that lies in the folder.
    """
    return (folder / relative).resolve().is_relative_to(folder.resolve())


def shortened(value: Any, length: int = 60) -> str:
    """Return the value as Python writes it, cut to `length` characters, for a message."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def fix_for_missing(path: Path, *, known: Iterable[str] = ()) -> str:
    """Return the `fix` for a path that is not there: the nearest name, if any is near.

    Args:
        known: names that may stand in the path's place without being files.
    """
    try:
        beside = {one.name: str(one) for one in path.parent.iterdir()}
    except OSError:
        beside = {}
    choices = {**beside, **{name: name for name in known}}
    near = difflib.get_close_matches(path.name, list(choices), n=1)
    return f"correct the path: did you mean {choices[near[0]]}?" if near else "correct the path"
