"""Defects planted into clean OMOP tables are found, and clean ones raise no alarm. Figures are printed with -s."""

from __future__ import annotations

from collections import Counter

import pytest
from pyspark.sql import SparkSession
from tests.spec.gate.omop_rows import AS_OF, Database, Defect, planted

from medlake.doors.settings import Conf
from medlake.gate.resolve import resolved
from medlake.gate.verdict import FAILED, NOT_APPLICABLE, Verdict, verdict
from medlake.steps.gate import asked, evaluated

SAID = asked(Conf())
HELD_BY_PLAN = ("cdmTable", "cdmField")  # told without a scan


def judged(spark: SparkSession, db: Database) -> list[Verdict]:
    tables = db.frames(spark)
    held = {name: {f.name: f.dataType.simpleString() for f in rows.schema.fields} for name, rows in tables.items()}
    return evaluated(spark, SAID, resolved(SAID, held, {}), tables, tables, as_of=AS_OF)


@pytest.fixture(scope="module")
def clean(spark: SparkSession) -> list[Verdict]:
    return judged(spark, Database(SAID))


def test_clean_tables_raise_no_alarm(clean: list[Verdict]) -> None:
    told = [v for v in clean if v.status != NOT_APPLICABLE and v.check.asked.table not in ("concept", "concept_ancestor")]
    alarms = [v for v in told if v.status == FAILED and v.check.name not in HELD_BY_PLAN]
    print(f"\nclean data: {len(told):,} checks, {len(alarms)} false alarms ({100 * len(alarms) / len(told):.2f} %)")
    assert len(told) > 1000
    assert len(alarms) <= 0.01 * len(told), [(v.check.name, v.check.asked.table, v.check.asked.field, v.measured) for v in alarms]


def test_planted_defects_are_found(spark: SparkSession, clean: list[Verdict]) -> None:
    db = Database(SAID)
    want = planted(db)
    have = {Defect(v.check.name, v.check.asked.table, v.check.asked.field, v.check.asked.concept): v for v in judged(spark, db)}
    before = {Defect(v.check.name, v.check.asked.table, v.check.asked.field, v.check.asked.concept): v.measured.n_wrong for v in clean}
    n, found, missed = Counter(), Counter(), []
    for defect, rows in want.items():
        seen = min(rows, have[defect].measured.n_wrong - before.get(defect, 0))
        n[defect.check] += rows
        found[defect.check] += seen
        missed += [(defect, rows, seen)] if seen < rows else []
        assert seen == 0 or have[defect].measured.keys or defect.check == "measurePersonCompleteness", f"{defect}: no keys"
    for kind, (rows, seen) in without_scan().items():
        n[kind], found[kind] = rows, seen
    print("\n" + "\n".join(f"{kind:36} {found[kind]:3} of {n[kind]:3} found" for kind in SAID.kinds))
    print(f"all: {sum(found.values())} of {sum(n.values())} found, {len(n)} types")
    assert set(n) == set(SAID.kinds) and len(n) == 27 and min(n.values()) >= 8
    assert sum(found.values()) >= 0.95 * sum(n.values()) and all(found[k] >= 0.95 * n[k] for k in n), missed


def without_scan() -> dict[str, tuple[int, int]]:
    """Tables and columns that are missing: eight of each are taken away."""
    whole = {name: {a.field: "bigint" for a in asked_for if a.field} for name, asked_for in SAID.asked.items()}
    lost = sorted(whole)[:8]
    held = {name: fields for name, fields in whole.items() if name not in lost}
    names = sorted(held)[:8]
    gone = {name: next(iter(held[name])) for name in names}
    held = {name: {f: kind for f, kind in fields.items() if f != gone.get(name)} for name, fields in held.items()}
    told = [verdict(check, held, None) for check in resolved(SAID, held, {}) if check.name in HELD_BY_PLAN]
    failed = {(v.check.name, v.check.asked.table, v.check.asked.field) for v in told if v.status == FAILED}
    assert failed == {("cdmTable", name, "") for name in lost} | {("cdmField", *at) for at in gone.items()}
    return {"cdmTable": (8, 8), "cdmField": (8, 8)}
