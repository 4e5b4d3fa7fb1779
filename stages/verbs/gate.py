"""gate: a check for continuous integration: is an evaluation worse than the baseline? No stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import JsonOption
from stages.running import guarded

if TYPE_CHECKING:
    from lyra_model.evaluation.gate import Comparison
    from stages.summary import Summary


def gate(
    evaluation: Annotated[
        Path,
        typer.Argument(help="The evaluation to judge: reports/evaluation.json.", metavar="FILE"),
    ],
    baseline: Annotated[
        Path, typer.Option(help="The evaluation.json that it must not fall behind.")
    ],
    noise_db: Annotated[
        float, typer.Option(help="A difference of PSNR that means nothing, in dB.", min=0.0)
    ] = 0.05,
    noise: Annotated[
        float, typer.Option(help="The same of SSIM and of the depth errors.", min=0.0)
    ] = 0.002,
    seed: Annotated[int, typer.Option(help="Of the bootstrap intervals.", min=0)] = 0,
    other_data: Annotated[
        bool,
        typer.Option("--other-data", help="Compare although the two datasets differ in bytes."),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Compare an evaluation with a baseline; exit with 1 where the decoder became worse.

    A metric is worse where its mean over scenes fell by more than the noise and, with six scenes or
    more, the 95 % bootstrap interval of the difference, scene by scene, excludes 0. Evaluations
    that judge other frames, or in another way, are refused (exit 2).
    """
    regressions: list[Comparison] = []

    def work(_: Any) -> Summary:
        from lyra_model.evaluation.gate import Noise, compare_evaluations, read_evaluation

        comparisons = compare_evaluations(
            read_evaluation(evaluation),
            read_evaluation(baseline),
            Noise(noise_db, noise),
            seed=seed,
            where=str(evaluation),
            other_data=other_data,
        )
        regressions.extend(one for one in comparisons if one.is_regression)
        return _summary(comparisons, evaluation)

    guarded(work, json_output)
    if regressions:
        raise typer.Exit(1)


def _summary(comparisons: list[Comparison], evaluation: Path) -> Summary:
    from dataclasses import asdict

    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from stages.summary import Summary

    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("metric of the decoder", no_wrap=True)
    for name in ("before", "now", "change", "95 % interval", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for one in comparisons:
        change = one.change
        interval = "one scene" if change.low is None else f"{change.low:+.3f} {change.high:+.3f}"
        table.add_row(
            _named(one),
            *(f"{one.before:.4g}", f"{one.after:.4g}", f"{change.mean:+.3f}", interval),
            Text("worse", style="red") if one.is_regression else "",
        )
    worse = [_named(one) for one in comparisons if one.is_regression]
    verdict = f"worse: {', '.join(worse)}" if worse else "nothing became worse beyond the noise"
    facts = {"regressions": worse, "comparisons": [asdict(one) for one in comparisons]}
    return Summary("gate", f"{evaluation}: {verdict}", facts, (table,))


def _named(one: Comparison) -> str:
    return f"{one.metric}, {'photos' if one.kind == 'real_photos' else 'held out'}"
