"""inspect: a clip, a scene of a dataset or a PLY of Gaussians, in numbers and as a picture.

No DVC stage: what it writes is to be looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import JsonOption
from stages.running import guarded
from stages.summary import counted
from stages.verbs.inspection_output import require_no_scene, require_writable

if TYPE_CHECKING:
    from rich.table import Table

    from lyra_data.clips.checks import Finding
    from lyra_data.clips.pictures import ClipFacts
    from stages.summary import Summary

WIDTH = 80
UNSHOWABLE = {
    "stored-files",
    "frame-counts",
    "array-shapes",
    "frame-rate",
    "pose-finite",
    "focal-length",
    "depth-values",
}
"""Rules without which there is nothing to draw, or nowhere to draw it."""


def inspect(
    path: Annotated[
        str,
        typer.Argument(
            metavar="CLIP|DATASET|PLY",
            help="A clip's folder, e.g. outputs/clips/SCENE; a dataset: outputs/dataset, "
            "hf://datasets/OWNER/NAME, http(s)://, s3://; or a file of Gaussians, scene.ply.",
            show_default=False,
        ),
    ],
    scene: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The scene of a dataset; not needed where it has one only.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="FILE.png: a page of frames. FILE.mp4: all frames, one after the other. "
            "SCENE.png in this folder by default.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a file even if inspect did not write it."),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Show what a clip, a scene of a dataset or a PLY of Gaussians is: numbers, and a picture.

    Of a clip: frames, depth, masks and the camera's path.

    Of a dataset, one scene with all its views: frames, depth in one range of colours, and what the
    teacher invented.

    Of a PLY: the number of Gaussians, bounds, how the file keeps them (logits or opacities,
    logarithms or scales, harmonics, the axis that is up), and the scene from three cameras.

    Depth is in metres, or in units of its own ("up_to_scale"); colours run from the 1st to the 99th
    percentile of what is known, and unknown depth is hatched. A page that inspect wrote before is
    replaced; any other file, and every MP4, only with --overwrite.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.dataset.checks import is_dataset
        from stages.verbs.inspect_splats import inspect_splats, is_splat_file

        if is_splat_file(path):
            require_no_scene(scene, path)
            return inspect_splats(Path(path), output, overwrite)
        if is_dataset(path):
            return _inspect_scene(path, scene, output, overwrite, progress)
        return _inspect_clip(Path(path), scene, output, overwrite, progress)

    guarded(work, json_output)


def _inspect_clip(
    clip: Path, scene: str | None, output: Path | None, overwrite: bool, progress: Any
) -> Summary:
    from lyra_data.clips.checks import check_clip_folder
    from lyra_data.clips.pictures import facts_of, write_path_video, write_sheet
    from lyra_data.clips.store import read_clip
    from stages.summary import Summary

    require_no_scene(scene, clip)
    _require_clip(clip)
    target = output or Path(f"{clip.resolve().name}.png")
    require_writable(target, overwrite)
    progress.start("Inspecting", 3, "steps")
    findings = check_clip_folder(clip).findings
    _require_showable(findings, clip)
    progress.advance(note="reading")
    content = read_clip(clip)
    progress.advance(note="drawing")
    write = write_path_video if target.suffix.lower() == ".mp4" else write_sheet
    write(content, target)
    progress.advance()
    progress.finish()
    facts = facts_of(content)
    numbers = {
        **facts.as_json(),
        "picture": str(target),
        "findings": [finding.as_json() for finding in findings],
    }
    return Summary("inspect", f"{clip}: wrote {target}", numbers, (_table(facts, findings, clip),))


def _inspect_scene(
    uri: str, scene: str | None, output: Path | None, overwrite: bool, progress: Any
) -> Summary:
    from lyra_data.dataset.pictures import facts_of_scene, write_scene_sheet, write_scene_video
    from lyra_data.dataset.reading.reader import SceneDataset
    from lyra_data.engine.errors import InputError
    from stages.summary import Summary

    dataset = SceneDataset(uri)
    if scene is None and len(dataset) != 1:
        raise InputError(
            f"this dataset has {counted(len(dataset), 'scene')}, and none is named",
            where=uri,
            fix=f"name one: --scene {dataset.scene_ids[0]}" if len(dataset) else "package some",
        )
    entry = dataset.entry(0 if scene is None else scene)
    target = output or Path(f"{entry.scene_id}.png")
    require_writable(target, overwrite)
    reader = dataset[entry.scene_id]
    views = facts_of_scene(reader)
    progress.start("Drawing", 1, "scenes")
    is_video = target.suffix.lower() == ".mp4"
    (write_scene_video if is_video else write_scene_sheet)(reader, target)
    progress.advance(note=entry.scene_id)
    progress.finish()
    facts = {
        "dataset": uri,
        "scene_id": entry.scene_id,
        "split": entry.split,
        "picture": str(target),
        "views": views,
    }
    headline = f"{entry.scene_id} ({entry.split}) of {uri}: wrote {target}"
    return Summary("inspect", headline, facts, (_views_table(views),))


def _views_table(views: list[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(width=WIDTH, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("view", justify="right")
    table.add_column("camera path", overflow="fold")
    for name in ("frames", "size", "distance", "known"):
        table.add_column(name, justify="right", no_wrap=True)
    for view in views:
        backwards = ", reversed" if view["motion_reversed"] else ""
        distance = view["movement_distance"]
        table.add_row(
            str(view["view_index"]),
            f"{view['trajectory']}{backwards}",
            str(view["num_frames"]),
            f"{view['width']} x {view['height']}",
            "-" if distance is None else f"{distance:.3f}",
            f"{100 * view['known_fraction']:.1f} %",
        )
    return table


def _require_clip(folder: Path) -> None:
    from lyra_data.clips.checks import find_clips
    from lyra_data.engine.errors import InputError

    clips = find_clips(folder)
    if clips != [folder]:
        raise InputError(
            f"this folder holds {counted(len(clips), 'clip')}",
            where=str(folder),
            fix=f"name one of them: lyra-data inspect {clips[0]}",
        )


def _require_showable(findings: tuple[Finding, ...], folder: Path) -> None:
    from lyra_data.engine.errors import InputError

    for finding in findings:
        if finding.rule in UNSHOWABLE:
            raise InputError(
                f"this clip cannot be shown: {finding.rule}: {finding.message}",
                where=str(folder),
                fix=f"see `lyra-data check {folder}`; {finding.remedy}",
            )


def _table(facts: ClipFacts, findings: tuple[Finding, ...], folder: Path) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(width=WIDTH, show_header=False, box=None, pad_edge=False)
    table.add_column(width=14, style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in _rows(facts, findings, folder):
        table.add_row(name, Text(value))
    return table


def _rows(facts: ClipFacts, findings: tuple[Finding, ...], folder: Path) -> list[tuple[str, str]]:
    unit = "metres" if facts.unit == "m" else "units of its own"
    seconds = f", {facts.num_frames / facts.fps:.3g} s" if facts.num_frames > 1 else ""
    rows = [
        ("scene", facts.scene_id),
        ("frames", f"{facts.num_frames} at {facts.fps:.4g} a second{seconds}"),
        ("size", f"{facts.width} x {facts.height} pixels"),
        ("depth", f"{facts.depth_scale} ({unit}), {_range(facts)}"),
        ("depth known", f"{100 * facts.depth_known:.1f} % of all pixels"),
        ("confidence", _share(facts.confidence, "mean where known", 1)),
        ("moving", _share(facts.moving, "% of all pixels", 100)),
        ("camera's path", _path(facts)),
        (
            "camera turns",
            f"{facts.turn_degrees:.2f} degrees at most from the first frame, "
            f"{facts.step_degrees:.2f} in a frame",
        ),
        ("focal length", f"{_focal(facts)}, {facts.view_degrees:.1f} degrees across"),
        ("prompt", facts.prompt or "none"),
    ]
    rows += [
        ("source kind" if key == "kind" else key.replace("_", " "), value)
        for key, value in facts.source.items()
    ]
    rows.append(("findings", _findings(findings, folder)))
    return rows


def _range(facts: ClipFacts) -> str:
    if facts.depth_near is None or facts.depth_far is None:
        return "nowhere known"
    return f"{facts.depth_near:.3g} to {facts.depth_far:.3g} (98 % of it)"


def _share(share: float | None, meaning: str, factor: float) -> str:
    return "not given" if share is None else f"{factor * share:.3g} {meaning}"


def _path(facts: ClipFacts) -> str:
    depths = "" if facts.path_in_depths is None else f", {facts.path_in_depths:.2g} median depths"
    return f"{facts.path_length:.3g} {facts.unit} long{depths}"


def _focal(facts: ClipFacts) -> str:
    shortest, longest = f"{facts.focal_shortest:.1f}", f"{facts.focal_longest:.1f}"
    return f"{shortest} pixels" if shortest == longest else f"{shortest} to {longest} pixels"


def _findings(findings: tuple[Finding, ...], folder: Path) -> str:
    from lyra_data.engine.findings import count_severities

    counts = count_severities(findings)
    severities = ", ".join(counted(count, name) for name, count in counts.items())
    return f"{severities}; lyra-data check {folder}" if findings else severities
