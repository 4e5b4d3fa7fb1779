"""The file that inspect writes: of a known kind, and not over one that is not its own."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".png", ".mp4")


def require_writable(target: Path, overwrite: bool) -> None:
    """Refuse a target of another kind, and a file that inspect did not write.

    Raises:
        InputError: so it is, and it may not be overwritten.
    """
    from lyra_data.clips.pictures import is_sheet
    from lyra_data.engine.errors import InputError

    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"a picture of kind {target.suffix!r}",
            where="--output",
            fix="name a file that ends in .png or .mp4",
        )
    if target.is_dir():
        raise InputError("this is a folder", where=str(target), fix="name a file in it")
    if target.exists() and not overwrite and not is_sheet(target):
        what = "nothing says" if target.suffix.lower() == ".mp4" else "it does not say"
        raise InputError(
            f"the file is there, and {what} that inspect wrote it",
            where=str(target),
            fix="name another file with --output, or give --overwrite",
        )


def require_no_scene(scene: str | None, path: str | Path) -> None:
    """Refuse --scene for what is no dataset.

    Raises:
        InputError: a scene is named.
    """
    from lyra_data.engine.errors import InputError

    if scene is not None:
        raise InputError(
            "only a dataset has scenes to choose from",
            where="--scene",
            fix=f"leave it out, or name a dataset instead of {path}",
        )
