"""The report's page and its terminal summary.

Long because its cases share one sample.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from lyra_data.scene.quality import NUMBERS
from lyra_model.evaluation.report.content import (
    Fact,
    ProvenanceGroup,
    SceneContent,
    Score,
    SharedContent,
)
from lyra_model.evaluation.report.figures import camera_paths, curves
from lyra_model.evaluation.report.page import MARKS, complete_page, render_scene, sampled_frames
from lyra_model.evaluation.report.standings import best_of, headline
from lyra_model.evaluation.report.summary import summary_lines
from tests.report_samples import cameras_along, sample_content, sample_shared

SECTIONS = (
    *("scene", "results", "source", "trajectories", "comparisons"),
    *("real-photo", "training", "metrics", "data", "provenance"),
)


class Page(HTMLParser):
    """What the tests ask of a page: attributes by tag, and the text of every section."""

    VOID = frozenset({"meta", "img", "br", "input", "link", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.sections: dict[str, str] = {}
        self.open: list[str] = []
        self.current: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "section":
            self.current = dict(attrs)["id"]
            self.sections[str(self.current)] = ""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag == "section":
            self.current = None

    def handle_data(self, data: str) -> None:
        if self.current:
            self.sections[self.current] += data


def render(content: SceneContent, shared: SharedContent | None = None) -> str:
    return complete_page(render_scene(content), shared or sample_shared())


@pytest.fixture(scope="module")
def html() -> str:
    return render(sample_content())


def page_of(content: SceneContent) -> Page:
    return Page(render(content))


def test_nothing_on_the_page_is_fetched_from_elsewhere(html: str) -> None:
    fetching = {"src", "href", "srcset", "data", "action", "poster", "formaction", "xlink:href"}
    targets = [value for _, name, value in Page(html).attributes if name in fetching]
    assert targets
    assert all(value.startswith(("data:image/webp;base64,", "#")) for value in targets)
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "://" not in re.sub(r"base64,[^\"]*", "", html)
    assert "default-src 'none'" in html
    assert not re.search(r"\b(fetch|XMLHttpRequest|importScripts|import)\s*\(", html)


def test_elements_nest_and_every_section_is_present_once(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert tuple(page.sections) == SECTIONS
    linked = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert linked == ["#scene", *(f"#{section}" for section in SECTIONS)]


def test_every_picture_tells_what_it_shows(html: str) -> None:
    pictures = html.count("<img ")
    described = len(re.findall(r'<img [^>]*alt="[^"]+"', html))
    assert pictures - described == 1  # the empty frame in which pictures are enlarged


def test_numbers_on_the_page_equal_the_content(html: str) -> None:
    text = Page(html).sections
    for written in ("24.32", "0.781", "0.034", "123\u202f456", "120\u202f000", "30.00", "17.00"):
        assert written in text["metrics"]
    for written in ("11111", "22222", "87.5\u202f%", "33.12", "34.12", "0.234", "24 \u00d7 16"):
        assert written in text["data"]
    for written in ("24.25\u202fdB", "frame 6", "frame 2", "held out"):
        assert written in text["comparisons"]
    for written in ("0123456789abcdef" * 2, "42"):
        assert written in text["provenance"]
    assert "20.50 dB" in text["real-photo"]
    assert "The warp still wins on the real photo." in text["results"]


def test_every_number_of_quality_stands_beside_its_limit(html: str) -> None:
    text = re.sub(r"\s+", " ", Page(html).sections["data"])
    for written in ("31.50", "21.50", "26.25", "\N{MINUS SIGN}0.010", "≥ 20.00", "≤ 1.00"):
        assert written in text
    table = re.search(r'<table class="quality stacks"[^>]*>(.*?)</table>', html, re.S)
    assert table
    columns = 1 + len(NUMBERS)
    rows = re.findall(r'<tr role="row">.*?</tr>', table[1], re.S)
    assert [len(re.findall(r"<td[ >]", row)) for row in rows] == [columns] * 3  # two views, limits
    assert html.count('title="' + NUMBERS["filled_sharpness_ratio"].meaning) == 1


def test_numbers_near_and_beyond_their_limits_are_marked_and_others_are_not(html: str) -> None:
    marked = re.findall(r'<td [^>]*class="(near|beyond)" title="[^"]+">([^<]*)</td>', html)
    assert marked == [("beyond", "0.950"), ("near", "21.50"), ("beyond", "0.950")]
    free = replace(sample_content(), quality_limits={})
    assert "No number is near its limit." in render(free)


def test_dropped_views_are_listed_with_their_reasons(html: str) -> None:
    text = Page(html).sections["data"]
    assert "1 view was made and dropped:" in text
    assert "Clockwise (reversed) pose_error_frames = 12, limit is 1" in text
    none = page_of(replace(sample_content(), dropped=()))
    assert "No view of this scene was dropped." in none.sections["data"]


def test_the_best_number_of_a_column_is_bold_also_where_a_baseline_wins(html: str) -> None:
    bold = re.findall(r'<td [^>]*class="best">([^<]*)', html)
    assert bold == ["0.700", "30.00", "0.900", "0.010", "21.00", "0.040"]


def test_numbers_that_print_alike_are_all_best() -> None:
    methods = sample_content().methods[:2]
    alike = [
        replace(row, held_out=Score(psnr, None, None, 1), real_photo=None)
        for row, psnr in zip(methods, (20.001, 20.004), strict=True)
    ]
    assert best_of(tuple(alike)) == {(row.method, "held_out", "psnr_db") for row in alike}


def test_the_warp_that_made_the_data_is_flagged_where_it_is_compared(html: str) -> None:
    text = Page(html).sections
    note = "the teacher's own warp: an upper bound on known pixels"
    assert note in text["results"]
    assert note in text["metrics"]
    assert re.search(r"30\.00<sup>1</sup>", html)


def test_the_headline_puts_the_decoder_first_and_scales_bars_to_the_best() -> None:
    card = headline(sample_content().methods, "held_out")
    assert [bar.method for bar in card.bars] == [
        "decoder, final phase",
        "copied frame",
        "depth warp",
    ]
    assert card.bars[2].share == 1.0
    assert card.bars[0].share == pytest.approx(24.316 / 30)


@pytest.mark.parametrize(
    ("section", "change", "sentence"),
    [
        ("real-photo", {"real_photo": None}, "no real photo"),
        ("trajectories", {"trajectories": ()}, "no generated trajectories"),
        ("comparisons", {"trajectories": ()}, "compared no frames"),
        ("data", {"trajectories": ()}, "no generated views"),
        ("training", {"training": ()}, "No training history"),
        ("metrics", {"methods": ()}, "Nothing was measured"),
    ],
)
def test_an_absent_part_is_told_in_a_sentence_and_shows_no_pictures(
    section: str, change: dict, sentence: str
) -> None:
    html = render(replace(sample_content(), **change))
    page = Page(html)
    assert tuple(page.sections) == SECTIONS
    assert sentence in page.sections[section]
    inside = re.search(rf'<section id="{section}">(.*?)</section>', html, re.S)
    assert inside
    assert not re.search(r"<img|<table|<svg|<dl", inside[1])


def test_methods_not_measured_on_the_real_photo_leave_its_headline_empty() -> None:
    content = sample_content()
    unmeasured = tuple(replace(row, real_photo=None) for row in content.methods)
    text = page_of(replace(content, methods=unmeasured, real_photo=None)).sections
    assert "Not measured in this evaluation." in text["results"]
    assert text["metrics"].count("not measured") == 4


def test_names_are_escaped_wherever_they_appear() -> None:
    attack = "</script><img src=x onerror=alert(1)>&"
    content = sample_content()
    content = replace(
        content,
        title=attack,
        trajectories=(replace(content.trajectories[0], trajectory=attack),),
        methods=(replace(content.methods[0], method=attack, held_out_note=attack),),
        training=(replace(content.training[0], name=attack),),
    )
    group = ProvenanceGroup(attack, (Fact(attack, attack, is_hash=True),))
    html = render(content, SharedContent(findings=(attack,), provenance=(group,)))
    assert "<img src=x" not in html
    assert Page(html).open == []
    assert html.count("</script>") == 2


def test_the_same_content_gives_the_same_bytes(html: str) -> None:
    assert render(sample_content()) == html


def test_a_text_that_looks_like_a_mark_stays_where_it_stands() -> None:
    marks = " ".join(MARKS.values())
    content = replace(sample_content(), title=marks, summary=marks)
    html = render(content)
    assert all(html.count(mark) == 0 for mark in MARKS.values())
    assert html.count("&lt;!-- provenance --&gt;") == 3  # title, heading, summary


def test_an_evaluation_without_findings_or_provenance_says_so() -> None:
    text = Page(render(sample_content(), SharedContent((), ()))).sections
    assert "No findings were written." in text["results"]
    assert "No provenance was recorded." in text["provenance"]


def test_a_film_strip_shows_both_ends_and_held_out_frames() -> None:
    assert sampled_frames(17, (3, 7, 11, 15), 6) == [0, 3, 6, 11, 13, 16]
    assert sampled_frames(17, (), 6) == [0, 3, 6, 10, 13, 16]
    assert sampled_frames(3, (1,), 6) == [0, 1, 2]
    assert sampled_frames(1, (), 6) == [0]


def test_curves_skip_what_a_logarithm_cannot_show() -> None:
    steps = np.arange(4)
    curve = curves.Curve("phase", steps, np.array([0.0, 0.1, np.nan, 0.01]))
    drawn = curves.draw_curves([curve], y_label="loss", description="loss", logarithmic=True)
    raw = re.search(r'class="raw" points="([^"]*)"', drawn)
    assert raw
    assert len(raw[1].split()) == 2
    assert (
        curves.draw_curves(
            [curves.Curve("x", steps, steps * 0.0)], y_label="", description="", logarithmic=True
        )
        == ""
    )


def test_a_running_mean_keeps_straight_lines_straight() -> None:
    line = np.linspace(2.0, 5.0, 31)
    np.testing.assert_allclose(curves.running_mean(line, 7), line, atol=1e-12)


@pytest.mark.parametrize(
    ("low", "high", "logarithmic"), [(0.01, 0.3, True), (0.2, 0.4, True), (12, 27, False)]
)
def test_ticks_are_round_rising_and_inside_the_axis(
    low: float, high: float, logarithmic: bool
) -> None:
    ticks = curves.round_ticks(low, high, logarithmic=logarithmic)
    assert 2 <= len(ticks) <= 10
    assert ticks == sorted(ticks)
    assert low <= ticks[0] * (1 + 1e-9)
    assert ticks[-1] <= high * (1 + 1e-9)


def test_a_path_to_the_left_is_drawn_to_the_left_and_one_forward_upwards() -> None:
    source = cameras_along((0.0, 0.0, 0.0))[[0]]
    paths = camera_paths.paths_from_source(
        [cameras_along((-0.1, 0.0, 0.0)), cameras_along((0.0, 0.0, 0.1))], source
    )
    scale = camera_paths.common_scale(paths)
    first, last = {}, {}
    for name, path in zip(("left", "forward"), paths, strict=True):
        svg = camera_paths.draw_path(path, (2,), scale, "m")
        track = re.search(r'class="track" points="([^"]*)"', svg)
        assert track
        points = [tuple(map(float, point.split(","))) for point in track[1].split()]
        first[name], last[name] = points[0], points[-1]
        assert all(0 <= value <= camera_paths.SIZE for point in points for value in point)
    assert last["left"][0] < first["left"][0] - 20
    assert last["forward"][1] < first["forward"][1] - 20


def test_paths_are_drawn_in_the_source_cameras_axes() -> None:
    moved = cameras_along((0.0, 0.0, 0.0))[[0]]
    moved.camera_to_world[0, :3, 3] = torch.tensor([5.0, 6.0, 7.0])
    (path,) = camera_paths.paths_from_source([cameras_along((0.0, 0.0, 0.1))], moved)
    torch.testing.assert_close(path.centres[0], torch.tensor([-5.0, -6.0, -7.0]).double())


def printed(*arguments: Any) -> str:
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        for line in summary_lines(*arguments):
            console.print(line)
    return captured.get()


def test_the_terminal_summary_fits_in_80_columns_and_tells_every_finding() -> None:
    findings = sample_shared().findings
    text = printed(sample_content().methods, findings)
    assert max(len(line) for line in text.splitlines()) <= 80
    note = "[1] the teacher's own warp: an upper bound on known pixels"
    for written in ("24.32", "0.781", "0.034", "21.00", "30.00 [1]", note, *findings):
        assert written in text
    assert "…" not in text


def test_the_terminal_summary_leaves_out_what_was_not_measured() -> None:
    unmeasured = tuple(replace(row, real_photo=None) for row in sample_content().methods)
    text = printed(unmeasured, ())
    assert "held out:" in text and "real photo:" not in text
