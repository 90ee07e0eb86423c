"""README.md says what the code says; `make docs` brings it up to date."""

from __future__ import annotations

import re

import pytest
from tests.rooms.documents import DOCS, PAGES, README, as_markdown, with_parts

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")


def test_the_generated_parts_are_up_to_date() -> None:
    assert with_parts(TEXT) == TEXT, "README.md is behind the code: run `make docs`"


def test_a_missing_marker_is_told() -> None:
    with pytest.raises(ValueError, match="tables:begin"):
        with_parts(TEXT.replace("<!-- tables:begin -->", ""))


def test_a_stale_part_is_noticed() -> None:
    stale = TEXT.replace("| `silver.person` |", "| `silver.persona` |")
    assert stale != TEXT
    assert with_parts(stale) == TEXT


def test_a_bar_in_a_cell_does_not_end_the_cell() -> None:
    assert as_markdown(("a",), [("x|y",)]).splitlines()[-1] == r"| x\|y |"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z0-9-]+)", TEXT))))
def test_each_make_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("link", sorted({t for t in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in t}))
def test_each_file_that_is_linked_exists(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), f"docs/{name} is behind the code: run `make docs`"


def test_the_page_about_dicom_has_every_attribute() -> None:
    lines = (DOCS / "dicom_profile.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if re.match(r"\| `([0-9A-Fx]{8}|private)` ", line)]) == 621
