"""What only a person's other records of the same code can tell: near duplicates, contradictions, sudden changes."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from medlake.grammar.quality import Rule, flags

# _now and _before: (moment, told, value, unit, at) of this record and of the person's last one of the same code
SAME_MOMENT = "_now.moment = _before.moment"
NEAR = Rule(
    "near_duplicate", f"{SAME_MOMENT} AND _now.told = _before.told", False,
    "Another record says the same of the patient at the same time.", "duplicate",
)  # fmt: skip
CONFLICT = Rule(
    "value_conflict", f"{SAME_MOMENT} AND _now.value <> _before.value AND _now.unit <=> _before.unit", False,
    "Another record gives another value of the same measurement at the same time.", "contradiction",
)  # fmt: skip
CHANGE = Rule(
    "change_implausible",
    "abs(_now.value - _before.value) > expected.change AND _now.unit <=> _before.unit "
    "AND date_diff(_now.at, _before.at) <= expected.within_days", False,
    "The value has changed since the last one by more than a body does in that time.", "implausible change",
)  # fmt: skip
RULES = (NEAR, CONFLICT, CHANGE)


def with_series(judged: DataFrame, near: Sequence[str], time: str, moment: str) -> DataFrame:
    """Judged rows, each fit one flagged beside the last fit one of its person and code.

    `near`: the code and what else makes two records the same; `moment`: to what time is cut (DAY or MINUTE).
    Of records at one moment the first by source, file and line is not flagged.
    """
    has = judged.columns
    value = F.col("value_std") if "value_std" in has else F.lit(None).cast("double")
    unit = F.col("unit_std") if "unit_std" in has else F.lit(None).cast("string")
    now = F.struct(
        F.date_trunc(moment, time).alias("moment"), F.to_json(F.struct(*near)).alias("told"), value.alias("value"),
        unit.alias("unit"), F.to_date(time).alias("at"),
    )  # fmt: skip
    fit = (F.size("reason_codes") == 0) & ~F.col("is_duplicate")
    order = (F.col("_now.moment"), "source", "_record.file", "_record.row", "mapped_row")
    same = Window.partitionBy(fit, "person_id", near[0]).orderBy(*order)
    rules = RULES if "value_std" in has and "expected" in has else (NEAR,)
    beside = judged.withColumn("_now", now).withColumn("_before", F.when(fit, F.lag("_now").over(same)))
    return beside.withColumn("qc", flags(rules)).drop("_now", "_before")
