"""Whose a record of bronze is, and which records may stand for one another: what a night's news can touch.

Every bronze table is told in the same few columns (`owned`), so that the steps can find the patients whom new records
concern, and then every record that can change what silver says of these patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.sources.declared import Source

PATIENT = ("patient_source", "person_source_value")
BLANKS = " \t\r\n\u00a0"
# FHIR resources that belong to no patient, but may be joined to those that do.
WITHOUT_PATIENT = (
    "Medication", "Organization", "Location", "Practitioner", "PractitionerRole", "HealthcareService", "Substance",
)  # fmt: skip
NOBODY = ""  # the patient of a record that names none


def owned(bronze: DataFrame, name: str, sources: Mapping[str, Source]) -> DataFrame:
    """Of each record of a bronze table (`name` without layer), its columns and three more.

    patient_source and person_source_value: whose it is (`NOBODY` where it names nobody). `is_shared`: it belongs to
    no patient, any patient's rows may hang on it. `names`: records that share one of these stand for one thing, as
    versions of a resource or objects of an examination do.
    """
    told = _FORMS[name](bronze, sources)
    patients = {s.name: s.patient_source for s in sources.values()}
    owner = F.element_at(_literal(patients), F.col("source")) if patients else F.lit(None).cast("string")
    key = F.coalesce(F.trim(F.col("_patient"), F.lit(BLANKS)), F.lit(NOBODY))
    return told.withColumns(
        {"patient_source": F.coalesce(owner, "source"), "person_source_value": key,
         "is_shared": F.coalesce("is_shared", F.lit(False))}
    ).drop("_patient")  # fmt: skip


def touched(every: DataFrame, news: DataFrame) -> DataFrame:
    """The patients (PATIENT, distinct) whom the `news` concern: their own, and those of what they stand for."""
    named = news.select(F.explode("names").alias("name")).distinct()
    others = every.select(*PATIENT, F.explode("names").alias("name")).join(named, on="name", how="left_semi")
    return news.select(*PATIENT).unionByName(others.select(*PATIENT)).distinct()


def needed(every: DataFrame, patients: DataFrame, whole: Sequence[str]) -> DataFrame:
    """The records from which all rows of the `patients` are made: theirs, what shares a name, what is shared.

    And every record of the sources in `whole`.
    """
    theirs = every.join(patients, on=list(PATIENT), how="left_semi")
    named = theirs.select(F.explode("names").alias("name")).distinct()
    place = ("source", "file_sha256", "row", "batch")
    by_name = every.select(*place, F.explode("names").alias("name")).join(named, on="name", how="left_semi")
    is_loose = F.col("is_shared") | (F.col("person_source_value") == NOBODY) | F.col("source").isin(list(whole))
    loose = every.where(is_loose).select(*place)
    chosen = by_name.select(*place).unionByName(loose).unionByName(theirs.select(*place)).distinct()
    columns = [c for c in every.columns if c not in (*PATIENT, "names", "is_shared")]
    return every.join(chosen, on=list(place), how="left_semi").select(*columns)


def only_of(rows: DataFrame, patients: DataFrame, whole: Sequence[str]) -> DataFrame:
    """Those of the rows (PATIENT, source) that are of the `patients`, of nobody, or of a source in `whole`."""
    key = F.coalesce(F.trim(F.col("person_source_value"), F.lit(BLANKS)), F.lit(NOBODY))
    wanted = patients.select("patient_source", F.col("person_source_value").alias("_key"), F.lit(True).alias("_is"))
    marked = rows.withColumn("_key", key).join(wanted, on=["patient_source", "_key"], how="left")
    chosen = F.col("_is") | (F.col("_key") == NOBODY) | F.col("source").isin(list(whole))
    return marked.where(chosen).select(*rows.columns)


def _of_tables(bronze: DataFrame, sources: Mapping[str, Source]) -> DataFrame:
    tables = {f"{s.name}/{t.name}": t for s in sources.values() for t in s.tables}
    place = F.concat_ws("/", "source", "source_table")
    keys = {name: t.key for name, t in tables.items() if t.key}
    patient = {name: t.patient for name, t in tables.items() if t.patient}
    column = F.element_at(_literal(patient), place) if patient else F.lit(None).cast("string")
    values = F.transform(_lists(keys, place), lambda c: F.col("record")[c])
    own = F.to_json(F.struct(place.alias("place"), values.alias("key")))
    line = F.to_json(F.struct("file_sha256", "row"))
    return bronze.withColumns(
        {"_patient": F.col("record")[column], "is_shared": column.isNull(),
         "names": F.array(F.coalesce(F.when(values.isNotNull(), own), line))}
    )  # fmt: skip


def _of_resources(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    shared = F.col("patient_key").isNull() & F.col("resource_type").isin(*WITHOUT_PATIENT)
    name = F.to_json(F.struct("source", "resource_type", "resource_id"))
    return bronze.withColumns({"_patient": F.col("patient_key"), "is_shared": shared, "names": F.array(name)})


def _of_messages(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    # a message may name several patients, merge them or move their visits: all of a source's messages belong together
    return bronze.withColumns(
        {"_patient": F.col("patient_key"), "is_shared": F.lit(False), "names": F.array("source")}
    )


def _of_notes(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    file = F.array(F.to_json(F.struct("source", "file")))
    return bronze.withColumns(
        {"_patient": F.col("record")["person_source_value"], "is_shared": F.lit(False), "names": file}
    )


def _of_objects(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    uids = F.array_compact(F.array("sop_instance_uid", "series_uid", "study_uid"))
    return bronze.withColumns({"_patient": F.col("patient_key"), "is_shared": F.lit(False), "names": uids})


def _of_source(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    # pictures, whose patient stands in a table beside them, and directories of many patients
    return bronze.withColumns(
        {"_patient": F.lit(None).cast("string"), "is_shared": F.lit(True), "names": F.array("source")}
    )


_FORMS = {
    "csv_record": _of_tables, "fhir_resource": _of_resources, "hl7_message": _of_messages,
    "note_document": _of_notes, "dicom_object": _of_objects, "raster_image": _of_source, "dicom_directory": _of_source,
}  # fmt: skip


def _literal(pairs: Mapping[str, str]) -> Column:
    return F.create_map(*[F.lit(x) for pair in sorted(pairs.items()) for x in pair])


def _lists(lists: Mapping[str, Sequence[str]], of: Column) -> Column:
    """The list of names that belongs to `of`, null where there is none."""
    if not lists:
        return F.lit(None).cast("array<string>")
    pairs = [x for k, v in sorted(lists.items()) for x in (F.lit(k), F.array(*[F.lit(n) for n in v]))]
    return F.element_at(F.create_map(*pairs), of)
