"""What a mapping reads, and what a new file no longer brings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.tables import assert_rows, rows

from medlake.sources.declared import Source, Table
from medlake.sources.drift import missing_columns, new_columns
from medlake.sources.manifest import list_files
from medlake.sources.reads import columns_read, needed

PEOPLE, RESULTS = Table("people", ("people*",), key=("pid",)), Table("results", ("results*",))


def source(sql: str, view: str | None = None) -> Source:
    return Source("west", "csv", "west", (PEOPLE, RESULTS), (), None, {"person": sql}, views={"v": view} if view else {})


@pytest.mark.parametrize(
    ("sql", "people", "results"),
    [
        ("SELECT a, upper(B) AS c FROM people WHERE d > 1", {"a", "B", "d"}, set()),
        ("SELECT p.a, r.b FROM people p LEFT JOIN results AS r ON r.pid = p.pid", {"a", "pid"}, {"b", "pid"}),
        ("SELECT a FROM people JOIN results ON people.x = results.y", {"x"}, {"y"}),  # whose `a` is cannot be told
        ("SELECT code, val, who FROM people LATERAL VIEW stack(2, 'x', x, 'y', y) AS code, val", {"x", "y", "who"}, set()),
        ("SELECT q.a FROM (SELECT * FROM people WHERE k = '1') q", {"a", "k"}, set()),
        ("SELECT q.z FROM (SELECT a AS z FROM people) q UNION ALL SELECT b FROM results", {"a"}, {"b"}),
        ("WITH c AS (SELECT a FROM people) SELECT a FROM c", {"a"}, set()),
        ("SELECT people._record.row, _record.file FROM people", set(), set()),
        ("SELECT a FROM elsewhere", set(), set()),
        ("SELECT nonsense FROM FROM", set(), set()),
    ],
)
def test_the_columns_that_a_mapping_reads(sql: str, people: set[str], results: set[str]) -> None:
    assert columns_read(source(sql)) == {"people": people, "results": results}


def test_a_view_reads_for_the_mappings_and_optional_columns_may_lack() -> None:
    read = columns_read(source("SELECT z FROM v", view="SELECT a AS z FROM people"))
    assert read["people"] == {"a"}
    table = Table("people", (), key=("PID",), columns=("A", "b", "c"), optional=("B",))
    assert needed(table, read["people"]) == ("A", "c", "PID")


def test_a_file_that_lacks_a_needed_column_is_found_before_it_is_read(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "people1.csv").write_text("pid;sex;born\n1;M;1950\n")
    (tmp_path / "people2.csv").write_text("PID,Sex,borne,shoe\n1,M,1950,44\n")
    (tmp_path / "people3.csv").touch()  # empty: the reader's business
    (tmp_path / "results1.jsonl").write_text('{"b": null}\n')  # a record may leave out what is null
    west = source("SELECT p.pid, p.sex, p.born, r.a FROM people p JOIN results r ON r.b = p.pid")
    roots = spark.createDataFrame([("west", str(tmp_path))], "source string, folder string")
    files = list_files(roots, {"west": west}, batch=1)
    assert_rows(missing_columns(files, {"west": west}, max_line_bytes=1000), """
        source | source_table | column | perhaps | n_files
        west   | people       | born   | borne   | 1
    """)


def test_a_new_column_is_told_once_its_table_is_known_and_a_value_is_not(spark: SparkSession) -> None:
    known = rows(spark, None, """
        source | source_table | column
        west   | people       | pid
    """)
    seen = rows(spark, None, """
        source | source_table | column
        west   | people       | pid
        west   | people       | shoe size
        west   | people       | 1950-03-01
        west   | results      | code
    """)
    found = {r["column"] for r in new_columns(seen, known).collect()}
    assert "shoe size" in found and len(found) == 2
    assert not any("1950" in name for name in found)
