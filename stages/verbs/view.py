"""view: Gaussians, a clip or a dataset's scene in a browser, or as one HTML file. No DVC stage."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import JsonOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from lyra_model.viewer.scene_page import WrittenPage
    from stages.summary import Summary

PAGE_NAME = "scene.html"
SPLATS_NAME = "scene.ply"


def view(
    scene: Annotated[
        str,
        typer.Argument(
            metavar="FILE|SCENE|CLIP|DATASET",
            help="A PLY of Gaussians, of any tool, or a folder of outputs/scenes; a folder of "
            "outputs/clips; or a dataset, near or afar, DATASET#SCENE (else its first scene).",
            show_default=False,
        ),
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write the page to this new file, and serve nothing.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Of this machine; 0: any that is free.", min=0, max=65535)
    ] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = True,
    json_output: JsonOption = False,
) -> None:
    """Show Gaussians, a clip or a dataset's scene in a browser, to turn, move and zoom.

    Of a clip or a dataset's scene: the points whose depth is known, the cameras with their frames,
    the ways that they went, and a slider of time. At most 16 moments and 400,000 points are shown.

    The page is one file that needs no network. Without --html it is served to this machine alone,
    until Ctrl-C; on a machine afar, forward the port (ssh -L) or write the file and take it home.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.engine.errors import InputError

        if html is not None and (html.exists() or html.is_symlink()):
            raise InputError(
                "the file is there already, and nothing is replaced",
                where=str(html),
                fix="name another file, or move this one away",
            )
        if html is not None:
            return _summary(scene, html, write_page_of(scene, html))
        with tempfile.TemporaryDirectory(prefix="lyra-data-view-") as folder:
            written = write_page_of(scene, Path(folder) / PAGE_NAME)
            address = _serve(Path(folder), port, open_browser, progress)
            return _summary(scene, address, written)

    guarded(work, json_output)


def write_page_of(scene: str, target: Path) -> WrittenPage:
    """Write the page of a PLY, a folder that holds scene.ply, a clip, or a scene of a dataset.

    Raises:
        InputError: it is nothing of these, or an empty one.
        CorruptDataError: a file of it is missing, cut or altered.
        StorageError: the file cannot be written.
    """
    from lyra_data.dataset.checks import is_dataset
    from lyra_model.reconstruction.observed import observed_page
    from lyra_model.viewer.scene_page import write_scene_page
    from stages.verbs.inspect_splats import is_splat_file
    from stages.verbs.observed_inputs import observed_clip, observed_scene

    if is_splat_file(scene):
        return _write_page_of_splats(Path(scene), target)
    if is_dataset(scene.partition("#")[0]):
        return write_scene_page(target, observed_page(observed_scene(scene)))
    if (Path(scene) / SPLATS_NAME).is_file():
        return _write_page_of_splats(Path(scene) / SPLATS_NAME, target)
    _require_folder(Path(scene))
    return write_scene_page(target, observed_page(observed_clip(Path(scene))))


def _require_folder(path: Path) -> None:
    from lyra_data.engine.errors import InputError

    if path.is_dir():
        return
    raise InputError(
        "this is no PLY of Gaussians, clip or dataset"
        if path.exists()
        else "there is no such file",
        where=str(path),
        fix="name a .ply, a folder with scene.ply, a clip (outputs/clips/SCENE), or a scene of a "
        "dataset (outputs/dataset#SCENE)",
    )


def _write_page_of_splats(scene: Path, target: Path) -> WrittenPage:
    """Write the page of a PLY; raises as `write_page_of`."""
    from lyra_model.export.ply import read_splat_file
    from lyra_model.viewer.scene_page import write_scene_page
    from lyra_model.viewer.splat_page import page_of_gaussians
    from stages.verbs.convert_splats import title_of
    from stages.verbs.inspect_splats import require_some

    file = read_splat_file(scene)
    require_some(file, scene)
    page = page_of_gaussians(
        file.gaussians,
        title=title_of(scene),
        made_by=f"from {scene.name}",
        up=file.conventions.up,
    )
    return write_scene_page(target, page)


def _serve(folder: Path, port: int, open_browser: bool, progress: Any) -> str:
    """Serve the page until Ctrl-C, and return its address.

    Raises:
        InputError: the port is taken or not permitted.
    """
    from lyra_data.engine.errors import InputError
    from stages.verbs.page_server import page_server

    try:
        server = page_server(folder / PAGE_NAME, port)
    except OSError as error:
        raise InputError(
            f"port {port} cannot be had: {error.strerror}",
            where="--port",
            fix="leave --port out, and any free one is taken",
        ) from error
    address = f"http://127.0.0.1:{server.server_port}/"
    progress.start(f"Serving {address} until Ctrl-C", 1, "pages")
    if open_browser:
        webbrowser.open(address)
    with server:
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            progress.advance()
        progress.finish()
    return address


def _summary(scene: str, target: Path | str, written: WrittenPage) -> Summary:
    from stages.summary import Summary

    facts = {
        "scene": scene,
        "page": str(target),
        "num_gaussians": written.num_gaussians,
        "num_available": written.num_available,
        "num_bytes": written.num_bytes,
    }
    noun = "point" if written.shows_cameras else "Gaussian"
    of_all = "" if written.num_gaussians == written.num_available else " most visible"
    size = f"{written.num_bytes / 1e6:.2f} MB"
    headline = f"{scene}: the {counted(written.num_gaussians, f'{of_all} {noun}'.strip())}"
    return Summary("view", f"{headline} in {target} ({size})", facts)
