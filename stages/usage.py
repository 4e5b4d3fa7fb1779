"""Usage: a command line that cannot be understood, as one JSON object where --json is asked for."""

from __future__ import annotations

import json
from typing import Any

import typer
from typer.core import TyperGroup

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Error that typer raises for any wrong command line; its class has no public name."""


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
            _print(error, as_json)
            raise
        context.meta[__name__] = as_json
        return context

    def invoke(self, ctx: Any) -> Any:
        """Read the verb's options, and run it."""
        try:
            return super().invoke(ctx)
        except USAGE_ERROR as error:
            _print(error, ctx.meta[__name__])
            raise


def _print(error: Any, as_json: bool) -> None:
    if not as_json:
        return
    command = "lyra-data" if error.ctx is None else error.ctx.command_path
    detail = {"what": error.format_message(), "where": command, "fix": f"see `{command} --help`"}
    print(json.dumps({"error": {"kind": "UsageError", **detail}}, indent=2))
