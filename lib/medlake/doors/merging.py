"""What a merge finds before it writes: what is wrong with the rows it is given, and which of the table they change."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.contract import Promise


def counted(rows: DataFrame, to: Promise, persons: DataFrame | None) -> tuple[int, list[str]]:
    """(the number of rows, what is wrong with them): nulls, persons who are not there, keys that stand twice.

    Of a key only two sums are kept on the way; what is wrong is counted one by one where something is.
    """
    wrong = {f"column {c.name} is null": F.col(c.name).isNull() for c in to.columns.values() if not c.nullable}
    beside = rows
    if persons is not None:
        known = persons.select(F.col("person_id").alias("_known"))
        beside = rows.join(known, rows["person_id"] == known["_known"], how="left")
        wrong["person_id names nobody"] = F.col("person_id").isNotNull() & F.col("_known").isNull()
    seen = beside.agg(
        F.count(F.lit(1)).alias("n"), F.count_distinct(F.struct(*to.key)).alias("n_keys"),
        F.count_if(reduce(Column.__or__, wrong.values(), F.lit(False))).alias("n_wrong"),
    ).first()  # fmt: skip
    assert seen is not None
    faults = []
    if seen["n_wrong"]:
        told = beside.agg(*[F.count_if(fault).alias(said) for said, fault in wrong.items()]).first()
        assert told is not None
        faults = [f"{said} in {told[said]} row(s)" for said in wrong if told[said]]
    if seen["n"] != seen["n_keys"]:
        faults.append(f"key ({', '.join(to.key)}) stands twice in {seen['n'] - seen['n_keys']} row(s)")
    return int(seen["n"]), faults


def difference(table: DataFrame, fresh: DataFrame, to: Promise, scope: Column | None) -> DataFrame:
    """The rows to change: the promise's columns and `change` in insert, update, delete."""
    old = table.select(
        *to.key,
        F.struct(*to.columns).alias("old"),
        (F.lit(True) if scope is None else scope).alias("in_scope"),
    )
    new = fresh.select(*to.key, F.struct(*to.columns).alias("new"))
    change = (
        F.when(F.col("old").isNull(), "insert")
        .when(F.col("new").isNull() & F.col("in_scope"), "delete")
        .when(F.col("new").isNotNull() & ~F.col("old").eqNullSafe(F.col("new")), "update")
    )
    return (
        old.join(new, on=list(to.key), how="full_outer")
        .withColumn("change", change)
        .where(F.col("change").isNotNull())
        .select(F.coalesce("new", "old").alias("row"), "change")
        .select("row.*", "change")
    )
