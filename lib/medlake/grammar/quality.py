"""Rules: a record that breaks one is flagged in `qc`, or set aside whole when the rule blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KINDS = (
    "completeness", "type", "range", "vocabulary", "time order", "duplicate", "contradiction", "orphan reference",
    "implausible change", "unit", "privacy",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A named check. `when` is SQL over the row that is true where the rule is broken (null: not broken).

    `kind` is one of KINDS; `because` is a sentence for a clinician. A `…` in the name stands for a column.
    """

    name: str
    when: str
    blocks: bool
    because: str
    kind: str = ""


def flags(rules: Sequence[Rule], before: Column | None = None) -> Column:
    """`qc` (or `before`) with the names of those rules that the row breaks."""
    return F.concat(F.col("qc") if before is None else before, broken(rules, blocking=False))


def broken(rules: Sequence[Rule], *, blocking: bool) -> Column:
    """The names of the broken rules, in the rules' order: array<string>, never null."""
    names = [F.when(F.expr(r.when), F.lit(r.name)) for r in rules if r.blocks is blocking]
    return F.array_compact(F.array(*names)) if names else F.array().cast("array<string>")


def with_verdict(df: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Adds `qc` (flags, appended to those already there) and `reason_codes` (why it must be set aside)."""
    before = F.col("qc") if "qc" in df.columns else F.array().cast("array<string>")
    codes = F.col("reason_codes") if "reason_codes" in df.columns else F.array().cast("array<string>")
    return df.withColumns(
        {
            "qc": F.array_distinct(F.concat(before, broken(rules, blocking=False))),
            "reason_codes": F.array_distinct(F.concat(codes, broken(rules, blocking=True))),
        }
    )
