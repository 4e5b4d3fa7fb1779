"""Usage: help in plain words for types, and a command line that cannot be understood as JSON."""

from __future__ import annotations

import functools
import json
from typing import Any

import typer
from typer.core import TyperGroup

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Error that typer raises for any wrong command line; its class has no public name."""

PLAIN_TYPES = {
    "str": "TEXT",
    "path": "PATH",
    "file": "PATH",
    "directory": "PATH",
    "Path": "PATH",
    "int": "N",
    "int range": "N",
    "float": "NUMBER",
    "float range": "NUMBER",
}
"""Words of help for a value of a Python type."""
NO_SHARES = {
    "train": "a phase is one computation from first step to last and has no shares; several "
    "GPUs train it together (docs/training.md)",
    "evaluate": "its figures are of all scenes together, and it has no shares",
    "reconstruct": "it has no shares; machines that reconstruct together have a project each, "
    "with a part of the inputs",
    "check": "rules compare scenes with one another, so it has no shares; with --sample it reads "
    "some views of a large dataset",
}
"""Reasons why verbs whose work is long have no --shard, as annotate, generate and package have."""

VALUE_ERROR = "Value error, "
"""Pydantic's words before the message of a value that it refuses."""


class JsonErrors(TyperGroup):
    """A group of verbs whose usage errors are on standard output too, as every other error is."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Read the options before the verb."""
        as_json = "--json" in args
        try:
            context = super().make_context(info_name, args, parent, **extra)
        except USAGE_ERROR as error:
            _print(_in_our_words(error), as_json)
            raise
        context.meta[__name__] = as_json
        return context

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options before the verb."""
        return _with_plain_types(super().get_params(ctx), ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, or a group of verbs."""
        command = super().get_command(ctx, cmd_name)
        for one in [] if command is None else [command, *getattr(command, "commands", {}).values()]:
            _with_plain_types(one.get_params(ctx), ctx)
        return command

    def invoke(self, ctx: Any) -> Any:
        """Read the verb's options, and run it."""
        try:
            return super().invoke(ctx)
        except USAGE_ERROR as error:
            _print(_in_our_words(error), ctx.meta[__name__])
            raise


def _with_plain_types(params: list[Any], ctx: Any) -> list[Any]:
    """Return arguments and options of which help shows what to write, not Python's types.

    A flag takes no value, so it shows none; an argument's own name says what it is.
    """
    for param in params:
        if param.metavar is None and getattr(param, "is_flag", False):
            param.metavar = ""
            continue
        label = param.display_type(ctx).strip("<>")
        if label.startswith("list["):
            label = label[len("list[") : -1]
        label = PLAIN_TYPES.get(label, label)
        if param.param_type_name == "argument":
            shown = "" if label in PLAIN_TYPES.values() else str(label)
            param.display_type_rich = functools.partial(_constant, shown)
        elif param.metavar is None and param.nargs == 1:
            param.metavar = label
    return params


def _constant(text: str, ctx: Any) -> str:
    del ctx
    return text


def _in_our_words(error: Any) -> Any:
    """Return a usage error without the words that a library puts before its messages."""
    error.message = str(error.message).replace(VALUE_ERROR, "")
    verb = None if error.ctx is None else error.ctx.info_name
    if getattr(error, "option_name", None) == "--shard" and verb in NO_SHARES:
        error.message = f"No --shard here: {NO_SHARES[verb]}."
        error.possibilities = None
    return error


def _print(error: Any, as_json: bool) -> None:
    if not as_json:
        return
    command = "lyra-data" if error.ctx is None else error.ctx.command_path
    detail = {"what": error.format_message(), "where": command, "fix": f"see `{command} --help`"}
    print(json.dumps({"error": {"kind": "UsageError", **detail}}, indent=2))
