"""The report of many scenes: its page in a browser, its Markdown, and what it says of filters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lyra_model.evaluation.report.figures.pictures import photo_bytes
from lyra_model.evaluation.report.markdown import escaped, overview_markdown
from lyra_model.evaluation.report.overview import render_overview, viewer_data_of
from lyra_model.evaluation.report.overview_content import OverviewContent
from lyra_model.evaluation.report.page import complete_page, render_scene
from tests.browser import Page, browser_page
from tests.overview_samples import sample_overview
from tests.report_samples import large_content, sample_content, sample_shared

NUM_SCENES = 200
PHONE, DESKTOP = (390, 844), (1440, 900)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> OverviewContent:
    return sample_overview(tmp_path_factory.mktemp("items"), NUM_SCENES)


@pytest.fixture(scope="module")
def files(content: OverviewContent, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of all scenes, and the page of one."""
    folder = tmp_path_factory.mktemp("pages")
    thumbnail = photo_bytes(torch.zeros(3, 54, 96, dtype=torch.uint8), width=96)
    pages = {
        "overview": render_overview(content),
        "scene": complete_page(render_scene(sample_content()), sample_shared()),
    }
    written = {name: folder / f"{name}.html" for name in pages}
    for name, page in pages.items():
        written[name].write_text(page)
    for row in content.scenes:
        (folder / row.thumbnail).parent.mkdir(parents=True)
        (folder / row.thumbnail).write_bytes(thumbnail)
    return written


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def test_the_report_of_200_scenes_is_under_2_mb_and_grows_by_a_row_a_scene(
    content: OverviewContent, files: dict[str, Path]
) -> None:
    size = files["overview"].stat().st_size
    fewer = render_overview(replace(content, scenes=content.scenes[:100]))
    assert size < 2_000_000
    assert (size - len(fewer.encode())) / 100 < 1500


def test_the_page_of_a_large_scene_is_under_2_mb() -> None:
    page = render_scene(large_content())
    assert len(page.encode()) < 2_000_000
    assert "most visible of 30" in page


def test_the_scene_comes_first_then_the_verdict_then_all_scenes(files: dict[str, Path]) -> None:
    page = files["overview"].read_text()
    assert re.findall(r'<section id="([^"]+)"', page) == [
        *("scene", "results", "scenes", "worst", "distributions", "filters", "curves"),
        "provenance",
    ]
    verdict = re.search(r'<p class="verdict">(.*?)</p>', page)
    assert verdict and "over 40 validation scenes" in verdict[1]
    assert "<details>" in page.split('id="provenance"')[1]
    assert page.count('<details class="worst" open>') == 3
    for part in ("Held-out frames: 200 scenes", "Held-out frames, validation: 40 scenes"):
        assert part in page


@pytest.mark.parametrize("name", ["overview", "scene"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_nothing_scrolls_sideways(
    browser: Page, files: dict[str, Path], name: str, size: tuple[int, int]
) -> None:
    browser.resize(*size, mobile=size == PHONE)
    browser.open(files[name].as_uri())
    browser.wait_for("document.readyState === 'complete'")
    browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]
    scrolling = """[...document.querySelectorAll('main *')]
      .filter((one) => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX))
      .filter((one) => one.scrollWidth > one.clientWidth + 1).length"""
    assert browser.evaluate(scrolling) == 0


def test_a_heading_sorts_scenes_rising_then_falling_by_mouse_or_key(
    browser: Page, files: dict[str, Path], content: OverviewContent
) -> None:
    browser.resize(*DESKTOP)
    browser.open(files["overview"].as_uri())
    browser.wait_for("document.readyState === 'complete'")
    heading = "document.querySelectorAll('#scenes thead th')[3]"
    first = "document.querySelector('#scenes tbody th').textContent.trim()"
    by_psnr = sorted(content.scenes, key=lambda row: row.psnr_db or 0)
    assert browser.evaluate(f"{heading}.ariaSort") == "none"
    browser.evaluate(f"{heading}.querySelector('button').click()")
    assert browser.evaluate(f"{heading}.ariaSort") == "ascending"
    assert browser.evaluate(first) == by_psnr[0].scene_id
    browser.evaluate(f"{heading}.querySelector('button').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r")
    assert browser.evaluate(f"{heading}.ariaSort") == "descending"
    assert browser.evaluate(first) == by_psnr[-1].scene_id
    sorted_ones = "document.querySelectorAll('#scenes th[aria-sort]:not([aria-sort=none])').length"
    assert browser.evaluate(sorted_ones) == 1


def test_a_picture_opens_from_the_keyboard_and_gives_the_focus_back(
    browser: Page, files: dict[str, Path]
) -> None:
    browser.open(files["overview"].as_uri())
    browser.wait_for("document.querySelector('#worst img')?.tabIndex === 0")
    browser.evaluate("document.querySelector('#worst img').focus()")
    browser.press("Enter")
    assert browser.evaluate("document.getElementById('enlarged').open")
    for kind in ("rawKeyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Escape", windowsVirtualKeyCode=27)
    browser.wait_for("!document.getElementById('enlarged').open")
    assert browser.evaluate("document.activeElement === document.querySelector('#worst img')")


def test_the_page_has_landmarks_captions_and_labels(browser: Page, files: dict[str, Path]) -> None:
    browser.open(files["overview"].as_uri())
    browser.wait_for("document.readyState === 'complete'")
    count = "[...document.querySelectorAll('{}')].filter((one) => {}).length"
    for selector, missing in (
        ("table", "!one.caption"),
        ("svg", "!one.getAttribute('aria-label')"),
        ("main img", "!one.alt"),
        ("button", "!one.textContent.trim() && !one.ariaLabel"),
        ("section", "!one.querySelector('h2')"),
    ):
        assert browser.evaluate(count.format(selector, missing)) == 0, selector
        assert browser.evaluate(count.format(selector, "true")) > 0, selector
    assert browser.evaluate("document.querySelectorAll('main, header, nav').length") == 3
    assert browser.complaints == []


def test_the_dark_page_is_dark_and_its_text_stands_out(
    browser: Page, files: dict[str, Path]
) -> None:
    contrast = """(() => {
      const light = (text) => { const c = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
      const body = getComputedStyle(document.body);
      const muted = getComputedStyle(document.querySelector('caption'));
      const paper = light(body.backgroundColor);
      const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const contrasts = [body, muted].map((style) => ratio(light(style.color), paper));
      return [paper, Math.min(...contrasts)]; })()"""
    for theme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": theme}
        browser.call("Emulation.setEmulatedMedia", features=[feature])
        browser.open(files["overview"].as_uri())
        browser.wait_for("document.readyState === 'complete'")
        paper, least = browser.evaluate(contrast)
        assert (paper < 0.1) == (theme == "dark")
        assert least >= 4.5  # WCAG AA


def test_hostile_names_stay_text(content: OverviewContent) -> None:
    attack = "</script><img src=x onerror=alert(1)>&\"'|`[a](b)"
    row = replace(
        content.scenes[0], scene_id=attack, address=attack, thumbnail=attack, split=attack
    )
    hostile = replace(content, title=attack, scenes=(row,), viewer_scene=row, findings=(attack,))
    hostile = replace(hostile, worst=(replace(content.worst[0], row=row),))
    page = render_overview(hostile)
    assert "<img src=x" not in page and page.count("</script>") == 2
    text = overview_markdown(hostile)
    assert escaped(attack) in text and "<img" not in text and "[a](b)" not in text


def test_the_viewers_data_come_back_from_a_page() -> None:
    page = render_scene(replace(sample_content(), title='id="viewer-data">{}</script>'))
    data = viewer_data_of(page)
    assert [path["name"] for path in data["paths"]] == ["left", "zoom_in"]


def test_filters_say_what_they_dropped_and_how_views_near_them_score(
    content: OverviewContent,
) -> None:
    by_name = {row.name: row for row in content.filters}
    assert set(by_name) == {
        *("min_known_fraction", "min_cache_psnr_db", "max_pose_error_frames"),
        "min_sharpness_ratio",
    }
    row = by_name["min_cache_psnr_db"]
    assert (row.num_dropped, row.num_near) == (1, NUM_SCENES // 4)
    assert (row.near_db, row.others_db) == (20.0, 21.0)
    assert by_name["min_known_fraction"].num_dropped == 0
    assert by_name["min_known_fraction"].near_db is None


def test_the_markdown_has_the_verdict_and_every_method_with_its_interval(
    content: OverviewContent,
) -> None:
    text = overview_markdown(content)
    assert text.startswith("# Evaluation of 200 scenes\n\nThe decoder is better than")
    rows = [line for line in text.splitlines() if line.startswith("| **decoder, final phase**")]
    assert len(rows) == 3  # all scenes, and those of two splits
    assert re.search(r"\| \d\d\.\d\d \(\d\d\.\d\d to \d\d\.\d\d\) \|", rows[0])
    assert "| nearest input frame, copied |" in text and "min\\_cache\\_psnr\\_db" in text
    assert "Machine" not in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
    assert widths <= {6, 7}


def test_the_same_content_gives_the_same_bytes(content: OverviewContent) -> None:
    assert render_overview(content) == render_overview(content)
