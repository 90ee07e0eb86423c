"""The quality gate at work: checks computed of silver tables, and no publication of what would break its readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medlake.doors.lake import Audit
from medlake.doors.settings import Conf
from medlake.gate.definitions import Definitions, definitions
from medlake.gate.groups import CONCEPTS, DESCENDANTS, PLACES, TARGET, looked_up, of_descendants
from medlake.gate.resolve import Check, resolved
from medlake.gate.scan import ScanPlan, all_targets, group_items, measured, row_figures, scan_plan
from medlake.gate.verdict import Verdict, sentence, verdict
from medlake.grammar.contract import all_promises, promise
from medlake.grammar.errors import QualityGateError
from medlake.privacy.shift_dates import OLDEST_AGE
from medlake.steps.context import Context
from medlake.steps.settled import Once, few

Tables = Mapping[str, DataFrame]
PUBLISHED, CANDIDATE = "published", "candidate"


def asked(conf: Conf) -> Definitions:
    """conf/quality."""
    return definitions(*[conf.toml("quality", f"{name}.toml") for name in ("checks", "fields", "concepts")])


def silver_held(said: Definitions) -> dict[str, dict[str, str]]:
    """OMOP's tables that silver promises: table → column → Spark's type."""
    known = {name: f"silver.{name}" for name in said.asked if f"silver.{name}" in all_promises()}
    return {n: {f.name: f.dataType.simpleString() for f in promise(p).schema.fields} for n, p in known.items()}


def silver_checks(said: Definitions) -> list[Check]:
    """Every check of OMOP's tables in silver, from the promises alone."""
    held = silver_held(said)
    firm = {n: [c.name for c in promise(f"silver.{n}").columns.values() if not c.nullable] for n in held}
    return resolved(said, held, firm)


def evaluated(
    spark: SparkSession, said: Definitions, checks: Sequence[Check], tables: Tables, beside: Tables,
    *, as_of: date, oldest_year: int | None = None,
) -> list[Verdict]:  # fmt: skip
    """The verdicts of the checks of `tables`, in one Spark job that reads each of them twice.

    `beside`: what they refer to. `oldest_year`: see `persons_of`.
    """
    held = {name: {f.name: f.dataType.simpleString() for f in rows.schema.fields} for name, rows in tables.items()}
    keys = {n: said.keys.get(n) or _own_key(held[n]) for n in held}
    plan = scan_plan(checks, held, keys, as_of=as_of)
    figures = figures_of(spark, plan, tables, beside, oldest_year=oldest_year)
    rows = figures.limit(1_000_000).collect()  # bounded by the checks, not by the rows
    found = measured(plan, [(row["code"], row["n"], row["keys"]) for row in rows])
    return [verdict(check, held, found.get(check.number)) for check in checks]


def figures_of(
    spark: SparkSession, plan: ScanPlan, tables: Tables, beside: Tables, *, oldest_year: int | None = None
) -> DataFrame:
    """(code, n, keys): everything that the plan's checks are judged by, in two scans of each table."""
    told = [row_figures(plan, tables, beside, oldest_year=oldest_year)]
    items = group_items(plan, tables, beside)
    if items is not None:
        rules = spark.createDataFrame([r.as_row() for r in plan.rules], CONCEPTS)
        if plan.descendants:
            below = spark.createDataFrame([r.as_row() for r in plan.descendants], DESCENDANTS)
            rules = rules.unionByName(of_descendants(below, beside["concept_ancestor"]))
        places = spark.createDataFrame([p.as_row() for p in plan.places], PLACES)
        known = all_targets(plan, beside)
        told.append(looked_up(items, places, spark.createDataFrame([], TARGET) if known is None else known, rules))
    return reduce(DataFrame.unionByName, told)


def _own_key(columns: Mapping[str, str]) -> str:
    return "person_id" if "person_id" in columns else next(iter(columns))


def oldest_year(ctx: Context) -> int:
    """Silver's years of birth up to this one stand for any earlier: ages above 90 show as 90."""
    return ctx.night.as_of.year - OLDEST_AGE


COUNTED = ("isPrimaryKey", "isRequired")  # what every merge counts anyway


def of_person_id(check: Check) -> bool:
    """Whether it is the check that a merge counts with the persons at hand."""
    return check.name == "isForeignKey" and check.asked.field == "person_id"


class Gate:
    """Write, audit, publish: what a build is about to publish is audited first.

    `persons` is asked for once silver.person stands, and does not change after that.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx, self.said = ctx, asked(ctx.conf)
        self.checks = [check for check in silver_checks(self.said) if check.blocks]
        self.persons = Once(lambda: few(ctx.lake.read("silver.person").select("person_id").distinct()))

    def of(self, table: str) -> Audit | None:
        """The audit of a silver table's candidate rows; None: no check of it blocks."""
        checks = [check for check in self.checks if check.asked.table == table]
        if not checks:
            return None
        of_person = any(of_person_id(check) for check in checks)
        return Audit(
            judge=lambda candidate: self._audit(table, checks, candidate),
            persons=self.persons if of_person else None,
            always=any(check.name not in COUNTED and not of_person_id(check) for check in checks),
        )

    def _audit(self, table: str, checks: Sequence[Check], candidate: DataFrame) -> None:
        """Raises:
        QualityGateError: a blocking check fails; nothing was written, what was published stays.
        """
        ctx = self.ctx
        persons = candidate if table == "person" else ctx.lake.read("silver.person")
        beside = {"person": persons}
        told = evaluated(ctx.spark, self.said, checks, {table: candidate}, beside, as_of=ctx.night.as_of)
        stopped = [v for v in told if v.stops]
        if stopped:
            with ctx.lock:
                write_verdicts(ctx, stopped, CANDIDATE)
            version = ctx.lake.version(f"silver.{table}")
            left = "it has never been published" if version is None else f"version {version} stays as it was"
            faults = "\n".join(f"  - {sentence(v)}" for v in stopped)
            raise QualityGateError(
                f"silver.{table} is not published, {left}:\n{faults}\n"
                f"The keys of some of these rows: medlake sql \"SELECT field, sample_keys FROM ops.dq_check "
                f"WHERE stage = '{CANDIDATE}'\". Which checks block is said in conf/quality/checks.toml."
            )


def write_verdicts(ctx: Context, told: Sequence[Verdict], stage: str) -> None:
    """ops.dq_check, each beside the figure of the last night before."""
    to = promise("ops.dq_check")
    night = ctx.night.number
    columns = [c for c in to.columns if c != "percent_before"]
    rows = ctx.spark.createDataFrame([as_row(v, night, stage) for v in told], to.schema).select(*columns)
    by = [k for k in to.key if k != "night_id"]
    earlier = ctx.lake.read("ops.dq_check").where((F.col("night_id") < night) & (F.col("stage") == PUBLISHED))
    last = earlier.groupBy(*by).agg(F.max_by("percent_violated", "night_id").alias("percent_before"))
    ctx.lake.merge("ops.dq_check", rows.join(last, on=by, how="left").select(*to.columns), keep=True)


def as_row(v: Verdict, night: int, stage: str) -> tuple[object, ...]:
    """A row of ops.dq_check without what was before."""
    a, m = v.check.asked, v.measured
    kind = a.kind
    of = (kind.level, kind.category, kind.subcategory, kind.context, v.status, stage, v.check.blocks)
    figures = (float(a.threshold), m.n_wrong, m.n_rows, v.percent, None, v.because, list(m.keys))
    return (night, a.table, kind.name, a.field, a.concept, *of, *figures)
