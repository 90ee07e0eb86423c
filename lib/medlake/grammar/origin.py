"""Where a record stands: the words in which every layer tells which line of which file a row came from."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

STANDS = ("source_table", "file", "file_sha256", "row")
RECORD = "struct<source_table:string,file:string,file_sha256:string,row:bigint>"


def stands() -> Column:
    """`_record`: where the row stands."""
    return F.struct(*STANDS).alias("_record")
