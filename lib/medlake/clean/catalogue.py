"""Every rule that may flag a record or set it aside on its way to silver, by table: what docs/rules.md is made of."""

from __future__ import annotations

from medlake.clean import (
    condition_occurrence,
    death,
    device_exposure,
    drug_exposure,
    imaging_rules,
    imaging_study,
    measurement,
    note,
    observation,
    person,
    procedure_occurrence,
    series,
    specimen,
    visit_occurrence,
)  # fmt: skip
from medlake.clean.codes import malformed
from medlake.clean.judge import OF_TYPES, ORPHAN_VISIT, Event, common_rules
from medlake.grammar.quality import Rule

EVENTS = (
    visit_occurrence.EVENT, condition_occurrence.EVENT, drug_exposure.EVENT, procedure_occurrence.EVENT,
    measurement.EVENT, observation.EVENT, note.EVENT, death.EVENT, device_exposure.EVENT, specimen.EVENT,
)  # fmt: skip
OWN = {
    "measurement": (
        *measurement.VALUE_RULES, *measurement.UNIT_RULES, *measurement.AGE_RULES, series.CONFLICT, series.CHANGE
    ),
    "observation": observation.RULES,
}  # fmt: skip
WITHOUT_VISIT = ("visit_occurrence", "death", "specimen")


def rules_by_table() -> dict[str, tuple[Rule, ...]]:
    """Table → its rules in the order in which they are looked at."""
    found: dict[str, tuple[Rule, ...]] = {event.table: _of(event) for event in EVENTS}
    found["person"] = (*OF_TYPES, *person.RULES, *person.CONFLICTS)
    found["imaging_study"] = (imaging_study.UNDATED, imaging_study.STRANGERS, *imaging_rules.STUDY)
    found["imaging_instance"] = imaging_rules.INSTANCE
    found["series_geometry"] = imaging_rules.SERIES
    found["image_annotation"] = imaging_rules.ANNOTATION
    return found


def _of(event: Event) -> tuple[Rule, ...]:
    codes = malformed(event.vocabulary, event.code or "") if event.vocabulary else ()
    near = (series.NEAR,) if event.near else ()
    visit = () if event.table in WITHOUT_VISIT else (ORPHAN_VISIT,)
    return (*OF_TYPES, *common_rules(event), *codes, *event.rules, *OWN.get(event.table, ()), *near, *visit)
