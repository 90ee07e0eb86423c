"""Table files: header names, tokens, quotes, encodings; a bad record never takes its neighbours along."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from medlake.grammar.errors import ConfigError
from medlake.sources.declared import Source, Table, declared
from medlake.sources.manifest import keep_new, list_files, unread
from medlake.sources.tables import dialect, read_records


def taken(spark: SparkSession, folder: Path, table: Table) -> list[tuple[int, dict[str, str | None] | None, str | None]]:
    """(row, record, reason) of every record of the one file below `folder`."""
    source = Source("here", "csv", "here", (table,), (), None, {})
    roots = spark.createDataFrame([("here", str(folder))], "source string, folder string")
    files = list_files(roots, {"here": source}, batch=1)
    records = read_records(files, {"here": source}, max_line_bytes=1000, max_span_lines=5)
    return sorted((r["row"], r["record"], r["reason_code"]) for r in records.collect())


def codes(found: list[tuple[int, dict[str, str | None] | None, str | None]]) -> dict[int, str | None]:
    return {row: reason for row, _, reason in found}


def test_each_kind_of_broken_record_is_set_aside_and_its_neighbours_are_kept(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        b"id,name\n"
        b"1,Ann\n"
        b"2\n"
        b"3,Bob,x\n"
        b"id,name\n"
        b'4,"open\n'
        b"5,Eve\n"
        b"6,N\x00l\n"
        b"7,\xe9\n"
        b",key\n"
        b'8,"two\nlines"\n'
        b"\n"
        b"9," + b"x" * 2000 + b"\n"
        b"10,\xc3\xa9\n"
    )
    found = taken(spark, tmp_path, Table("a", ("*.csv",), key=("id",)))
    assert codes(found) == {
        2: None, 3: "too_few_fields", 4: "too_many_fields", 5: "second_header", 6: "unclosed_quote", 7: None,
        8: "nul_byte", 9: "encoding", 10: "key_missing", 11: None, 14: "line_too_long", 15: None,
    }  # fmt: skip
    records = {row: record for row, record, _ in found}
    assert records[11] == {"id": "8", "name": "two\nlines"}
    assert records[15] == {"id": "10", "name": "é"}


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_any_line_end_and_gzip_by_content_read_alike(spark: SparkSession, tmp_path: Path, ending: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(gzip.compress(ending.join([b"\xef\xbb\xbfid;v", b"1;a", b"2;?"])))
    found = taken(spark, tmp_path, Table("a", ("*.csv",), null=("?",)))
    assert [record for _, record, _ in found] == [{"id": "1", "v": "a"}, {"id": "2", "v": None}]


def test_an_empty_file_is_told_and_stops_nothing(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "good.csv").write_text("id\n1\n")
    assert sorted(str(reason) for _, _, reason in taken(spark, tmp_path, Table("a", ("*.csv",)))) == ["None", "file_empty"]


def test_text_that_is_mostly_no_utf8_is_windows_1252() -> None:
    assert dialect(Table("a", ()), [b"id,n", "1,Müller".encode("cp1252")]).encoding == "cp1252"
    assert dialect(Table("a", ()), [b"id\tn", "1\tMüller".encode()]).encoding == "utf-8"
    assert dialect(Table("a", ()), [b"id\tn"]).separator == "\t"


def test_a_file_is_known_by_path_and_content(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "_hidden.csv").write_text("id\n1\n")
    (tmp_path / "sub" / ".b.csv").write_text("id\n2\n")
    source = Source("here", "csv", "here", (Table("a", ("**/*.csv",)),), (), None, {})
    roots = spark.createDataFrame([("here", str(tmp_path))], "source string, folder string")
    seen = list_files(roots, {"here": source}, batch=1).localCheckpoint()
    assert sorted(r["file"] for r in seen.collect()) == ["_hidden.csv", "sub/.b.csv"]
    (tmp_path / "_hidden.csv").write_text("id\n3\n")
    again = keep_new(list_files(roots, {"here": source}, batch=2), seen)
    assert [r["file"] for r in again.collect()] == ["_hidden.csv"]


def test_a_content_is_read_once_and_again_where_another_one_stood_in_its_place(spark: SparkSession) -> None:
    columns = "source string, file string, file_sha256 string, batch int"
    earlier = [("s", "a", "one", 1), ("s", "a", "two", 2), ("s", "b", "three", 1)]
    tonight = [("s", "a", "one", 3), ("s", "moved", "three", 3), ("s", "c", "new", 3), ("s", "d", "new", 3), ("t", "b", "three", 3)]
    new = unread(spark.createDataFrame(tonight, columns), spark.createDataFrame(earlier, columns))
    assert sorted((r["source"], r["file"]) for r in new.collect()) == [("s", "a"), ("s", "c"), ("t", "b")]


def test_a_faulty_source_folder_lists_all_its_faults() -> None:
    with pytest.raises(ConfigError) as fault:
        declared("x", {"format": "xls", "colour": 1, "table": {"t": {"wrong": 1}}}, {}, {})
    assert all(word in str(fault.value) for word in ("xls", "colour", "wrong"))
