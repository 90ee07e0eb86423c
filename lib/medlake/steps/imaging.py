"""Imaging tables: DICOM objects and pictures staged by series and study; the visit and procedure of each study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.clean.image_annotation import stage_annotations
from medlake.clean.image_occurrence import stage_series
from medlake.clean.imaging_instance import stage_instances
from medlake.clean.imaging_link import linked
from medlake.clean.imaging_study import stage_studies
from medlake.clean.judge import Event, Vault, mapped_union, typed, visit_name
from medlake.clean.missing_objects import missing_objects
from medlake.clean.series_acquisition import stage_acquisitions
from medlake.clean.series_geometry import stage_geometry
from medlake.doors.lake import Within
from medlake.grammar.contract import promise
from medlake.grammar.quality import Rule
from medlake.privacy.pseudonym import keyed_id
from medlake.privacy.shift_dates import shifted
from medlake.steps.context import Context
from medlake.steps.settled import settled
from medlake.steps.sources import Mapped

MADE_LATER = (
    "person_id", "visit_occurrence_id", "image_occurrence_id", "source", "procedure_occurrence_id", "visit_link_rule",
    "procedure_link_rule",
)  # fmt: skip
OF_IMAGES = ("dicom", "raster")  # formats of sources that bring images themselves


def _event(table: str, *identity: str, time: str | None = None, visit: bool = False) -> Event:
    to = promise(f"silver.{table}")
    columns = {n: c.type for n, c in to.columns.items() if n not in MADE_LATER}
    named = {"visit_source_value": "string"} if visit else {}
    return Event(
        table, {"person_source_value": "string", **named, **columns}, ("person_source_value", *identity), time,
        identity=identity,
    )  # fmt: skip


FILE_MISSING = Rule(
    "dicom_file_missing", "is_missing", True, "A DICOMDIR names it, and it did not come.", "completeness"
)
STUDY = _event("imaging_study", "study_uid", time="study_at", visit=True)
SERIES = _event("image_occurrence", "series_uid", time="series_at")
_WHOLE = _event("imaging_instance", "sop_instance_uid")
INSTANCE = replace(
    _WHOLE,
    mapped={**_WHOLE.mapped, "is_missing": "boolean"},
    rules=(FILE_MISSING,),
)
ACQUISITION = _event("series_acquisition", "series_uid")
GEOMETRY = _event("series_geometry", "series_uid")
ANNOTATION = _event("image_annotation", "sop_instance_uid", "item")
IMAGING = (STUDY, SERIES, INSTANCE, ACQUISITION, GEOMETRY, ANNOTATION)
STAGES: dict[str, Callable[[DataFrame], DataFrame]] = {
    STUDY.table: stage_studies,
    SERIES.table: stage_series,
    INSTANCE.table: stage_instances,
    ACQUISITION.table: stage_acquisitions,
    GEOMETRY.table: stage_geometry,
    ANNOTATION.table: stage_annotations,
}
# What a record system tells of a study: whose it is, its numbers, the visit and the procedure it belongs to.
ORDER = Event(
    "imaging_study",
    dict.fromkeys(
        ("person_source_value", "visit_source_value", "study_uid", "accession", "procedure_source_value"), "string"
    ),
    ("person_source_value",),
    None,
)


def staged(ctx: Context, mapped: Mapped, event: Event) -> DataFrame | None:
    """The rows of one imaging table from all sources of images; None where none came in yet."""
    parts = mapped.fit(event, {n: p for n, p in mapped.of(event.table).items() if mapped.sources[n].format == "raster"})
    present = [s for s in mapped.sources.values() if s.format == "dicom" and s.name in mapped.present]
    if present:
        rows = STAGES[event.table](mapped.bronze["dicom_object"])
        if event is INSTANCE:
            here, files = ctx.lake.read("bronze.dicom_object"), ctx.lake.read("bronze.landing_file")
            lost = missing_objects(mapped.bronze["dicom_directory"], here, files)
            rows = rows.unionByName(lost, allowMissingColumns=True)
        for s in present:
            parts[s.name] = (s.patient_source, rows.where(F.col("source") == s.name).drop("source"))
    return mapped.kept(mapped_union(event, parts)) if parts else None


def with_links(ctx: Context, mapped: Mapped, vault: Vault, studies: DataFrame, within: Within) -> DataFrame:
    """Fit judged studies with their visit and procedure, and the rules by which they were found (see `linked`).

    `within`: chooses those of a table's rows that are of the studies' persons.
    """
    chosen = ctx.settings.imaging
    visits = within(ctx.lake.read("silver.visit_occurrence")).select(
        "person_id", "visit_occurrence_id", "visit_start_datetime", "visit_end_datetime"
    )
    is_imaging = F.coalesce(F.col("procedure_source_name").rlike(chosen.procedure_name), F.lit(False))
    procedures = within(ctx.lake.read("silver.procedure_occurrence")).select(
        "person_id", "procedure_occurrence_id", "procedure_datetime", is_imaging.alias("is_imaging")
    )
    whole = studies.withColumns(
        {
            "at": shifted(F.col("study_at"), T.TimestampType(), F.col("shift_days")),
            "named_visit_id": keyed_id(F.col("event_key"), F.col("visit_name")),
        }
    ).drop("visit_name", "visit_occurrence_id", "procedure_occurrence_id", "visit_link_rule", "procedure_link_rule")
    return linked(whole, settled(_orders(mapped, vault)), visits, procedures, hours=chosen.link_hours).drop("at")


def _orders(mapped: Mapped, vault: Vault) -> DataFrame:
    """(person_id, study_uid, accession, visit_occurrence_id, procedure_occurrence_id) as the record systems say."""
    told = {n: p for n, p in mapped.of(ORDER.table).items() if mapped.sources[n].format not in OF_IMAGES}
    parts = mapped.fit(ORDER, told)
    if not parts:
        ids = "person_id bigint, visit_occurrence_id bigint, procedure_occurrence_id bigint"
        return vault.keys.sparkSession.createDataFrame([], f"{ids}, study_uid string, accession string")
    rows = typed(mapped_union(ORDER, parts), ORDER).join(
        vault.keys, on=["patient_source", "person_source_value"], how="inner"
    )
    own = F.to_json(F.struct(F.col("procedure_source_value").alias("event_source_value"))).alias("own")
    kind = F.lit("procedure_occurrence").alias("kind")
    procedure = F.to_json(F.struct(kind, F.col("source"), F.col("person_source_value"), own))
    named = F.when(F.col("procedure_source_value").isNotNull(), procedure)
    return rows.select(
        "person_id", F.regexp_replace("study_uid", "^urn:oid:", "").alias("study_uid"), "accession",
        keyed_id(F.col("event_key"), visit_name()).alias("visit_occurrence_id"),
        keyed_id(F.col("event_key"), named).alias("procedure_occurrence_id"),
    )  # fmt: skip


def with_visit_of_study(series: DataFrame, studies: DataFrame) -> DataFrame:
    """Series with the visit of their study (both as the open zone has them)."""
    visits = studies.select("study_uid", "visit_occurrence_id")
    return series.drop("visit_occurrence_id").join(visits, on="study_uid", how="left")


def originals(mapped: Mapped) -> list[DataFrame]:
    """(uid) of what stands for UIDs in pictures, which have none: what the open zone's UIDs were made of."""
    rows = [p[1] for n, p in mapped.of(INSTANCE.table).items() if mapped.sources[n].format == "raster"]
    uids = F.explode(F.array("study_uid", "series_uid", "sop_instance_uid")).alias("uid")
    return [reduce(DataFrame.unionByName, [r.select(uids) for r in rows])] if rows else []
