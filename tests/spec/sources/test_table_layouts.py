"""Tables that are no plain CSV: no header, fixed width, several tables in one file, packed; nothing here starts Spark."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from medlake.grammar.errors import ConfigError
from medlake.sources.declared import Source, Table, declared
from medlake.sources.reading import Refused
from medlake.sources.tables import header_of, text_records


def read(path: Path, table: Table, *parts: Table) -> list[dict[str, Any]]:
    return list(text_records(str(path), table, parts, 1000, 5))


def told(found: list[dict[str, Any]]) -> list[object]:
    """The record where there is one, else the reason."""
    return [r.get("reason_code") or r["record"] for r in found]


def test_a_file_without_header_takes_its_names_from_the_declaration(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text("63.0,1,?\n41,0\n 37,?,2\n")
    table = Table("a", ("*.data",), columns=("age", "sex", "ca"), header=False, null=("?",))
    assert told(read(tmp_path / "a.data", table)) == [
        {"age": "63.0", "sex": "1", "ca": None}, "too_few_fields", {"age": " 37", "sex": None, "ca": "2"},
    ]  # fmt: skip
    assert header_of(str(tmp_path / "a.data"), table, (), 1000) == {}


def test_columns_at_fixed_places_are_cut_by_character(tmp_path: Path) -> None:
    lines = ["0001Müller    19500301M", "0002Ng        1981", "0003Ray       19700101F  surplus", "0004", "", "0005          19900909?"]
    (tmp_path / "a.txt").write_bytes(gzip.compress("\r\n".join(lines).encode()))
    said = {"files": "*.txt", "fixed": {"id": [1, 4], "name": [5, 10], "born": [15, 8], "sex": [23, 1]}, "optional": "sex", "null": ["", "?"]}
    table = declared("x", {"table": {"a": said}}, {}, {}).tables[0]
    found = read(tmp_path / "a.txt", table)
    assert [r["row"] for r in found] == [1, 2, 3, 4, 6]
    assert told(found) == [
        {"id": "0001", "name": "Müller", "born": "19500301", "sex": "M"},
        {"id": "0002", "name": "Ng", "born": "1981", "sex": None},
        "line_too_wide", "line_too_short",
        {"id": "0005", "name": None, "born": "19900909", "sex": None},
    ]  # fmt: skip


def test_several_tables_in_one_file_go_each_its_way(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_bytes(
        b'\xef\xbb\xbftype_id,description\r\n1,Emergency\r\n6,NULL\r\n,\r\nplace_id,description\r\n1,"home, alone"\r\n7\r\n,\r\ncolour,x\r\nred,1\r\n'
    )
    kinds = Table("kinds", ("ids.csv",), section="type_id", null=("NULL",))
    places = Table("places", ("ids.csv",), section="place_id", key=("place_id",))
    source = Source("s", "csv", "s", (kinds, places), (), None, {})
    assert source.sections("ids.csv") == (kinds, places)
    found = read(tmp_path / "ids.csv", kinds, kinds, places)
    assert [(r.get("source_table"), r["row"]) for r in found] == [
        ("kinds", 2), ("kinds", 3), ("places", 6), ("places", 7), (None, 9), (None, 10),
    ]  # fmt: skip
    assert told(found) == [
        {"type_id": "1", "description": "Emergency"}, {"type_id": "6", "description": None},
        {"place_id": "1", "description": "home, alone"}, "too_few_fields", "section_unknown", "section_unknown",
    ]  # fmt: skip
    headers = header_of(str(tmp_path / "ids.csv"), kinds, (kinds, places), 1000)
    assert headers == {"kinds": ["type_id", "description"], "places": ["place_id", "description"]}


def test_header_names_lose_their_blanks_and_take_the_declared_spelling(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("SUBJECT_ID,bp, sg\n1,2,3\nSUBJECT_ID, bp,sg\n")
    table = Table("a", ("a.csv",), key=("subject_id",))
    assert told(read(tmp_path / "a.csv", table)) == [{"subject_id": "1", "bp": "2", "sg": "3"}, "second_header"]


def test_a_header_with_a_name_twice_refuses_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,v,V\n1,2,3\n")
    with pytest.raises(Refused) as fault:
        read(tmp_path / "a.csv", Table("a", ("a.csv",)))
    assert fault.value.code == "header_duplicate"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"header": False}, "needs columns"),
        ({"fixed": {"a": [0, 3]}}, "first character from 1"),
        ({"fixed": {"a": [1]}}, "not enough values"),
        ({"fixed": {"a": [1, 2]}, "section": "a"}, "known by its header"),
        ({"columns": ["a"], "header": False, "key": "b"}, "b is not among its columns"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(said: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        declared("x", {"table": {"t": {"files": "*", **said}}}, {}, {})
