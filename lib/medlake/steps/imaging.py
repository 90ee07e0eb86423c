"""Imaging tables: DICOM objects staged by series and study, the visit from FHIR's ImagingStudy."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.image_occurrence import stage_series
from medlake.clean.imaging_instance import stage_instances
from medlake.clean.imaging_study import stage_studies
from medlake.clean.judge import Event, mapped_union
from medlake.grammar.contract import promise
from medlake.steps.context import Context
from medlake.steps.sources import Mapped

MADE_LATER = ("person_id", "visit_occurrence_id", "image_occurrence_id", "source")


def _event(table: str, uid: str, time: str | None) -> Event:
    to = promise(f"silver.{table}")
    columns = {n: c.type for n, c in to.columns.items() if n not in MADE_LATER}
    visit = {"visit_source_value": "string"} if "visit_occurrence_id" in to.columns else {}
    return Event(
        table,
        {"person_source_value": "string", **visit, **columns},
        ("person_source_value", uid),
        time,
        identity=(uid,),
    )


STUDY = _event("imaging_study", "study_uid", "study_at")
SERIES = _event("image_occurrence", "series_uid", "series_at")
INSTANCE = _event("imaging_instance", "sop_instance_uid", None)
IMAGING = (STUDY, SERIES, INSTANCE)


def staged(ctx: Context, mapped: Mapped, event: Event) -> DataFrame | None:
    """The rows of one imaging table from all DICOM sources; None where no object came in yet."""
    if not any(s.format == "dicom" and s.name in mapped.present for s in mapped.sources.values()):
        return None
    objects = mapped.bronze["dicom_object"]
    links = [
        rows.select("study_uid", "visit_source_value") for _, rows in mapped.of("imaging_study").values()
    ]
    visits = None
    for rows in links:
        visits = rows if visits is None else visits.unionByName(rows)
    make: dict[str, Callable[[], DataFrame]] = {
        STUDY.table: lambda: stage_studies(objects, visits),
        SERIES.table: lambda: stage_series(objects, visits),
        INSTANCE.table: lambda: stage_instances(objects),
    }
    rows = make[event.table]()
    parts = {
        s.name: (s.patient_source, rows.where(F.col("source") == s.name).drop("source"))
        for s in mapped.sources.values()
        if s.format == "dicom" and s.name in mapped.present
    }
    return mapped.kept(mapped_union(event, parts))
