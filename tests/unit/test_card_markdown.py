"""Texts of others in cards: shown as they are, and never as markup."""

from __future__ import annotations

import html
import re

import pytest
from markdown_it import MarkdownIt

from lyra_data.engine.errors import InputError
from lyra_data.sharing.cards.card import (
    require_no_secret,
    require_repository,
    require_version,
)
from lyra_data.sharing.cards.markdown import code_block, figure, plain, table

HOSTILE = [
    "<script>alert(1)</script>",
    "[click](https://example.org/steal)",
    "![x](https://example.org/pixel.png)",
    "a | b | c",
    "`code` and ``more``",
    "**bold** _quiet_ ~~gone~~",
    "# heading",
    "- item",
    "1. first",
    "two\nlines\n\n## of text",
    "&lt;b&gt; &amp; <b>",
    "back\\slash \\` \\| \\\\",
    "$x^2$ and @everyone",
    "<https://example.org>",
    "[ref]: https://example.org",
    "---",
    "|",
    "a\u202egnp.exe",
    "<!-- comment",
    "it's 5 * 3, a_b_c, 1.5-2",
]


def seen(markdown: str) -> tuple[str, str]:
    """Return the HTML of Markdown, and the text that it shows."""
    page = MarkdownIt("commonmark").enable("table").render(markdown)
    return page, html.unescape(re.sub(r"<[^>]*>", "", page)).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_others_is_shown_letter_by_letter_wherever_it_stands(text):
    shown = re.sub(r"\s+", " ", text.replace("\u202e", " ")).strip()
    for markdown in (plain(text), f"- {plain(text)}", f"x: {plain(text)}"):
        page, words = seen(markdown)
        assert words.removeprefix("x: ") == shown
        assert set(re.findall(r"<(/?\w+)", page)) <= {"p", "/p", "ul", "/ul", "li", "/li"}


def test_a_hostile_cell_stays_one_cell_of_its_table():
    page, _ = seen("\n".join(table(["name", "text"], [[plain(text), "end"] for text in HOSTILE])))
    assert page.count("<td>") == 2 * len(HOSTILE)
    assert page.count("<td>end</td>") == len(HOSTILE)
    assert not re.search(r"<(a|img|script|code|em|strong|h\d)\b", page)


def test_addresses_of_others_are_no_links_for_readers_that_link_bare_ones():
    assert plain("see https://example.org, HTTP://x") == r"see https\://example.org, HTTP\://x"
    assert plain("www.example.org") == r"www\.example.org"


def test_names_of_scenes_can_be_read_in_the_text_itself():
    assert plain("prompt_01ab-view.2") == "prompt_01ab-view.2"


def test_a_long_text_is_cut():
    assert len(plain("x" * 1000)) == 200


@pytest.mark.parametrize("code", ["```\nescape\n```", "````", "no fence"])
def test_nothing_ends_a_block_of_code_but_its_own_fence(code):
    page, words = seen("\n".join(code_block(code, "yaml")))
    assert page.count("<pre>") == 1
    assert words == code


def test_numbers_stand_on_the_right_and_unknown_ones_are_empty():
    assert table(["a", "b"], [["x", 1.23456], ["y", ""]])[1] == "| --- | ---: |"
    assert figure(1234567) == "1,234,567" and figure(1.23456) == "1.235" and figure(None) == ""
    assert table(["a"], []) == []


@pytest.mark.parametrize(
    "secret",
    [
        "hf_" + "a" * 34,
        "AKIA" + "A" * 16,
        "ghp_" + "b" * 36,
        "https://user:secret@example.org/data",
        "https\\://secret\\@example.org/data",
    ],
)
def test_a_card_with_a_token_is_refused_and_the_token_is_not_repeated(secret):
    with pytest.raises(InputError) as error:
        require_no_secret(f"one\ntwo {secret}", where="params.yaml")
    assert "line 2" in str(error.value) and secret not in str(error.value)


def test_hashes_and_addresses_are_no_secrets():
    require_no_secret(f"{'0123456789abcdef' * 4} https://example.org/a:b hf_model", where="x")


@pytest.mark.parametrize("repository", ["name", "a/b/c", "../x", "a/..", "a b/c", "a/b\n"])
def test_what_is_not_owner_and_name_is_refused(repository):
    with pytest.raises(InputError, match="is not OWNER/NAME"):
        require_repository(repository)


def test_a_version_that_is_no_tag_is_refused():
    require_version("v1.0")
    with pytest.raises(InputError, match="is no name of a tag"):
        require_version('v1"; rm')
