"""export: a clip, or a view of a dataset, as other tools read it.

No DVC stage: nothing here goes on from what it writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stages.options import JsonOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from lyra_data.scene.clip import Clip
    from stages.summary import Summary

Kind = Literal["vipe", "nerfstudio", "colmap"]


def run_export(source: Path | str, output: Path, *, kind: Kind) -> Summary:
    """Write a clip or a view as the new folder `output`.

    Args:
        source: a clip's folder, or DATASET#SCENE:VIEW.

    Raises:
        InputError: there is no clip or view, or something stands at `output` or would lie in the
            clip or the dataset.
        CorruptDataError: the clip or the dataset is cut or was altered.
        StorageError: no space, read-only, or no permission.
    """
    from lyra_data.clips.formats.export_folders import require_free
    from lyra_data.engine.errors import InputError
    from stages.summary import Summary

    require_free(output)
    folder, read = _opened(source)
    if folder is not None and folder.resolve() in output.resolve().parents:
        raise InputError(
            "an export must not lie inside what it is made of",
            where=str(output),
            fix="name a folder elsewhere, e.g. exports/" + folder.resolve().name,
        )
    clip = read()
    _write(clip, output, kind)
    files = [path for path in output.rglob("*") if path.is_file()]
    num_bytes = sum(path.stat().st_size for path in files)
    left_out = _left_out(clip, kind)
    facts = {
        "clip": str(source),
        "output": str(output),
        "format": kind,
        "scene_id": clip.scene_id,
        "num_frames": len(clip),
        "num_files": len(files),
        "num_bytes": num_bytes,
        "left_out": left_out,
    }
    details = (f"this format cannot hold: {', '.join(left_out)}",) if left_out else ()
    frames = counted(len(clip), "frame")
    headline = f"{frames} of {clip.scene_id} as {kind} in {output} ({num_bytes / 1e6:.1f} MB)"
    return Summary("export", headline, facts, details)


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CLIP|DATASET#SCENE:VIEW",
            help="A clip's folder, e.g. outputs/clips/SCENE, or a view of a dataset (a folder, "
            "hf://datasets/OWNER/NAME, http(s)://, s3://) by its index or camera path.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Argument(help="The folder to write; new or empty.")],
    kind: Annotated[
        Kind,
        typer.Option(
            "--format",
            help="vipe, nerfstudio or colmap.",
            metavar="KIND",
            show_default=False,
        ),
    ],
    json_output: JsonOption = False,
) -> None:
    """Write a clip or a view as ViPE, nerfstudio or COLMAP keep theirs: frames, cameras, depth,
    masks.

    Axes and pixel centres are those of the format; distances keep the clip's unit. Nothing is
    replaced. What is written is read again by a source of the same name (docs/formats.md).
    """

    def work(_: Any) -> Summary:
        return run_export(source, output, kind=kind)

    guarded(work, json_output)


def _opened(source: Path | str) -> tuple[Path | None, Callable[[], Clip]]:
    """Return the folder that must not be written into, and what reads the clip.

    Raises:
        InputError: there is no clip, dataset, scene or view.
    """
    from lyra_data.clips.store import read_clip
    from lyra_data.dataset.checks import is_dataset
    from lyra_data.dataset.reading.addresses import DatasetAddress
    from lyra_data.dataset.reading.view_clip import read_view_as_clip

    address = DatasetAddress.parse(str(source))
    if (not Path(source).exists() and "#" in str(source)) or is_dataset(str(source)):
        scene = address.open_scene()
        view_index = address.view_index(scene)
        folder = None if "://" in address.dataset else Path(address.dataset)
        return folder, lambda: read_view_as_clip(scene, view_index)
    _require_clip(Path(source))
    return Path(source), lambda: read_clip(Path(source))


def _write(clip: Clip, output: Path, kind: Kind) -> None:
    if kind == "vipe":
        from lyra_data.clips.formats.vipe import write_vipe

        write_vipe(clip, output, clip.scene_id)
    elif kind == "nerfstudio":
        from lyra_data.clips.formats.nerfstudio import write_nerfstudio

        write_nerfstudio(clip, output)
    else:
        from lyra_data.clips.formats.colmap import write_colmap

        write_colmap(clip, output)


def _left_out(clip: Clip, kind: Kind) -> list[str]:
    """Return what the clip knows and the format cannot hold."""
    parts = {
        "prompt": bool(clip.prompt),
        "depth confidence": clip.depth_confidence is not None,
        "source": clip.source is not None,
        "rate": kind != "vipe" and len(clip) > 1,
        "depth scale": kind == "vipe" and clip.depth_scale != "metric",
    }
    return [part for part, is_known in parts.items() if is_known]


def _require_clip(folder: Path) -> None:
    from lyra_data.clips.store import CLIP_INDEX
    from lyra_data.engine.errors import InputError

    if not folder.is_dir():
        raise InputError(
            "there is no such folder", where=str(folder), fix="give a folder of outputs/clips"
        )
    if not (folder / CLIP_INDEX).is_file():
        raise InputError(
            f"this folder holds no clip (no {CLIP_INDEX})",
            where=str(folder),
            fix="give the folder of one clip, e.g. outputs/clips/SCENE",
        )
