"""The command line that starts ViPE in an environment of its own."""

from __future__ import annotations

import logging
import re
import shlex
from pathlib import Path

from lyra_data.annotation.annotators.vipe_process import Ended, run_to_end
from lyra_data.engine.errors import ParamsError

log = logging.getLogger(__name__)

FOLDER = "{folder}"
"""Stands, in the command of the params, for the folder that holds the video and the result."""

UNKNOWN = "unknown"
"""Said of the version where `vipe --version` does not tell it."""

_INSTALL = (
    "install ViPE (https://github.com/nv-tlabs/vipe) in an environment of its own, e.g. "
    "`pip install nvidia-vipe`, and give `command` as docs/vipe.md shows; without ViPE, the "
    "annotator `colmap` finds poses and depth, and `given` takes what a source brings"
)


def parse_command(command: str) -> tuple[str, ...]:
    """Split a command into words as a shell does; no shell ever sees it.

    Raises:
        ValueError: it is empty, a quotation mark is left open, or its program has a relative path.
    """
    words = tuple(shlex.split(command))
    if not words:
        raise ValueError("is empty; give `vipe`, or what starts it in its environment")
    if "/" in words[0] and not words[0].startswith("/"):
        raise ValueError("starts with a relative path; give the whole one: ViPE runs elsewhere")
    return words


def run_vipe(words: tuple[str, ...], arguments: list[str], folder: Path, *, label: str) -> Ended:
    """Run ViPE to its end.

    Args:
        words: of `command`.
        folder: what {folder} stands for, and where ViPE runs.

    Raises:
        ParamsError: the program that `command` starts is missing, or must not be run.
    """
    started = [word.replace(FOLDER, str(folder.absolute())) for word in words] + arguments
    log.info("%s: %s", label, shlex.join(started))
    try:
        return run_to_end(started, folder, label=label)
    except OSError as error:
        raise ParamsError(
            f"annotate.annotator.command: {words[0]!r} cannot be started: "
            f"{error.strerror or error}",
            where="params.yaml",
            fix=_INSTALL,
        ) from None


def version_of(words: tuple[str, ...], folder: Path) -> str:
    """Return what `vipe --version` prints, or "unknown".

    Raises:
        ParamsError: as `run_vipe`.
    """
    ended = run_vipe(words, ["--version"], folder, label="vipe --version")
    version = re.search(r"version[: ]+(\S+)", "\n".join(ended.last_lines))
    if ended.exit_code == 0 and version:
        return version[1]
    last = ended.last_lines[-1] if ended.last_lines else "nothing"
    log.warning("the version of ViPE is unknown: it said %r (%s)", last, ended.how)
    return UNKNOWN
