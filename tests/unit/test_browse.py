"""Pages of a dataset: what is written, its filters, views in step, and names that stay text."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.progress import silent
from lyra_model.browsing import browse, pages, scene_files
from lyra_model.browsing.browse import WrittenPages, browse_dataset
from lyra_model.browsing.pages import catalogue_pages, render_catalogue, render_scene_page
from lyra_model.browsing.scene_files import LAYERS, NUMBER_NAMES, SceneCard, ViewCard
from tests.browser import Page, browser_page
from tests.dataset_scenes import NUM_FRAMES, exact_scene
from tests.factories import make_quality

SCENES = ("a", "b")
PHONE = (390, 844)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SceneDataset:
    """Two scenes of three views; the second view of `b` was worse when it was made."""
    folder = tmp_path_factory.mktemp("browsed") / "dataset"
    views = [view for name in SCENES for view in exact_scene(name)]
    views[4] = replace(views[4], quality=make_quality(cache_psnr_db=12.5))
    write_dataset(views, folder, splits=None, scenes_per_shard=1, provenance={})
    return SceneDataset(folder)


@pytest.fixture(scope="module")
def written(dataset: SceneDataset, tmp_path_factory: pytest.TempPathFactory) -> WrittenPages:
    folder = tmp_path_factory.mktemp("pages") / "out"
    return browse_dataset(dataset, folder, scenes=None, progress=silent)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def opened(browser: Page, file: Path, size: tuple[int, int] = (1440, 900)) -> Page:
    browser.resize(*size, mobile=size == PHONE)
    browser.open(file.as_uri())
    browser.wait_for("document.readyState === 'complete'")
    return browser


def scene_card(scene_id: str, num_views: int = 1, *, title: str = "left") -> SceneCard:
    facts = {"trajectory": title, "motion_reversed": False, "num_frames": 2, "fps": 24.0}
    facts |= {"height": 6, "width": 8, "depth_scale": "metric"}
    numbers = (0.5,) * len(NUMBER_NAMES)
    pose, slopes = [1.0, *[0.0] * 6], [-1.0, 1.0, -1.0, 1.0]
    views = [ViewCard(i, facts, numbers, [pose, pose], slopes, 288) for i in range(num_views)]
    return SceneCard(scene_id, "train", [0.0, 0.0, 1.0], tuple(views))


def test_every_view_has_a_video_of_its_layers_and_a_strip(written: WrittenPages) -> None:
    folder = written.index.parent
    assert (written.num_scenes, written.num_views, written.num_pages) == (2, 6, 1)
    names = {path.name for path in (folder / "scenes" / "a").iterdir()}
    videos = {f"view_{i}.{kind}" for i in range(3) for kind in ("mp4", "webp")}
    assert names == {"index.html", "sheet.png", *videos}
    for page in folder.rglob("*.html"):
        assert page.stat().st_size < 2_000_000


def test_filters_leave_the_views_that_fulfil_all_of_them(
    browser: Page, written: WrittenPages
) -> None:
    page = opened(browser, written.index)
    left = "[...document.querySelectorAll('.view')].filter((one) => one.checkVisibility()).length"
    count = "document.getElementById('count').textContent"

    def choose(**values: str) -> int:
        for name, value in values.items():
            page.evaluate(
                f"(() => {{ const one = document.querySelector('[name={name}]');"
                f" one.value = '{value}';"
                " one.dispatchEvent(new Event('input', { bubbles: true })); })()"
            )
        return page.evaluate(left)

    assert page.evaluate(left) == 6
    assert choose(path="right, reversed") == 2
    assert choose(path="") == 6
    assert choose(number=str(NUMBER_NAMES.index("cache_psnr_db")), high="20") == 1
    assert page.evaluate(count) == "1 view of 1 scene shown."
    assert page.evaluate("document.querySelector('.scene').checkVisibility()") is False
    assert choose(low="13") == 0
    assert page.evaluate("document.getElementById('none').checkVisibility()")
    page.evaluate("document.querySelector('button[type=reset]').click()")
    page.wait_for(f"{left} === 6")
    assert choose(scene="B") == 3
    assert page.complaints == []


def test_all_views_show_the_frame_of_the_slider(browser: Page, written: WrittenPages) -> None:
    page = opened(browser, written.index.parent / "scenes" / "a" / "index.html")
    page.wait_for("[...document.querySelectorAll('video')].every((one) => one.readyState >= 2)")
    page.evaluate(
        "(() => { const one = document.getElementById('frame'); one.value = 5;"
        " one.dispatchEvent(new Event('input')); })()"
    )
    page.wait_for("[...document.querySelectorAll('video')].every((one) => !one.seeking)")
    frames = (
        "[...document.querySelectorAll('video')].map((one) => Math.floor(one.currentTime * 24))"
    )
    assert page.evaluate(frames) == [5, 5, 5]
    heights = page.evaluate(
        "[...document.querySelectorAll('video')].map((one) => one.videoHeight / one.videoWidth)"
    )
    assert heights == pytest.approx([len(LAYERS) * 96 / 128] * 3)
    page.evaluate("document.getElementById('play').click()")
    page.wait_for("document.getElementById('play').textContent === 'Pause'")
    page.wait_for(f"Number(document.getElementById('frame').value) !== 5 && {NUM_FRAMES} > 5")
    page.evaluate("document.getElementById('play').click()")
    assert page.complaints == []


def test_the_cameras_are_drawn_and_turn(browser: Page, written: WrittenPages) -> None:
    page = opened(browser, written.index.parent / "scenes" / "a" / "index.html")
    drawing = "document.getElementById('space').toDataURL()"
    page.wait_for("document.getElementById('space').width > 300")
    before = page.evaluate(drawing)
    page.evaluate("document.getElementById('space').focus()")
    page.press("ArrowLeft")
    turned = page.evaluate(drawing)
    assert turned != before
    page.press("ArrowRight")
    page.press("+")
    assert page.evaluate(drawing) not in (before, turned)
    side = float(page.evaluate("document.getElementById('grid-side').textContent"))
    assert 0 < side < 3.0


@pytest.mark.parametrize("name", ["index.html", "scenes/a/index.html"])
def test_nothing_scrolls_sideways_on_a_phone(
    browser: Page, written: WrittenPages, name: str
) -> None:
    page = opened(browser, written.index.parent / name, PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    unnamed = (
        "[...document.querySelectorAll('select, input, button, video, canvas, img')].filter("
        "(one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim() && !one.alt)"
    )
    assert page.evaluate(f"{unnamed}.length") == 0


def test_hostile_names_stay_text() -> None:
    attack = "</script><img src=x onerror=alert(1)>&\"'"
    card = scene_card(attack, title=attack)
    (page,) = catalogue_pages([card])
    for text in (
        render_catalogue(page, attack),
        render_scene_page(card, before=attack, after=attack, dataset=attack),
    ):
        assert "<img src=x" not in text
        assert text.count("</script>") == text.count("<script")


def test_a_catalogue_of_many_views_is_dealt_out_to_pages_under_2_mb() -> None:
    cards = [scene_card(f"scene_{i:04}", 6) for i in range(600)]
    parts = catalogue_pages(cards)
    assert [scene.scene_id for part in parts for scene in part.scenes] == [
        card.scene_id for card in cards
    ]
    assert [part.file for part in parts] == ["index.html", "page_2.html", "page_3.html"]
    text = render_catalogue(parts[0], "many")
    assert len(text.encode()) < 2_000_000
    assert 'href="page_3.html"' in text and "600 scenes, 3600 views" in text


def test_one_view_is_held_at_a_time_and_the_same_scene_gives_the_same_bytes(
    dataset: SceneDataset, written: WrittenPages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []
    past: list[weakref.ref[Any]] = []
    read = scene_files.read_frames

    def read_and_count(*arguments: Any) -> Any:
        gc.collect()
        alive.append(sum(one() is not None for one in past))
        frames = read(*arguments)
        past.append(weakref.ref(frames))
        return frames

    kept: list[Any] = []
    deal = pages.catalogue_pages
    monkeypatch.setattr(scene_files, "read_frames", read_and_count)
    monkeypatch.setattr(browse, "catalogue_pages", lambda cards: kept.extend(cards) or deal(cards))
    browse_dataset(dataset, tmp_path / "out", scenes=["a"], progress=silent)
    assert alive == [0] * 3
    assert all(view.poses == [] for card in kept for view in card.views)
    first, again = (
        sha256_of_files(folder / "scenes" / "a")
        for folder in (written.index.parent, tmp_path / "out")
    )
    del first["index.html"], again["index.html"]  # that of two scenes names the next one
    assert first == again


def test_a_folder_that_holds_something_and_an_unknown_scene_are_refused(
    dataset: SceneDataset, tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        browse_dataset(dataset, tmp_path, scenes=None, progress=silent)
    with pytest.raises(InputError, match="no scene 'c'"):
        browse_dataset(dataset, tmp_path / "out", scenes=["c"], progress=silent)
    assert not (tmp_path / "out").exists()
