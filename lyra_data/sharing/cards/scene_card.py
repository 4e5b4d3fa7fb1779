"""Write the card of a reconstructed scene: of a Space that shows it, or of a plain folder."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lyra_data.dataset.writing.card import counted, front_matter
from lyra_data.engine.errors import InputError
from lyra_data.media.video.reading import read_video
from lyra_data.sharing.cards.card import (
    CARD_FOLDER,
    Card,
    require_no_secret,
    require_repository,
    require_version,
)
from lyra_data.sharing.cards.dataset_sections import describe_lock, describe_params
from lyra_data.sharing.cards.licence_section import (
    licence_files,
    licence_metadata,
    licence_section,
)
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.cards.markdown import code_block, figure, plain, table
from lyra_data.sharing.cards.scene_facts import (
    PAGE,
    PLY,
    VIDEO,
    ReconstructionFacts,
    read_reconstruction,
)
from lyra_data.sharing.licences.known import require_licence
from lyra_data.sharing.licences.uses import Statements

PICTURE_PATH = f"{CARD_FOLDER}/picture.png"
SPACE_PAGE = "index.html"
TAGS = ("3d", "gaussian-splatting", "lyra-data")

_METHODS = {
    "fit": "Gaussians fitted to its views",
    "unproject": "Gaussians put where pixels and depth of its views are",
    "decoder": "Gaussians that a decoder made of its views' latents",
}
_FIGURES = {
    "frames_read": "frames that it was made from",
    "held_out": "frames of the same views that it was not made from",
    "real_photos": "real photos from elsewhere",
}
_CONTENT = {
    PAGE: "the scene to turn, in one file for a browser; nothing is fetched",
    PLY: "its Gaussians, for other viewers",
    VIDEO: "a video along a camera path",
    "depth.mp4": "the same path in colours of depth",
    "cameras.json": "the cameras of the video",
    "report.json": "the figures here, and all settings",
}


def scene_card(
    folder: Path,
    *,
    licence: str | None,
    repository: str | None,
    version: str | None,
    made_by: MadeBy,
    as_space: bool = True,
    stated: Statements | None = None,
) -> Card:
    """Return the card of a scene's folder, and the files that go with it.

    Args:
        folder: what reconstruct wrote, e.g. outputs/scenes/NAME.
        as_space: for a Space of the Hub, whose page is the scene's; else for a folder of files.
        licence, repository, version, stated: as `dataset_card`'s.

    Raises:
        InputError, CorruptDataError: as `read_reconstruction`; the licence is not known, names are
            none, or the card would hold a token.
    """
    require_repository(repository)
    require_version(version)
    facts = read_reconstruction(
        folder,
        licence=None if licence is None else require_licence(licence, where="publish: licence"),
        repository=repository,
        version=version,
        made_by=made_by,
        stated=stated,
    )
    text = scene_card_text(facts, as_space=as_space)
    require_no_secret(text, where="the scene's card")
    files = dict(licence_files(facts.licence))
    if VIDEO in facts.files:
        files[PICTURE_PATH] = picture_png(folder / VIDEO)
    if as_space:
        files[SPACE_PAGE] = (folder / PAGE).read_bytes()
    return Card(text, files)


def scene_card_text(facts: ReconstructionFacts, *, as_space: bool) -> str:
    """Return README.md of a scene with these facts; the same facts, the same text."""
    lines = [*front_matter(space_metadata(facts) if as_space else folder_metadata(facts))]
    lines += [f"# {plain(facts.scene_id)}", "", _summary_line(facts), ""]
    if VIDEO in facts.files:
        lines += [f"![The scene from the first camera of its video]({PICTURE_PATH})", ""]
    lines += [
        *_describe_opening(facts, as_space=as_space),
        *_describe_figures(facts),
        *_describe_making(facts),
        *licence_section(facts.licence, facts.uses, facts.guardrails, noun="scene"),
        *_describe_limits(facts),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def space_metadata(facts: ReconstructionFacts) -> dict[str, Any]:
    """Return the values of a Space's YAML."""
    return {
        "title": facts.scene_id,
        "emoji": "🧊",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "static",
        "app_file": SPACE_PAGE,
        "pinned": False,
        "short_description": "A scene of 3D Gaussians to turn, by lyra-data",
        **folder_metadata(facts),
    }


def folder_metadata(facts: ReconstructionFacts) -> dict[str, Any]:
    """Return the values that every card of a scene has."""
    return {**licence_metadata(facts.licence), "tags": list(TAGS)}


def picture_png(video: Path) -> bytes:
    """Return the first frame of a video as a PNG.

    Raises:
        InputError: it is cut, or no video.
    """
    frame = read_video(video, max_frames=1).frames[0].permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(frame).save(file, format="PNG", optimize=True)
    return file.getvalue()


def picture_of_decoded(folder: Path) -> bytes:
    """Return a picture of a scene that a decoder made.

    Raises:
        InputError: the folder is no scene's, or another method made it.
        CorruptDataError: report.json was cut or altered.
    """
    made_by = read_reconstruction(
        folder, licence=None, repository=None, version=None, made_by=MadeBy()
    )
    if made_by.report.get("method") != "decoder" or VIDEO not in made_by.files:
        raise InputError(
            f"method {made_by.report.get('method')!r} made this scene, not a decoder",
            where=str(folder),
            fix="reconstruct it with `--weights`, or show no scene in the model's card",
        )
    return picture_png(folder / VIDEO)


def _summary_line(facts: ReconstructionFacts) -> str:
    report = facts.report
    views: Mapping[str, Any] = report.get("views") or {}
    kind = "moving" if report.get("moves") else "still"
    version = f" Version {facts.version}." if facts.version else ""
    words = f", of: {plain(facts.prompt)}" if facts.prompt else ""
    moments = f", {len(report.get('moments') or ())} moments of it" if report.get("moves") else ""
    num_views = counted(len(views.get("trajectories") or ()), "view")
    return (
        f"A {kind} scene of {figure(report.get('gaussians'))} 3D Gaussians{moments}{words}. Made "
        f"from {num_views} of {plain(views.get('frames'))} frames, "
        f"{plain(views.get('width'))}x{plain(views.get('height'))} pixels.{version}"
    )


def _describe_opening(facts: ReconstructionFacts, *, as_space: bool) -> list[str]:
    lines = ["## Open it", ""]
    how = "drag to turn it, scroll to come nearer"
    if as_space:
        lines += [f"The page of this Space is the scene: {how}. It is `{PAGE}` too,"]
        lines += ["which opens in any browser without a network.", ""]
    else:
        lines += [f"Open `{PAGE}` in a browser: {how}. It needs no network.", ""]
    rows = [
        [f"`{plain(name)}`", f"{size / 1e6:.1f} MB", _CONTENT.get(name, "")]
        for name, size in facts.files.items()
        if name in _CONTENT
    ]
    lines += table(["file", "size", "content"], rows)
    others = [name for name in facts.files if name not in _CONTENT]
    if others:
        lines += [f"And {len(others)} more: {plain(', '.join(others), 300)}.", ""]
    python = (
        "from lyra_model import read_ply\n\n"
        f'gaussians = read_ply("{PLY}")\n'
        "print(gaussians.means.shape)"
    )
    return [*lines, "In Python:", "", *code_block(python, "python")]


def _describe_figures(facts: ReconstructionFacts) -> list[str]:
    report = facts.report
    rows: list[list[object]] = [
        [title, figure((report.get(name) or {}).get("psnr_db"))]
        for name, title in _FIGURES.items()
        if (report.get(name) or {}).get("psnr_db") is not None
    ]
    lines = ["## Figures", "", *table(["pictures of the scene against", "PSNR, dB"], rows)]
    reach = [
        [
            plain(name),
            figure(one.get("depth_units")),
            figure(one.get("degrees")),
            "as far as was looked" if one.get("is_limit") else "",
        ]
        for name, one in (report.get("reach") or {}).items()
    ]
    if reach:
        lines += ["How far a camera can move before holes show, from the source's camera:", ""]
        lines += table(["way", "in units of the centre's depth", "degrees", ""], reach)
    return lines


def _describe_making(facts: ReconstructionFacts) -> list[str]:
    report = facts.report
    method = str(report.get("method"))
    made: Mapping[str, Any] = report.get("made_by") or {}
    source: Mapping[str, Any] = report.get("source") or {}
    rows: list[Sequence[object]] = [["method", plain(_METHODS.get(method, method))]]
    rows += [[plain(f"source, {name}"), plain(value)] for name, value in sorted(source.items())]
    rows += [[plain(name), plain(value)] for name, value in sorted(made.items())]
    rows += [
        ["lyra-data", plain(report.get("engine_version"))],
        ["seed", plain((report.get("settings") or {}).get("seed"))],
        *describe_lock(facts.made_by),
    ]
    return [
        "## How it was made",
        "",
        *table(["fact", "value"], rows),
        *describe_params(facts.made_by),
    ]


def _describe_limits(facts: ReconstructionFacts) -> list[str]:
    report = facts.report
    limits = ["What the source does not show was filled in by the teacher and may be wrong."]
    if (report.get("views") or {}).get("depth_scale") != "metric":
        limits.append("Its size is not known: lengths are not metres.")
    if (report.get("real_photos") or {}).get("psnr_db") is None:
        limits.append("No real photo from elsewhere was there to judge it by.")
    return ["## Limits", "", *(f"- {limit}" for limit in limits), ""]
