"""judge: renders of any method against ground truth, by a protocol. No DVC stage."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import JsonOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from rich.table import Table

    from lyra_model.judging.judge import Judgement
    from lyra_model.judging.protocols.protocol import Protocol
    from lyra_model.metrics.intervals import Interval
    from lyra_model.rendering.base import RenderingParams
    from stages.summary import Summary

WIDTH = 80


class Metric(StrEnum):
    """A metric that can be left out."""

    psnr = "psnr"
    ssim = "ssim"
    lpips = "lpips"
    flip = "flip"


class Background(StrEnum):
    """The colour where no Gaussian is."""

    white = "white"
    black = "black"


def judge(
    renders: Annotated[
        Path | None,
        typer.Argument(
            metavar="RENDERS",
            help="A folder RENDERS/SCENE/NUMBER.png (or .npy), or RENDERS/SCENE.ply of Gaussians.",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(help="A built-in protocol, or a .json of one's own. docs/protocols.md."),
    ] = "lyra-views",
    truth: Annotated[
        Path | None,
        typer.Option(help="The folder of the ground truth.", show_default=False),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            help="The protocol's split file, as fetched from its publisher.", show_default=False
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Leave missing scenes out; the fingerprint says which."),
    ] = False,
    without: Annotated[
        list[Metric] | None,
        typer.Option(
            metavar="METRIC",
            help="Leave a metric out: psnr, ssim, lpips, flip; may be repeated. Changes the "
            "fingerprint.",
        ),
    ] = None,
    lpips_weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Weights of LPIPS; not given: those of `weights pull lpips-vgg` or torchvision.",
        ),
    ] = None,
    background: Annotated[
        Background, typer.Option(help="Of Gaussians that are rendered here.")
    ] = Background.white,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="SCORES",
            help="Scores of another method (--output): the differences, with their intervals.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap behind the intervals.", min=0)] = 0,
    output: Annotated[
        Path | None, typer.Option(help="A file for all scores, JSON.", show_default=False)
    ] = None,
    show: Annotated[
        bool,
        typer.Option("--show", help="Print the protocol (--output: write it) and judge nothing."),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Score renders of any method against ground truth, by a protocol with a fingerprint.

    Scores of other fingerprints are never compared. Means are over scenes or frames, as the
    protocol says, with a 95 % bootstrap interval over scenes. PSNR is in dB; SSIM, LPIPS and FLIP
    have no unit. Nothing is resized, and no weights are shipped.
    """
    chosen = tuple(metric.value for metric in without or ())

    def work(progress: Any) -> Summary:
        from lyra_model.judging.judge import judge as judge_renders
        from lyra_model.judging.protocols.files import open_protocol
        from lyra_model.judging.renders import RenderFolder
        from lyra_model.judging.truth.opening import open_truth

        means = _without(open_protocol(protocol), chosen)
        if show:
            return _shown(means, output)
        folder = RenderFolder(_required(renders, "RENDERS", "the folder of renders"))
        opened = open_truth(_required(truth, "--truth", "the ground truth"), means.pictures)
        means, scenes = _with_split(means, split)
        judgement = judge_renders(
            folder,
            opened,
            means,
            split=scenes,
            networks=_networks(means, lpips_weights or ()),
            rendering=_rendering(background),
            partial=partial,
            progress=progress,
        )
        return _summary(judgement, folder.path, output, against, seed)

    guarded(work, json_output)


def _required(path: Path | None, where: str, noun: str) -> Path:
    from lyra_data.engine.errors import InputError

    if path is None:
        raise InputError(f"{noun} is not named", where=where, fix="see `lyra-data judge --help`")
    return path


def _without(protocol: Protocol, left_out: tuple[str, ...]) -> Protocol:
    from dataclasses import replace

    nothing = {name: () if name == "lpips" else None for name in left_out}
    metrics = replace(protocol.metrics, **nothing)
    if not metrics.names:
        from lyra_data.engine.errors import InputError

        raise InputError("no metric is left", where="--without", fix="keep one of them")
    return replace(protocol, metrics=metrics)


def _shown(protocol: Protocol, output: Path | None) -> Summary:
    import json

    from rich.text import Text

    from lyra_data.engine.atomic import write_atomically
    from lyra_model.judging.protocols.built_in import BUILT_IN
    from lyra_model.judging.protocols.comparison import cautions
    from lyra_model.judging.protocols.files import protocol_values
    from stages.summary import Summary

    values = protocol_values(protocol)
    known = BUILT_IN.get(protocol.name)
    facts = {
        "fingerprint": protocol.fingerprint,
        "protocol": values,
        "cautions": cautions(protocol),
        "sources": list(known.sources) if known else [],
        "split_address": known.split_address if known else None,
    }
    headline = f"protocol {protocol.name}, fingerprint {protocol.fingerprint[:12]}"
    text = json.dumps(values, indent=2)
    if output is not None:
        with write_atomically(output) as unfinished:
            unfinished.write_text(text + "\n", encoding="utf-8")
        return Summary("judge", f"{headline}, written to {output}", facts)
    notes = [f"caution: {caution}" for caution in facts["cautions"]]
    notes += [f"read from: {source}" for source in facts["sources"]]
    if facts["split_address"]:
        notes.append(f"split file: {facts['split_address']}")
    return Summary("judge", headline, facts, (Text(text, no_wrap=True), *notes))


def _with_split(protocol: Protocol, path: Path | None) -> tuple[Protocol, Any]:
    """Return the protocol with its split, and the split's scenes; None: the truth's own frames."""
    from lyra_data.engine.errors import InputError
    from lyra_model.judging.protocols.built_in import BUILT_IN
    from lyra_model.judging.protocols.split_files import read_split, with_split

    if path is not None:
        scenes = read_split(path, protocol)
        return with_split(protocol, path, scenes), scenes
    if protocol.split.file is None:
        return protocol, None
    known = BUILT_IN.get(protocol.name)
    address = known.split_address if known else None
    raise InputError(
        f"protocol {protocol.name} needs its split file, {protocol.split.file}",
        where="--split",
        fix=f"fetch it from {address}" if address else "give the file that it was made with",
    )


def _networks(protocol: Protocol, files: Any) -> dict[str, Any]:
    from lyra_model.judging.perceptual_weights import load_lpips

    return {each.net: load_lpips(each.net, files) for each in protocol.metrics.lpips}


def _rendering(background: Background) -> RenderingParams:
    """Return the settings that Gaussians are drawn with: Lyra's, on the CPU's renderer."""
    from lyra_model.rendering.base import RenderingParams

    level = 1.0 if background is Background.white else 0.0
    return RenderingParams(
        near=0.1,
        far=500.0,
        background=(level, level, level),
        patch_pixels=None,
        with_ut=False,
        with_eval3d=False,
    )


def _summary(
    judgement: Judgement, folder: Path, output: Path | None, against: Path | None, seed: int
) -> Summary:
    from lyra_model.judging.scores import (
        differences,
        mean_intervals,
        read_scores,
        scores_as_json,
        write_scores,
    )
    from stages.summary import Summary

    scores = scores_as_json(judgement, seed=seed)
    intervals = mean_intervals(judgement, seed=seed)
    compared = None
    if against is not None:
        other = read_scores(against)
        compared = differences(judgement, other, seed=seed, where=str(against))
    if output is not None:
        write_scores(scores, output)
    facts = {name: value for name, value in scores.items() if name not in ("format", "version")}
    if compared is not None:
        facts["difference"] = {
            name: {"mean": each.mean, "low": each.low, "high": each.high, "num_scenes": each.num}
            for name, each in compared.items()
        }
    num_scenes = counted(scores["num_scenes"], "scene")
    left_out = f" ({len(judgement.missing)} left out)" if judgement.missing else ""
    headline = (
        f"{folder}: {num_scenes}{left_out}, {counted(scores['num_frames'], 'frame')} by "
        f"{judgement.protocol.name}, fingerprint {judgement.protocol.fingerprint[:12]}"
    )
    details: list[Any] = [_table_of_means(intervals)]
    if compared is not None and against is not None:
        details.append(_table_of_differences(compared, against))
    details += [f"note: {caution}" for caution in scores["cautions"]]
    if judgement.unused:
        named = ", ".join(judgement.unused[:3])
        details.append(f"note: not in the protocol, and not judged: {named}")
    if output is not None:
        details.append(f"{output} written")
    return Summary("judge", headline, facts, tuple(details))


def _table_of_means(intervals: dict[str, Interval]) -> Table:
    table = _table("metric", "mean", "95 % over scenes")
    for name, interval in intervals.items():
        table.add_row(_title(name), f"{interval.mean:.4f}", _span(interval))
    return table


def _table_of_differences(compared: dict[str, Interval], against: Path) -> Table:
    table = _table(f"minus {against.name}", "mean", "95 % over scenes", "this is")
    for name, interval in compared.items():
        table.add_row(
            _title(name), f"{interval.mean:+.4f}", _span(interval), _verdict(name, interval)
        )
    return table


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(width=WIDTH, box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    return table


def _title(name: str) -> str:
    from lyra_model.judging.figures import HIGHER_IS_BETTER

    words = name.replace("_db", " (dB)").replace("_", " ").upper().replace("(DB)", "(dB)")
    return f"{words} {'↑' if HIGHER_IS_BETTER[name] else '↓'}"


def _span(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "-"
    return f"{interval.low:.4f} to {interval.high:.4f}"


def _verdict(name: str, difference: Interval) -> str:
    """Return whether ours is better, which only an interval that excludes 0 can say."""
    from lyra_model.judging.figures import HIGHER_IS_BETTER

    if not difference.excludes_zero:
        return "not shown to differ"
    return "better" if (difference.mean > 0) == HIGHER_IS_BETTER[name] else "worse"
