"""All quality checks of OMOP tables in two scans, beside one query per check: seconds, and whether both find the same.

`python -m benchmarks.quality [--copies N] [--every K] [--codegen]`: the tables of tests/spec/gate with defects, N times
over (160 rows a table each), as Parquet. After a cold turn of both, medlake computes every check and a third of the
single queries is run (written as the Data Quality Dashboard's: one count a query; of all of them every K-th), three
times in turn. Same session, same two cores, same files. The ratio is what all single queries would take (those measured
times K) to the median of medlake's; on a machine that others use too the CPU seconds are what to look at.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.spec.gate.omop_rows import AS_OF, TABLES, Database, N, planted

from benchmarks.harness import machine
from medlake.doors import session
from medlake.doors.settings import Conf
from medlake.gate.definitions import Definitions
from medlake.gate.groups import BESIDE, SEX, eras_missing, periods_overlapping
from medlake.gate.resolve import Check, resolved
from medlake.gate.rows import conditions_of, with_neighbours
from medlake.steps.gate import asked, evaluated

Tables = dict[str, DataFrame]
TURNS = 3
STATIC = ("cdmTable", "cdmField")  # told without a query by both


class Spent:
    """Seconds of the clock, and of the processors in this process and Spark's."""

    def __enter__(self) -> Spent:
        self._began, self._cpu = time.perf_counter(), self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._began, self._now() - self._cpu

    @staticmethod
    def _now() -> float:
        total, left = 0.0, [str(os.getpid())]
        while left:
            one = left.pop()
            try:
                told = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
                total += (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
                for task in Path(f"/proc/{one}/task").iterdir():
                    left += (task / "children").read_text().split()
            except OSError:  # it is gone
                continue
        return total


def enlarged(spark: SparkSession, said: Definitions, copies: int, folder: Path) -> Tables:
    """The tables with defects, written N times over: every copy has persons, visits and rows of its own."""
    db = Database(said)
    planted(db)
    made = {}
    for name, rows in db.frames(spark).items():
        if name in TABLES:
            own = {
                a.field
                for a in said.asked[name]
                if a.kind.name in ("isPrimaryKey", "isForeignKey") and not a.argument.startswith("concept")
            }
            columns = [
                (F.col(c) + F.col("copy") * 10 * N).alias(c) if c in own | {"person_id"} else F.col(c)
                for c in rows.columns
            ]
            rows = rows.crossJoin(spark.range(copies).withColumnRenamed("id", "copy")).select(*columns)
        rows.repartition(2).write.parquet(str(folder / name))
        made[name] = spark.read.parquet(str(folder / name))
    return made


def single(check: Check, tables: Tables) -> DataFrame:
    """One check as a query of its own: (n_wrong, n)."""
    a, rows = check.asked, tables[check.asked.table]
    told = conditions_of(check, dict(rows.dtypes), AS_OF)
    person = tables["person"].select(
        "person_id", F.col("gender_concept_id").alias("_sex"), F.to_date("birth_datetime").alias("_born")
    )
    if told is not None:
        wrong, of = told
        every = f"{wrong} {of}"
        visit = tables["visit_occurrence"].select(
            "visit_occurrence_id",
            F.to_date("visit_start_date").alias("_began"),
            F.to_date("visit_end_date").alias("_ended"),
        )
        beside = with_neighbours(
            rows, persons=person if "_born" in every else None, visits=visit if "_began" in every else None,
            deaths=tables["death"].select("person_id", F.to_date("death_date").alias("_died")) if "_died" in every else None,  # noqa: E501
        )  # fmt: skip
        return beside.agg(
            F.count_if(F.expr(f"({of}) AND ({wrong})")).alias("n_wrong"), F.count_if(F.expr(of)).alias("n")
        )
    f = F.col(a.field) if a.field else F.lit(None)
    if check.name == "isPrimaryKey":
        n = rows.groupBy(a.field).count()
        return n.agg(
            F.sum(F.when(F.col("count") > 1, F.col("count")).otherwise(0)).alias("n_wrong"), F.sum("count").alias("n")
        )
    if check.name == "isForeignKey":
        other, _, column = a.argument.partition(".")
        keys = tables[other].select(F.col(column).alias("_key"))
        return rows.join(keys, f == F.col("_key"), "left").agg(
            F.count_if(f.isNotNull() & F.col("_key").isNull()).alias("n_wrong"), F.count("*").alias("n")
        )
    if check.name in ("fkDomain", "fkClass", "isStandardValidConcept"):
        wrong = {"fkDomain": F.col("domain_id") != a.argument, "fkClass": F.col("concept_class_id") != a.argument,
                 "isStandardValidConcept": F.coalesce(F.col("standard_concept") != "S", F.lit(True)) | F.col("invalid_reason").isNotNull()}[check.name]  # fmt: skip  # noqa: E501
        joined = rows.join(tables["concept"], f == F.col("concept_id"), "left")
        return joined.agg(
            F.count_if(F.col("concept_id").isNotNull() & (f != 0) & wrong).alias("n_wrong"), F.count("*").alias("n")
        )
    if check.name == "sourceValueCompleteness":
        by = rows.where(f.isNotNull()).groupBy(a.field).agg(F.bool_or(F.col(a.argument) == 0).alias("zero"))
        return by.agg(F.count_if("zero").alias("n_wrong"), F.count("*").alias("n"))
    if check.name == "measurePersonCompleteness":
        with_any = rows.select("person_id", F.lit(True).alias("_any")).distinct()
        return (
            tables["person"]
            .join(with_any, "person_id", "left")
            .agg(F.count_if(F.col("_any").isNull()).alias("n_wrong"), F.count("*").alias("n"))
        )
    if check.name in BESIDE:
        return _of_concept(check, rows, person, tables)
    sets = (
        eras_missing(tables["condition_occurrence"], rows, 1, 2)
        if "Era" in check.name
        else periods_overlapping(rows, 1, 2)
    )
    return sets.agg(F.count_if(F.array_contains("codes", 1)).alias("n_wrong"), F.count("*").alias("n"))


def _of_concept(check: Check, rows: DataFrame, person: DataFrame, tables: Tables) -> DataFrame:
    a = check.asked
    chosen = rows.where(F.col(a.field).isin(*a.ids))
    if check.name.endswith("UseDescendants"):
        below = (
            tables["concept_ancestor"]
            .where(F.col("ancestor_concept_id").isin(*a.ids))
            .select(F.col("descendant_concept_id").alias(a.field))
            .distinct()
        )
        chosen = rows.join(below, a.field, "left_semi")
    if check.name == "plausibleUnitConceptIds":
        chosen = chosen.where("value_as_number IS NOT NULL")
    else:
        chosen = chosen.join(person, "person_id", "left")
    value = F.expr(BESIDE[check.name])
    right = SEX.get(a.argument, a.argument).split(",")
    return chosen.agg(F.count_if(value.isNotNull() & ~value.isin(*right)).alias("n_wrong"), F.count("*").alias("n"))


def main(copies: int, every: int, codegen: bool) -> float:
    """Print the figures; returns the ratio."""
    small = {"spark.master": "local[2]", "spark.driver.memory": "3g"}
    if codegen:
        small |= {**session.GENERATED, "spark.driver.extraJavaOptions": "-XX:+UseParallelGC"}
    said = asked(Conf())
    print(machine())
    with tempfile.TemporaryDirectory(prefix="medlake-quality-") as work:
        spark = session.start("quality", {**Conf().spark("local"), **small})
        tables = enlarged(spark, said, copies, Path(work))
        held = {name: dict(rows.dtypes) for name, rows in tables.items()}
        checks = [c for c in resolved(said, held, {}) if not c.why_not and c.name not in STATIC]
        verdicts = evaluated(spark, said, checks, tables, tables, as_of=AS_OF)  # cold
        for name in {c.name: c for c in checks}:
            single(next(c for c in checks if c.name == name), tables).collect()
        found = {v.check.number: v.measured.n_wrong for v in verdicts}
        some = checks[::every]
        ours, theirs, other = [], [], []
        for turn in range(TURNS):  # one after the other, so that whatever else the machine does hits both
            with Spent() as spent:
                evaluated(spark, said, checks, tables, tables, as_of=AS_OF)
            ours.append(spent)
            with Spent() as spent:
                for check in some[turn::TURNS]:
                    row = single(check, tables).first()
                    if row is None or row["n_wrong"] != found[check.number]:
                        other.append((check.name, check.asked.table, check.asked.field, row, found[check.number]))
            theirs.append(spent)
        spark.stop()
    print(
        f"{len(checks):,} checks of {len(tables)} tables, {N * copies:,} rows each; codegen {'on' if codegen else 'off'}"  # noqa: E501
    )
    ratios = {}
    for kind in ("seconds", "cpu_seconds"):
        own = statistics.median(getattr(s, kind) for s in ours)
        one = sum(getattr(s, kind) for s in theirs) / len(some)
        ratios[kind] = one * len(checks) / own
        print(
            f"{kind}: medlake {own:.1f} for all; one query per check {one:.2f} each ({len(some)} run), {one * len(checks):.0f} for all"  # noqa: E501
        )
    print(f"same number of wrong rows: {len(some) - len(other)} of {len(some)}")
    print(*other[:10], sep="\n")
    print(f"RATIO {ratios['seconds']:.1f} in seconds, {ratios['cpu_seconds']:.1f} in CPU seconds")
    return ratios["seconds"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--copies", type=int, default=1000)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--codegen", action="store_true")
    given = parser.parse_args()
    main(given.copies, given.every, given.codegen)
