"""Figures → verdicts: passed, failed or not applicable, by OHDSI's thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medlake.gate.resolve import Check

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not_applicable"
NOTHING = "no row that it could be told of"
OF_THE_MODEL = ("cdmTable", "cdmField")  # silver does not hold all of OMOP
OF_A_VOCABULARY = ("standardConceptRecordCompleteness", "sourceValueCompleteness")  # where none is configured, all fail


@dataclass(frozen=True)
class Measured:
    """What the scans say of one check. `keys`: a few of the rows that are wrong, by key."""

    n_wrong: int
    n_rows: int
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One check's result."""

    check: Check
    status: str
    measured: Measured
    because: str

    @property
    def percent(self) -> float:
        """Of the rows that count, how many are wrong."""
        return 100.0 * self.measured.n_wrong / self.measured.n_rows if self.measured.n_rows else 0.0

    @property
    def is_by_design(self) -> bool:
        """Whether it tells no more than that silver does not hold a table, a column or any standard concept."""
        return fails_by_design(self.check.name, self.measured.n_wrong, self.measured.n_rows)

    @property
    def stops(self) -> bool:
        """Whether it forbids the publication."""
        return self.status == FAILED and self.check.blocks


def verdict(check: Check, held: Mapping[str, Mapping[str, str]], measured: Measured | None) -> Verdict:
    """The verdict of one check; what is not there at all is told without a scan."""
    a = check.asked
    none = Measured(0, 0)
    if check.name in ("cdmTable", "cdmField"):
        there = a.table in held and (not a.field or a.field in held[a.table])
        what = f"{a.table}.{a.field}".removesuffix(".")
        return Verdict(check, PASSED if there else FAILED, Measured(int(not there), 1), "" if there else f"no {what}")
    if check.why_not:
        return Verdict(check, NOT_APPLICABLE, none, check.why_not)
    if measured is None or not measured.n_rows:
        return Verdict(check, NOT_APPLICABLE, none, NOTHING)
    told = Verdict(check, PASSED, measured, "")
    if told.percent > a.threshold:
        return Verdict(check, FAILED, measured, a.kind.about)
    return told


def fails_by_design(check: str, n_wrong: int, n_rows: int) -> bool:
    """Whether a failure of a check of this type is one of the model's or the vocabulary's, not of the rows."""
    return check in OF_THE_MODEL or (check in OF_A_VOCABULARY and n_wrong == n_rows)


def sentence(told: Verdict) -> str:
    """Why a publication stopped; no value, no key."""
    a = told.check.asked
    m = told.measured
    return (
        f"{a.table}.{a.field} {told.check.name}: {m.n_wrong:,} of {m.n_rows:,} rows ({told.percent:.2f} %, "
        f"at most {a.threshold:g} %). {a.kind.about}"
    )
