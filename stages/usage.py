"""Usage: help without types of flags, and a command line that cannot be understood as JSON."""

from __future__ import annotations

import json
from typing import Any

import typer
from typer.core import TyperGroup

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Error that typer raises for any wrong command line; its class has no public name."""

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
        return _without_types_of_flags(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, or a group of verbs."""
        command = super().get_command(ctx, cmd_name)
        for one in [] if command is None else [command, *getattr(command, "commands", {}).values()]:
            _without_types_of_flags(one.get_params(ctx))
        return command

    def invoke(self, ctx: Any) -> Any:
        """Read the verb's options, and run it."""
        try:
            return super().invoke(ctx)
        except USAGE_ERROR as error:
            _print(_in_our_words(error), ctx.meta[__name__])
            raise


def _without_types_of_flags(params: list[Any]) -> list[Any]:
    """Return options of which help shows no type where they take no value."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


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
