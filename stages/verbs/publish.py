"""publish: the verb of stage publish, with its options, and the plan that people are shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lyra_data.sharing.kinds import Kind
from stages.options import JsonOption, ParamsOption
from stages.running import guarded, run_timed

if TYPE_CHECKING:
    from lyra_data.sharing.publishing import Plan


def publish(
    kind: Annotated[
        Kind,
        typer.Argument(help="dataset, model or scene.", metavar="KIND", show_default=False),
    ],
    source: Annotated[
        Path | None,
        typer.Argument(
            help="The folder to publish; not given: the project's outputs/dataset, "
            "outputs/models/PHASE or outputs/scenes/SCENE.",
            show_default=False,
        ),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME", help="Of the Hub; else as params.yaml says.", show_default=False
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="The version's tag, which never moves; else as params.yaml says.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            metavar="SPDX",
            help="The licence to publish under, e.g. CC-BY-4.0; else as params.yaml says.",
            show_default=False,
        ),
    ] = None,
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public",
            help="Who sees a repository that is made; else as params.yaml says.",
            show_default=False,
        ),
    ] = None,
    params: ParamsOption = Path("params.yaml"),
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the files, the licence, the card and the limits' time."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before publishing.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Publish a dataset, a model or a scene to the Hugging Face Hub, with a card written from data.

    Readers see all of a version or nothing of it: files are sent first, one commit (or the merge of
    one pull request) shows them, every hash is checked, and the tag is set last. Killed or cut, the
    same command goes on and sends no finished file again. What a licence forbids is refused, and so
    is other content under a tag that is there. publish/KIND.json is the receipt.
    """

    def agree(plan: Plan) -> bool:
        from stages.verbs.consent import require_consent
        from stages.verbs.publish_plan import show_plan

        show_plan(plan, to_stderr=json_output, whole=dry_run)
        if not dry_run and plan.tag == "free":  # else nothing is sent, or it is refused
            require_consent(
                yes,
                question="Publish these files under this licence?",
                refusal="nothing was published: nobody is there to confirm the plan above",
            )
        return not dry_run

    def work(progress: Any) -> Any:
        options: dict[str, Any] = {"kind": kind, "source": source, "agree": agree}
        options["changes"] = {
            **_given(version=tag, private=private),
            kind.value: _given(repository=repository, licence=licence),
        }
        if source is None or params.exists():
            return run_timed("publish", params, progress=progress, **options)
        from stages.presets import DEMO, preset_file
        from stages.publish import run_publish

        return run_publish(preset_file(DEMO), root=Path(), progress=progress, **options)

    guarded(work, json_output)


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that the command line has."""
    return {name: value for name, value in options.items() if value is not None}
