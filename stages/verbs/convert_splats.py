"""convert of a PLY of Gaussians: to the files of other viewers, each read back and scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.summary import counted
from stages.verbs.inspect_splats import require_some

if TYPE_CHECKING:
    from lyra_model.export.ply import SplatFile
    from lyra_model.gaussians import Gaussians
    from stages.summary import Summary

KINDS = ("spz", "sog", "splat", "ply-compressed", "usdz", "html")

LEAST_PSNR_DB = 50.0
"""Below it a reader can see what was lost, side by side and enlarged; the message then says so."""


def run_convert_splats(source: Path, output: Path | None, to: str | None, progress: Any) -> Summary:
    """Write a PLY's Gaussians as a file of another kind, read it back and compare pictures.

    Args:
        output: the new file; None: beside the source, with the ending of its kind.
        to: one of KINDS; None: as the ending of `output` says.

    Raises:
        InputError: no PLY of Gaussians, an unknown kind, its library is not installed, or a file
            stands at `output`.
        StorageError: no space, read-only, or no permission.
    """
    from lyra_model.export.fidelity import psnr_from_cameras
    from lyra_model.export.ply import read_splat_file
    from stages.summary import Summary

    kind = _kind(to, output)
    target = output or source.with_name(source.stem + _ending(kind))
    _require_free(target)
    progress.start("Converting", 3, "steps")
    file = read_splat_file(source)
    require_some(file, source)
    progress.advance(note=f"writing {target.name}")
    reread = _write(file, source, target, kind)
    progress.advance(note="comparing pictures")
    psnr_db = psnr_from_cameras(reread, file.gaussians, up=file.conventions.up)
    progress.advance()
    progress.finish()
    size = target.stat().st_size
    facts = {
        "source": str(source),
        "output": str(target),
        "to": kind,
        "num_gaussians": len(reread),
        "num_available": len(file.gaussians),
        "num_bytes": size,
        "source_bytes": source.stat().st_size,
        "psnr_db": [round(value, 2) for value in psnr_db],
        "conventions": file.conventions.sentences(),
    }
    values = ", ".join(f"{value:.1f}" for value in psnr_db)
    details = [
        f"read back and seen from three cameras: PSNR {values} dB against the source's pictures",
        *(f"read: {text}" for text in file.conventions.sentences()),
    ]
    if len(reread) < len(file.gaussians):
        details.insert(1, f"the {len(reread):,} most visible of {len(file.gaussians):,} Gaussians")
    if min(psnr_db) < LEAST_PSNR_DB:
        details.insert(
            1, f"less than {LEAST_PSNR_DB:.0f} dB: this kind of file loses visible detail"
        )
    headline = f"{counted(len(reread), 'Gaussian')} in {target} ({size / 1e6:.2f} MB)"
    return Summary("convert", headline, facts, tuple(details))


def _write(file: SplatFile, source: Path, target: Path, kind: str) -> Gaussians:
    """Write the file and return the Gaussians that are read back from it."""
    if kind == "html":
        from lyra_model.viewer.scene_page import read_scene_page, write_scene_page
        from lyra_model.viewer.splat_page import page_of_gaussians

        page = page_of_gaussians(
            file.gaussians,
            title=title_of(source),
            made_by=f"from {source.name}",
            up=file.conventions.up,
        )
        write_scene_page(target, page)
        return read_scene_page(target)[0]
    from lyra_model.export.splat_formats import read_splats, write_splats

    write_splats(file.gaussians, target, kind)
    return read_splats(target, kind)


def title_of(source: Path) -> str:
    """Return a title for a file: its name, or its folder's where the name says nothing."""
    stem = source.stem
    if stem.lower() in ("scene", "gaussians", "point_cloud", "splat", "output"):
        stem = source.resolve().parent.name or stem
    return stem.replace("_", " ").replace("-", " ").strip().capitalize() or "Scene"


def _kind(to: str | None, output: Path | None) -> str:
    from lyra_data.engine.errors import InputError

    if to is None and output is not None:
        name = output.name.lower()
        to = next((kind for kind in KINDS if name.endswith(_ending(kind))), None)
    if to not in KINDS:
        raise InputError(
            f"Gaussians are not converted to {to}" if to else "no kind of file is named",
            where="--to",
            fix=f"choose {', '.join(KINDS[:-1])} or {KINDS[-1]}",
        )
    return to


def _ending(kind: str) -> str:
    from lyra_model.export.splat_formats import ENDINGS

    return ".html" if kind == "html" else ENDINGS[kind]


def _require_free(target: Path) -> None:
    from lyra_data.engine.errors import InputError

    if target.exists() or target.is_symlink():
        raise InputError(
            "the file is there already, and nothing is replaced",
            where=str(target),
            fix="name another file, or move this one away",
        )
