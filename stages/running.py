"""Run a verb: its work, timed, then its summary, or the error that the user can mend."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import typer

from lyra_data.engine.errors import LyraError


def run_stage(stage: str, params_file: Path, json_output: bool, **options: Any) -> None:
    """Run a stage and show what it did."""
    guarded(
        lambda progress: run_timed(stage, params_file, progress=progress, **options), json_output
    )


def guarded(work: Callable[[Any], Any], json_output: bool) -> None:
    """Do the work and show its summary, or the error that the user can mend."""
    from lyra_data.engine.locks import waiting_for_locks
    from lyra_data.engine.progress import silent
    from stages.machine import machine_error
    from stages.progress import LineProgress, RichProgress
    from stages.terminal import terminal

    console = terminal(stderr=True)
    # Of processes that train together the first one speaks; each of them tells its own errors.
    speaks = os.environ.get("RANK", "0") == "0"
    shown = RichProgress(console) if console.is_terminal else LineProgress(console)
    progress = shown if speaks and not json_output else silent
    if not json_output:
        _show_annotators(console)
    waits = _waits_for_others(json_output)
    try:
        with waiting_for_locks(partial(_show_wait, console)) if waits else nullcontext():
            summary = work(progress)
    except LyraError as error:
        progress.finish()
        _fail(error, console, json_output)
    except (OSError, MemoryError, RuntimeError) as error:
        progress.finish()
        refusal = machine_error(error)
        if refusal is None:
            raise
        _fail(refusal, console, json_output)
    except KeyboardInterrupt:
        progress.finish()
        console.print("Interrupted.", style="yellow", end=" ")
        console.print("Run the same command again to go on from here.")
        raise typer.Exit(130) from None
    progress.finish()
    if not speaks:
        return
    if json_output:
        print(json.dumps(summary.as_json(), indent=2))
    else:
        summary.show(terminal())


def _waits_for_others(json_output: bool) -> bool:
    """Return whether to wait for work that another process does here already, instead of refusing.

    Somebody at a terminal reads why it waits; a script would hang for days unseen. Of processes
    that train together the first one takes the lock, and the others would go on without it.
    """
    from lyra_data.engine.locks import WAIT_VARIABLE

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return False
    asked = os.environ.get(WAIT_VARIABLE)
    return asked != "0" if asked else sys.stderr.isatty() and not json_output


def _show_wait(console: Any, line: str) -> None:
    from rich.text import Text

    console.print(Text(f"{line}. Waiting for it to end; Ctrl-C stops waiting."), style="yellow")


def _show_annotators(console: Any) -> None:
    """Show, above the bars, what annotators are doing: they work for minutes on one scene, some in
    a program of their own."""
    from rich.logging import RichHandler

    annotators = logging.getLogger("lyra_data.annotation.annotators")
    if not annotators.handlers:
        annotators.setLevel(logging.INFO)
        annotators.propagate = False
        annotators.addHandler(RichHandler(console=console, show_path=False, show_level=False))


def run_timed(
    stage: str,
    params_file: Path,
    *,
    shard: str | None = None,
    work: str | None = None,
    **options: Any,
) -> Any:
    """Check all of params.yaml, run the stage or a share of it, and remember how long it took.

    Raises:
        BusyError: another process runs the same stage here, or the same share of it. Training locks
            each phase by itself.
        InputError: `shard` is no share, or `work` no address.
    """
    if work is not None:
        from lyra_data.engine.remote_work import RemoteWork

        options["remote"] = RemoteWork.at(work)
    if shard is not None:
        return _run_share(stage, params_file, shard, **options)
    from lyra_data.engine.locks import held_lock
    from stages.durations import record_duration
    from stages.params import check_all
    from stages.stage_costs import StageWatch
    from stages.workspace import Workspace

    check_all(params_file)
    phase, device = options.get("phase"), options.get("device")
    watch = StageWatch(params_file, stage, phase=phase, device=device)
    started = time.monotonic()
    function = _function_of(stage)
    workspace = Workspace(params_file.resolve().parent)
    with nullcontext() if stage == "train" else held_lock(workspace.scratch, stage):
        summary = function(params_file, **options)
    name = " ".join(filter(None, (stage, phase)))
    record_duration(workspace, name, time.monotonic() - started)
    watch.record()
    return summary


def _run_share(stage: str, params_file: Path, shard: str, **options: Any) -> Any:
    """Run a share of a stage, beside others; its time is not the stage's."""
    from lyra_data.engine.executors.shares import Share
    from lyra_data.engine.locks import held_lock
    from stages.params import check_all
    from stages.workspace import Workspace

    share = Share.parse(shard)
    check_all(params_file)
    scratch = Workspace(params_file.resolve().parent).scratch
    one = f"{stage}-{share.index}-of-{share.count}"
    with held_lock(scratch, stage, shared=True), held_lock(scratch, one):
        return _function_of(stage)(params_file, share=share, **options)


def _function_of(stage: str) -> Callable[..., Any]:
    """Return what runs a stage; imported only now, for `--help` needs none of its packages."""
    return getattr(importlib.import_module(f"stages.{stage}"), f"run_{stage}")


def _fail(error: LyraError, console: Any, json_output: bool) -> None:
    from rich.text import Text

    if json_output:
        detail = {"what": error.what, "where": error.where, "fix": error.fix}
        print(json.dumps({"error": {"kind": type(error).__name__, **detail}}, indent=2))
    where = [(error.where, "bold"), ": "] if error.where else []
    console.print(Text.assemble(("error", "bold red"), " ", *where, error.what), soft_wrap=True)
    if error.fix:
        console.print(Text.assemble(("fix", "bold green"), "   ", error.fix), soft_wrap=True)
    raise typer.Exit(2) from None
