"""view: a PLY's page as a file, or served to this machine."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lyra_model.export.ply import write_ply
from lyra_model.viewer.scene_page import read_scene_page
from stages.cli import app
from stages.verbs.page_server import page_server
from tests.report_samples import random_gaussians


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["view", *arguments], env={"COLUMNS": "100"})
    return result.exit_code, result.stdout if result.exit_code == 0 else result.output


def test_a_ply_becomes_one_file(tmp_path: Path) -> None:
    scene, page = tmp_path / "scene.ply", tmp_path / "out" / "page.html"
    write_ply(random_gaussians(80), scene)
    code, output = run(str(scene), "--html", str(page), "--json")
    assert code == 0, output
    facts = json.loads(output)
    assert facts["num_gaussians"] == facts["num_available"] == 80
    assert facts["num_bytes"] == page.stat().st_size
    assert len(read_scene_page(page)[0]) == 80
    code, output = run(str(scene), "--html", str(page))
    assert code == 2 and "nothing is replaced" in " ".join(output.split())


def test_what_is_no_scene_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ply"
    write_ply(random_gaussians(0), empty)
    for path, reason in ((tmp_path, "no clip lies here"), (empty, "an empty scene")):
        code, output = run(str(path), "--html", str(tmp_path / "page.html"))
        assert code == 2 and reason in " ".join(output.split())
    assert not (tmp_path / "page.html").exists()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    page = tmp_path / "scene.html"
    page.write_bytes(b"<!doctype html>a page")
    with page_server(page, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("/", "127.0.0.1", 200), ("/../etc/passwd", "127.0.0.1", 404), ("/", "attacker.example", 404)],
)
def test_the_page_alone_is_served_and_to_this_machine_alone(
    port: int, path: str, host: str, status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    answer = connection.getresponse()
    assert answer.status == status
    assert (answer.read() == b"<!doctype html>a page") == (status == 200)


def test_a_taken_port_is_refused_in_words(port: int, tmp_path: Path) -> None:
    scene = tmp_path / "scene.ply"
    write_ply(random_gaussians(5), scene)
    code, output = run(str(scene), "--port", str(port), "--no-open")
    assert code == 2 and f"port {port} cannot be had" in " ".join(output.split())
