"""convert: between the dataset and other layouts of such data, and PLYs to other files of
Gaussians. No DVC stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import CpuWorkersOption, ExecutorOption, JsonOption, RayAddressOption
from stages.running import guarded
from stages.summary import counted
from stages.verbs.convert_kinds import Latents, Layout, Repair

if TYPE_CHECKING:
    from lyra_data.dataset.convert.from_lyra import Converted
    from lyra_data.engine.executors.base import Crew
    from stages.summary import Summary


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder or a tar in the layout of Lyra 1's data, a dataset of lyra-data "
            "(also https://, s3://, hf://), or a PLY of Gaussians.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Argument(
            help="The folder to write; new or empty. Of a PLY: the new file; not given: beside "
            "the PLY.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Layout | None,
        typer.Option(
            help="lyra-data (from Lyra's layout), lyra or webdataset (from a dataset). Not given: "
            "lyra-data of Lyra's layout, lyra of a dataset. Of a PLY: spz, sog, splat, "
            "ply-compressed, usdz or html.",
            metavar="LAYOUT|KIND",
            show_default=False,
        ),
    ] = None,
    repair: Annotated[
        Repair | None,
        typer.Option(
            help="flipped-poses: turn poses around that run backwards in clips of reversed motion.",
            metavar="WHAT",
            show_default=False,
        ),
    ] = None,
    latents: Annotated[
        Latents,
        typer.Option(help="How latents are kept: half, or lossless (float32).", metavar="KIND"),
    ] = Latents.half,
    scenes_per_shard: Annotated[
        int, typer.Option(help="Scenes in one file of every modality.", min=1)
    ] = 8,
    skip_broken: Annotated[
        bool,
        typer.Option(
            "--skip-broken",
            help="Leave out clips that cannot be read, and record them in the manifest.",
        ),
    ] = False,
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: CpuWorkersOption = None,
    ray_address: RayAddressOption = "auto",
) -> None:
    """Turn Lyra 1's released data into a dataset, a dataset into that layout or WebDataset, and a
    PLY of Gaussians into a file for other viewers.

    Videos keep their bytes, depth its half floats, cameras their numbers; docs/convert.md says
    what else is kept and what is lost. Tars are read in place. Poses are held against the pictures
    of every clip that has depth. Nothing is replaced; the output appears whole or not at all. Run
    the same command again after a kill: clips and views that were read are kept in .work/convert
    beside the output until it is whole. Workers share them, and change no byte.

    A file of Gaussians is read back, shown from three cameras and compared with the PLY's own
    pictures: the PSNR says what the format loses. docs/viewing.md compares the formats.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.engine.executors.base import Crew
        from stages.verbs.inspect_splats import is_splat_file

        if is_splat_file(source):
            from stages.verbs.convert_splats import run_convert_splats

            kind = None if to is None else to.value
            return run_convert_splats(Path(source), output, kind, progress)
        if output is None:
            raise typer.BadParameter("name the folder to write", param_hint="OUTPUT")
        return run_convert(
            source,
            output,
            to=None if to is None else to.value,
            repair=None if repair is None else repair.value,
            latents=latents.value,
            scenes_per_shard=scenes_per_shard,
            skip_broken=skip_broken,
            crew=Crew(executor, workers, ray_address, device="cpu"),
            progress=progress,
        )

    guarded(work, json_output)


def run_convert(
    source: str,
    output: Path,
    *,
    to: str | None,
    repair: str | None,
    latents: Any,
    scenes_per_shard: int,
    skip_broken: bool,
    crew: Crew,
    progress: Any,
) -> Summary:
    """Convert `source` into the new folder `output`.

    Raises:
        InputError: the source is neither of the two, cannot become what is asked for, or is
            damaged; or something stands at `output`.
        CorruptDataError: the dataset is cut or was altered.
        StorageError: no space, read-only, or no permission.
    """
    from lyra_data.clips.formats.export_folders import require_free
    from lyra_data.dataset.checks import is_dataset
    from lyra_data.engine.errors import InputError

    require_free(output)
    from_dataset = is_dataset(source)
    _require_apart(source, output)
    to = to or ("lyra" if from_dataset else "lyra-data")
    if from_dataset == (to == "lyra-data"):
        raise InputError(
            f"{'a dataset of lyra-data' if from_dataset else 'data in the layout of Lyra'} is not "
            f"converted to {to}",
            where=source,
            fix="use --to lyra or --to webdataset, or read it as it is"
            if from_dataset
            else "convert it to a dataset first (--to lyra-data), then that to webdataset",
        )
    if not from_dataset:
        return _from_lyra(
            Path(source), output, repair, latents, scenes_per_shard, skip_broken, crew, progress
        )
    if repair or skip_broken:
        raise InputError(
            "--repair and --skip-broken are for sources in the layout of Lyra",
            where=source,
            fix="leave them out; or convert the original data again",
        )
    write = _to_lyra if to == "lyra" else _to_shards
    return write(source, output, crew, progress)


def _from_lyra(
    source: Path,
    output: Path,
    repair: str | None,
    latents: Any,
    scenes_per_shard: int,
    skip_broken: bool,
    crew: Crew,
    progress: Any,
) -> Summary:
    from lyra_data.dataset.convert.from_lyra import FromLyraSettings, convert_from_lyra
    from lyra_data.dataset.convert.lyra_clip import ClipSettings
    from lyra_data.dataset.convert.lyra_source import LyraSource
    from stages.summary import Summary

    clips = ClipSettings(repair_poses=repair == "flipped-poses", latents=latents)
    settings = FromLyraSettings(clips, scenes_per_shard, skip_broken)
    scratch = output.resolve().parent / ".work"
    with LyraSource(source) as opened:
        manifest, report = convert_from_lyra(
            opened, output, settings, scratch=scratch, progress=progress, crew=crew
        )
    num_views = sum(report.poses.values())
    facts = {
        "source": str(source),
        "output": str(output),
        "to": "lyra-data",
        "num_scenes": len(manifest.scenes),
        "num_views": num_views,
        "num_bytes": _size(output),
        "dataset_hash": manifest.dataset_hash,
        **conversion_facts(report),
    }
    headline = _headline(num_views, len(manifest.scenes), output)
    details = conversion_details(report)
    return Summary("convert", f"{headline} ({_size(output) / 1e6:.1f} MB)", facts, details)


def conversion_facts(report: Converted) -> dict[str, Any]:
    """Return what a conversion from Lyra's layout met, as plain values."""
    return {
        "poses": dict(report.poses),
        "views_with_flipped_poses": report.flagged,
        "views_with_rounded_latents": report.inexact_latents,
        "views_without_depth": report.without_depth,
        "dropped": [view.as_json() for view in report.dropped],
    }


def conversion_details(report: Converted) -> tuple[str, ...]:
    """Return what a conversion from Lyra's layout met, in lines."""
    num_views = sum(report.poses.values())
    details = [
        f"poses {kind} in {report.poses[kind]} of {counted(num_views, 'view')}"
        for kind in ("backwards", "repaired", "unknown")
        if report.poses[kind]
    ]
    if report.poses["backwards"]:
        details.append(
            f"their poses run against their pictures: {', '.join(report.flagged)}"
            f"{', ...' * (report.poses['backwards'] > len(report.flagged))}; "
            "--repair flipped-poses turns those of reversed motion around"
        )
    if report.inexact_latents:
        details.append(
            f"latents of {counted(report.inexact_latents, 'view')} were rounded to half floats "
            "(latent_source_exact is false); --latents lossless keeps them"
        )
    if report.without_depth:
        details.append(f"{counted(report.without_depth, 'view')} without depth")
    if report.dropped:
        clips = counted(len(report.dropped), "clip")
        details.append(f"{clips} could not be read, first {report.dropped[0]}")
    return tuple(details)


def _headline(num_views: int, num_scenes: int, output: Path) -> str:
    return f"{counted(num_views, 'view')} of {counted(num_scenes, 'scene')} in {output}"


def _to_lyra(source: str, output: Path, crew: Crew, progress: Any) -> Summary:
    from lyra_data.dataset.convert.to_lyra import convert_to_lyra
    from lyra_data.dataset.reading.reader import SceneDataset
    from stages.summary import Summary

    report = convert_to_lyra(SceneDataset(source), output, progress, crew=crew)
    details = [f"videos: {report.kept_videos} kept to the byte"]
    details += [f"videos: {count} encoded {how}" for how, count in report.encoded_videos.items()]
    if report.rounded_depth:
        details.append(
            f"depth of {counted(report.rounded_depth, 'view')} was rounded to half floats"
        )
    if report.num_left_out:
        views = counted(report.num_left_out, "view")
        details.append(f"{views} without a folder in this layout, first {report.left_out[0]}")
    facts = {
        "source": source,
        "output": str(output),
        "to": "lyra",
        **vars(report),
        "encoded_videos": dict(report.encoded_videos),
        "num_bytes": _size(output),
    }
    headline = _headline(report.num_views, report.num_scenes, output)
    details = [*details, *report.remarks]
    return Summary("convert", f"{headline} ({_size(output) / 1e6:.1f} MB)", facts, tuple(details))


def _to_shards(source: str, output: Path, crew: Crew, progress: Any) -> Summary:
    from lyra_data.dataset.convert.to_webdataset import convert_to_webdataset
    from lyra_data.dataset.reading.reader import SceneDataset
    from stages.summary import Summary

    report = convert_to_webdataset(SceneDataset(source), output, progress, crew=crew)
    facts = {
        "source": source,
        "output": str(output),
        "to": "webdataset",
        "num_samples": report.num_samples,
        "num_shards": report.num_shards,
        "num_bytes": _size(output),
    }
    shards = counted(report.num_shards, "shard")
    headline = f"{counted(report.num_samples, 'sample')} in {shards} in {output}"
    return Summary("convert", f"{headline} ({_size(output) / 1e6:.1f} MB)", facts)


def _require_apart(source: str, output: Path) -> None:
    from lyra_data.engine.errors import InputError

    if "://" in source:
        return
    given, target = Path(source).resolve(), output.resolve()
    if given == target or given in target.parents or target in given.parents:
        raise InputError(
            "the output must not lie inside the source, nor around it",
            where=str(output),
            fix="name a folder elsewhere",
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
