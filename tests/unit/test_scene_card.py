"""The card of a reconstructed scene: as a Space that shows it, and as a folder of files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from huggingface_hub import RepoCard, SpaceCardData
from markdown_it import MarkdownIt
from PIL import Image

from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.media.video.writing import write_video
from lyra_data.sharing.cards.card import Card
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.cards.scene_card import picture_of_decoded, scene_card
from lyra_data.sharing.cards.scene_facts import read_reconstruction
from lyra_data.sharing.licences.conflicts import conflicts_of
from lyra_data.sharing.licences.known import LICENCES
from lyra_data.sharing.licences.uses import Statements
from tests.factories import make_frames

REPORT: dict[str, Any] = {
    "format": 1,
    "engine_version": "0.1.0",
    "scene_id": "yard",
    "method": "fit",
    "moves": False,
    "gaussians": 79545,
    "views": {
        "trajectories": ["left", "up"],
        "frames": 9,
        "height": 96,
        "width": 128,
        "depth_scale": "metric",
    },
    "source": {"kind": "picture", "licence": "CC-BY-4.0", "image": "yard.jpg"},
    "made_by": {"teacher": "warp", "codec": "dct", "prompt": "a yard"},
    "frames_read": {"psnr_db": 30.4, "frames": 12},
    "held_out": {"psnr_db": 27.7, "frames": 4},
    "real_photos": None,
    "reach": {"left": {"depth_units": 0.4, "degrees": 23.0, "is_limit": False}},
    "moments": [{"moment": None}],
    "settings": {"reconstruct": {"weights": None}, "seed": 42},
    "run": {"seconds": 27.5},
}


def scene_of(folder: Path, **changes: Any) -> Path:
    """Write the files of a scene's folder."""
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_text(json.dumps(REPORT | changes))
    (folder / "scene.html").write_text("<!doctype html><title>yard</title>")
    (folder / "scene.ply").write_bytes(b"ply")
    frames = make_frames(3, 32, 48)
    write_video(frames, folder / "video.mp4", fps=24.0, lossless=False)
    return folder


@pytest.fixture
def scene(tmp_path) -> Path:
    return scene_of(tmp_path / "yard")


def card_of(folder: Path, **changes: Any) -> Card:
    options: dict[str, Any] = {"licence": "CC-BY-4.0", "repository": None, "version": None}
    return scene_card(folder, **(options | {"made_by": MadeBy()} | changes))


def test_a_space_is_static_and_its_page_is_the_scene(scene):
    card = card_of(scene, repository="you/yard", version="v1.0")
    data = cast(SpaceCardData, RepoCard(card.text, ignore_metadata_errors=False).data).to_dict()
    assert (data["sdk"], data["app_file"], data["title"]) == ("static", "index.html", "yard")
    assert data["license"] == "cc-by-4.0"
    assert len(data["short_description"]) <= 60, "the Hub's limit"
    assert card.files["index.html"] == (scene / "scene.html").read_bytes()


def test_a_folder_s_card_says_what_to_open_and_is_no_space(scene):
    card = card_of(scene, as_space=False)
    assert "sdk:" not in card.text and "index.html" not in card.files
    assert "Open `scene.html` in a browser" in card.text


def test_figures_are_those_of_the_report_without_the_times_of_its_making(scene):
    text = card_of(scene).text
    assert "| frames that it was made from | 30.4 |" in text
    assert "| frames of the same views that it was not made from | 27.7 |" in text
    assert "A still scene of 79,545 3D Gaussians, of: a yard. Made from 2 views of 9" in text
    assert "27.5" not in text
    before = card_of(scene)
    scene_of(scene, run={"seconds": 1.0})
    assert card_of(scene) == before


def test_the_picture_is_the_first_frame_of_the_video(scene):
    picture = np.asarray(Image.open(io.BytesIO(card_of(scene).files["card/picture.png"])))
    expected = make_frames(3, 32, 48)[0].permute(1, 2, 0).numpy()
    assert picture.shape == (32, 48, 3)
    assert np.abs(picture.astype(int) - expected).mean() < 20


def test_a_decoder_that_made_the_scene_is_something_it_depends_on(scene):
    settings = {"reconstruct": {"weights": "some/where/mine"}, "seed": 1}
    scene_of(scene, method="decoder", settings=settings)
    options: dict[str, Any] = {"licence": None, "repository": None, "version": None}
    facts = read_reconstruction(scene, made_by=MadeBy(), **options)
    (found,) = conflicts_of(facts.uses, LICENCES["CC-BY-4.0"])
    assert found.use.dependency.title == "decoder mine"
    stated = Statements(models={"mine": "Apache-2.0"})
    facts = read_reconstruction(scene, made_by=MadeBy(), stated=stated, **options)
    assert conflicts_of(facts.uses, LICENCES["CC-BY-4.0"]) == ()
    assert "some/where" not in card_of(scene).text
    assert picture_of_decoded(scene).startswith(b"\x89PNG")


def test_the_state_of_a_guardrail_is_told(scene):
    scene_of(scene, made_by={"teacher": "gen3c", "codec": "cosmos", "guardrail": "off"})
    text = card_of(scene).text
    assert "gen3c: its guardrail was off" in text and "**Built on NVIDIA Cosmos.**" in text


def test_a_model_is_not_shown_by_a_scene_that_no_decoder_made(scene):
    with pytest.raises(InputError, match="'fit' made this scene"):
        picture_of_decoded(scene)


@pytest.mark.parametrize("missing", ["report.json", "scene.html", "scene.ply"])
def test_a_folder_that_is_no_scene_is_refused(scene, missing):
    (scene / missing).unlink()
    with pytest.raises(InputError, match=f"there is no {missing}".replace(".", r"\.")):
        card_of(scene)


@pytest.mark.parametrize(
    "changes", [{"scene_id": "../x"}, {"source": {"kind": 3}}, {"made_by": None}, {"settings": {}}]
)
def test_a_report_of_a_stranger_is_refused(scene, changes):
    scene_of(scene, **changes)
    with pytest.raises(CorruptDataError, match="report"):
        card_of(scene)


def test_hostile_texts_of_a_report_stay_texts(scene):
    evil = "</details><script>x</script>|[a](http://b)\n# h"
    scene_of(
        scene, source={"kind": evil, "licence": evil}, made_by={"teacher": evil, "codec": evil}
    )
    card = card_of(scene)
    page = MarkdownIt("commonmark").enable("table").render(card.text.split("---\n", 2)[2])
    assert "<script" not in page and page.count("<h1>") == 1 and 'href="http://b"' not in page
