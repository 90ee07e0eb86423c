"""What the page must be: self-contained, safe, readable aloud, the same for the same content."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from report_sample import HOSTILE, empty, rich

import medlake
from medlake.report import figures, words
from medlake.report.content import AgeSex, Named, PageContent, Thumbnail
from medlake.report.page import render

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Outline(HTMLParser):
    """Tags with their attributes, text, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page() -> str:
    return render(rich())


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


@pytest.mark.parametrize("content", [rich(), empty()], ids=["rich", "empty"])
def test_every_element_is_closed(content: PageContent) -> None:
    assert Outline(render(content)).open == []


def test_nothing_is_loaded_from_elsewhere(page: str, outline: Outline) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", page)
    assert {tag for tag, _ in outline.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    for _, attributes in outline.tags:
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert attributes.get("href", "#").startswith("#")


def test_a_hostile_name_is_shown_and_not_run(page: str, outline: Outline) -> None:
    assert "<script" not in page
    assert "<b>bold" not in page
    assert HOSTILE in outline.text
    assert "onerror" not in {name for _, attributes in outline.tags for name in attributes}


def test_the_same_content_gives_the_same_bytes(page: str) -> None:
    assert render(rich()) == page


def test_every_chart_and_picture_has_words(outline: Outline) -> None:
    charts = [attributes for tag, attributes in outline.tags if tag == "svg"]
    assert len(charts) > 20
    assert all(one["role"] == "img" and len(one["aria-label"]) > 15 for one in charts)
    pictures = [attributes for tag, attributes in outline.tags if tag == "img"]
    assert len(pictures) == 4
    assert all(one["alt"] for one in pictures)


def test_charts_take_their_colours_from_the_page(page: str) -> None:
    drawn = page.partition("</style>")[2]
    assert not re.search(r"(fill|stroke): (?!none|var\(|url\()", drawn)


def test_charts_scale(outline: Outline) -> None:
    charts = [attributes for tag, attributes in outline.tags if tag == "svg"]
    assert all("viewbox" in one and "width" not in one and "height" not in one for one in charts)


def test_ids_stand_once_and_links_lead_somewhere(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    links = [attributes["href"][1:] for tag, attributes in outline.tags if tag == "a"]
    assert len(ids) == len(set(ids))
    assert set(links) <= set(ids)


def test_an_empty_lake_says_so_in_words() -> None:
    text = Outline(render(empty())).text
    for sentence in (
        "Nothing came in this night.",
        "Nobody yet.",
        "There are no images in the lake.",
        "No model was trained.",
        "No groups were made",
        "Nothing is set aside.",
    ):
        assert sentence in text


def test_hidden_counts_are_marked_and_never_drawn_in_length(outline: Outline) -> None:
    assert "<11" in outline.text
    assert "hidden" in outline.text
    drawn = figures.of(replace(empty(), persons_by_source=(Named("a", 40), Named("b", None, "<11")))).sources
    assert drawn is not None
    assert "a: 40; B" not in drawn
    assert "B: &lt;11" in drawn


def test_match_weights_are_told_with_what_follows_from_them(outline: Outline) -> None:
    assert "Not linked: another given name" in outline.text and "128" in outline.text
    assert "Who is whom by weight" not in Outline(render(empty())).text


def test_checks_are_told_with_what_fails_and_how_it_was(outline: Outline) -> None:
    assert "273 checks of 2 tables could be told; 2 failed." in outline.text
    assert "25 % (5.0 %), 12 % the night before" in outline.text
    assert "few people" in outline.text
    assert "No check was run this night." in Outline(render(empty())).text


def test_a_small_count_left_in_by_mistake_is_hidden_all_the_same() -> None:
    cells = (AgeSex("0–17", "women", 7), AgeSex("0–17", "men", 40))
    content = replace(empty(), n_persons=7, age_sex=cells, persons_by_source=(Named("north", 7),))
    text = Outline(render(content)).text
    assert not re.search(r"\b7\b", text)
    assert "<11" in text


def test_the_threshold_of_the_lake_is_the_threshold_of_the_page() -> None:
    night = replace(empty().night, small_count=20)
    assert "<20" in Outline(render(replace(empty(), night=night, n_persons=15))).text


def test_an_image_stays_inside_the_page() -> None:
    content = replace(rich(), thumbnails=(Thumbnail("CT", b"\x89PNG<script>"),))
    assert "data:image/png;base64,iVBORzxzY3JpcHQ+" in render(content).replace("&#43;", "+")


def test_the_page_is_drawn_from_inside_a_zipped_wheel(tmp_path: Path) -> None:
    package = Path(medlake.__file__).parent
    wheel = tmp_path / "medlake.whl"
    with ZipFile(wheel, "w") as out:
        for path in package.rglob("*"):
            if path.suffix in {".py", ".html", ".css"}:
                out.write(path, Path("medlake") / path.relative_to(package))
    code = (
        "import medlake; from medlake.report.page import render;"
        "from medlake.report.content import Night, PageContent;"
        "assert '.whl' in medlake.__file__;"
        "assert 'Nobody yet' in render(PageContent(night=Night('1', 'now', '0')))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(wheel)}, cwd=tmp_path, check=False
    )
    assert told.returncode == 0


def test_commands_hold_only_plain_names() -> None:
    assert words.set_aside_command("north", "json_invalid") == (
        'medlake sql "SELECT file, row, detail FROM quarantine.record'
        " WHERE source = 'north' AND reason_code = 'json_invalid'\""
    )
    assert "$(" not in words.set_aside_command("x'$(reboot)", "json_invalid")
