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
    no patient, any patient's rows may hang on it. `names`: records that share one of these numbers stand for one thing,
    as versions of a resource or objects of an examination do; two things of one number choose a record too many, never
    one too few.
    """
    told = _FORMS[name](bronze, sources)
    patients = {s.name: s.patient_source for s in sources.values()}
    owner = F.element_at(_literal(patients), F.col("source")) if patients else F.lit(None).cast("string")
    return told.withColumns(
        {"patient_source": F.coalesce(owner, "source"), "person_source_value": _key("_patient"),
         "is_shared": F.coalesce("is_shared", F.lit(False))}
    ).drop("_patient")  # fmt: skip


def numbered(source: str, key: str) -> Column:
    """A number for a patient: of the source whose keys name him or her (PATIENT[0]) and the key; null is `NOBODY`."""
    return F.xxhash64(source, _key(key))


def _key(column: str) -> Column:
    return F.coalesce(F.trim(F.col(column), F.lit(BLANKS)), F.lit(NOBODY))


def place_of() -> Column:
    """A number for where a record of bronze stands."""
    return F.xxhash64("source", "file_sha256", "row", "batch")


def places_of(every: DataFrame, name: str) -> DataFrame:
    """The records of an `owned` table as little as finding them needs; all tables' may be taken together.

    held_in: the table; place: see `place_of`; patient: see `numbered`; is_orphan: it names no patient, and should;
    batch, source, source_table, is_shared, names.
    """
    is_orphan = ~F.col("is_shared") & (F.col(PATIENT[1]) == NOBODY)
    return every.select(
        F.lit(name).alias("held_in"), "batch", "source", "source_table", place_of().alias("place"),
        numbered(*PATIENT).alias("patient"), "is_shared", is_orphan.alias("is_orphan"),
        F.transform("names", lambda number: F.xxhash64(F.lit(name), number)).alias("names"),
    )  # fmt: skip


def names_of(places: DataFrame) -> DataFrame:
    """The names (name, distinct) of some records."""
    return places.select(F.explode("names").alias("name")).distinct()


def touched(every: DataFrame, news: DataFrame, named: DataFrame) -> DataFrame:
    """The patients (patient, distinct) whom the `news` concern: their own, and those of what they stand for.

    `every`, `news`: see `places_of`; `named`: the names of the news.
    """
    others = every.select("patient", F.explode("names").alias("name")).join(named, on="name", how="left_semi")
    return news.select("patient").unionByName(others.select("patient")).distinct()


def needed(
    every: DataFrame, patients: DataFrame, named: DataFrame, whole: Sequence[str], read: Mapping[str, Sequence[str]]
) -> DataFrame:
    """The records (held_in, batch, source_table, place; distinct) from which all rows of the `patients` are made.

    Theirs, those that share one of the names `named`, those that name nobody, every record of the sources in `whole`,
    and what is shared. `read`: source → the tables or resource types of it (in small letters) that patients' rows
    can be made of; where a source is not named, all.
    """
    tables = _lists(read, F.col("source"))
    is_read = F.col("is_shared") & F.coalesce(F.array_contains(tables, F.lower("source_table")), F.lit(True))
    is_loose = is_read | F.col("is_orphan") | F.col("source").isin(list(whole))
    told = ("held_in", "batch", "source_table", "place")
    at = every.select(*told, "patient", is_loose.alias("is_loose"), F.explode_outer("names").alias("name"))
    marked = at.join(patients.withColumn("is_theirs", F.lit(True)), on="patient", how="left").join(
        named.withColumn("is_named", F.lit(True)), on="name", how="left"
    )
    return marked.where(F.col("is_loose") | F.col("is_theirs") | F.col("is_named")).select(*told).distinct()


def only_of(rows: DataFrame, patients: DataFrame, whole: Sequence[str]) -> DataFrame:
    """Those of the rows (PATIENT, source) that are of the `patients`, of nobody, or of a source in `whole`."""
    wanted = patients.withColumn("_is", F.lit(True)).withColumnRenamed("patient", "_patient")
    marked = rows.withColumn("_patient", numbered(*PATIENT)).join(wanted, on="_patient", how="left")
    is_nobody = _key(PATIENT[1]) == NOBODY
    return marked.where(F.col("_is") | is_nobody | F.col("source").isin(list(whole))).select(*rows.columns)


def _of_tables(bronze: DataFrame, sources: Mapping[str, Source]) -> DataFrame:
    tables = {f"{s.name}/{t.name}": t for s in sources.values() for t in s.tables}
    place = F.concat_ws("/", "source", "source_table")
    keys = {name: t.key for name, t in tables.items() if t.key}
    patient = {name: t.patient for name, t in tables.items() if t.patient}
    column = F.element_at(_literal(patient), place) if patient else F.lit(None).cast("string")
    values = F.transform(_lists(keys, place), lambda c: F.col("record")[c])
    own, line = F.xxhash64(place, values), F.xxhash64("file_sha256", "row")
    return bronze.withColumns(
        {"_patient": F.col("record")[column], "is_shared": column.isNull(),
         "names": F.array(F.coalesce(F.when(values.isNotNull(), own), line))}
    )  # fmt: skip


def _of_resources(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    shared = F.col("patient_key").isNull() & F.col("resource_type").isin(*WITHOUT_PATIENT)
    name = F.xxhash64("source", "resource_type", "resource_id")
    return bronze.withColumns({"_patient": F.col("patient_key"), "is_shared": shared, "names": F.array(name)})


def _of_messages(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    # a message may name several patients, merge them or move their visits: all of a source's messages belong together
    return bronze.withColumns(
        {"_patient": F.col("patient_key"), "is_shared": F.lit(False), "names": F.array(F.xxhash64("source"))}
    )


def _of_notes(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    file = F.array(F.xxhash64("source", "file"))
    return bronze.withColumns(
        {"_patient": F.col("record")["person_source_value"], "is_shared": F.lit(False), "names": file}
    )


def _of_objects(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    told = F.array_compact(F.array("sop_instance_uid", "series_uid", "study_uid"))
    uids = F.transform(told, lambda uid: F.xxhash64(uid))
    return bronze.withColumns({"_patient": F.col("patient_key"), "is_shared": F.lit(False), "names": uids})


def _of_source(bronze: DataFrame, _: Mapping[str, Source]) -> DataFrame:
    # pictures, whose patient stands in a table beside them, and directories of many patients
    return bronze.withColumns(
        {"_patient": F.lit(None).cast("string"), "is_shared": F.lit(True), "names": F.array(F.xxhash64("source"))}
    )


_FORMS = {
    "csv_record": _of_tables, "fhir_resource": _of_resources, "hl7_message": _of_messages,
    "note_document": _of_notes, "dicom_object": _of_objects, "raster_image": _of_source, "dicom_directory": _of_source,
}  # fmt: skip


def _literal(pairs: Mapping[str, str]) -> Column:
    return F.create_map(*[F.lit(x) for pair in sorted(pairs.items()) for x in pair])


def _lists(lists: Mapping[str, Sequence[str]], of: Column) -> Column:
    """The list of names that belongs to `of`, null where there is none."""
    return F.element_at(_literal_lists(lists), of) if lists else F.lit(None).cast("array<string>")


def _literal_lists(lists: Mapping[str, Sequence[str]]) -> Column:
    none = F.array().cast("array<string>")
    pairs = [x for k, v in sorted(lists.items()) for x in (F.lit(k), F.array(*map(F.lit, v)) if v else none)]
    return F.create_map(*pairs)
