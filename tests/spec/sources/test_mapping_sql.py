"""A mapping is one SELECT; where each row stands travels along without the user naming it."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.grammar.errors import InputRefusedError
from medlake.sources.mapping import map_by_sql, with_record
from medlake.sources.views import keep_newest


@pytest.mark.parametrize(
    ("sql", "traced"),
    [
        ("SELECT a FROM t", "SELECT a , t._record FROM t"),
        ("SELECT a FROM t x WHERE a IS DISTINCT FROM 1", "SELECT a , x._record FROM t x WHERE a IS DISTINCT FROM 1"),
        ("SELECT a FROM t UNION ALL SELECT b FROM u", "SELECT a , t._record FROM t UNION ALL SELECT b , u._record FROM u"),
        ("SELECT a, count(*) FROM t GROUP BY a", None),
        ("SELECT DISTINCT a FROM t", None),
        ("SELECT extract(year FROM d) FROM t", "SELECT extract(year FROM d) , t._record FROM t"),
    ],
)
def test_the_origin_is_added_where_a_row_has_one(sql: str, traced: str | None) -> None:
    assert with_record(sql) == (traced or sql)


def test_a_mapping_names_the_column_it_lacks(spark: SparkSession) -> None:
    with pytest.raises(InputRefusedError) as fault:
        map_by_sql("west", "person", "SELECT nope FROM t", {"t": spark.createDataFrame([(1,)], "a int")})
    assert "conf/sources/west/person.sql" in str(fault.value)
    assert "nope" in str(fault.value)


def test_the_newest_record_of_a_key_wins_and_a_deletion_ends_it(spark: SparkSession) -> None:
    told = rows(spark, None, """
        key | batch | row | value | is_deletion
        a   | 1     | 1   | old   | false
        a   | 2     | 1   | new   | false
        b   | 1     | 2   | gone  | false
        b   | 2     | 9   | null  | true
        c   | 1     | 3   | back  | true
        c   | 2     | 4   | again | false
        d   | 1     | 5   | first | false
        d   | 1     | 6   | last  | false
    """, batch="int", row="int", is_deletion="boolean")
    for shuffled in (told, told.orderBy(F.desc("row"))):
        kept = keep_newest(shuffled, partition=["key"], order=[F.col("batch"), F.col("row")])
        assert_rows(kept, """
            key | value
            a   | new
            c   | again
            d   | last
        """)
