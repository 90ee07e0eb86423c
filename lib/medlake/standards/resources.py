"""The open zone as FHIR R4 resources, one JSON text a row: Patient, Condition, Observation, ImagingStudy.

Ids are the lake's pseudonyms. Every resource carries the security label PSEUDED (pseudonymised).
A time at midnight is told as a day: most of them were days in their source. There are no Encounters, so
none is referred to.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.standards.concepts import one_of

LABEL = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "PSEUDED")
ABSENT = ("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown")
RESOLVED = ("http://terminology.hl7.org/CodeSystem/condition-clinical", "resolved")
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
URI = "urn:ietf:rfc:3986"
OTHER_MODALITY = "OT"  # DICOM's term for a modality that has none; FHIR requires one of every series
GENDERS = {8507: "male", 8532: "female"}
UCUM = "UCUM"


def patients(person: DataFrame, death: DataFrame) -> DataFrame:
    """Patient: sex, year of birth and death; nothing that tells who it is."""
    gender = one_of(F.col("gender_concept_id"), GENDERS)
    return person.join(death.select("person_id", "death_datetime"), on="person_id", how="left").select(
        _resource(
            "Patient", F.col("person_id").cast("string"),
            gender.alias("gender"),
            F.lpad(F.col("year_of_birth").cast("string"), 4, "0").alias("birthDate"),
            _moment("death_datetime").alias("deceasedDateTime"),
        )
    )  # fmt: skip


def conditions(condition: DataFrame, systems: Mapping[str, str]) -> DataFrame:
    """Condition: code, onset and abatement; one that ended is resolved, of the others FHIR is told nothing."""
    ended = F.col("condition_end_datetime").isNotNull()
    # An end before its start is flagged in silver; FHIR does not allow it.
    sound = F.col("condition_end_datetime") >= F.col("condition_start_datetime")
    return condition.select(
        _resource(
            "Condition", F.col("condition_occurrence_id").cast("string"),
            F.when(ended & sound, F.struct(F.array(_coding(*RESOLVED)).alias("coding"))).alias("clinicalStatus"),
            _concept("condition", systems).alias("code"),
            _subject(),
            _moment("condition_start_datetime").alias("onsetDateTime"),
            F.when(sound, _moment("condition_end_datetime")).alias("abatementDateTime"),
        )
    )  # fmt: skip


def observations(measurement: DataFrame, observation: DataFrame, systems: Mapping[str, str]) -> DataFrame:
    """Observation: measurements (id m-…) and observations (id o-…), values as the source gave them.

    The status is `unknown`: the lake does not keep it. A unit has a UCUM code where it is the canonical one.
    """
    is_ucum = F.col("unit_source_value") == F.col("unit_std")
    number = _finite("value_as_number")
    quantity = F.struct(
        number.alias("value"), F.col("operator").alias("comparator"), F.col("unit_source_value").alias("unit"),
        F.when(is_ucum, F.lit(systems[UCUM])).alias("system"), F.when(is_ucum, F.col("unit_std")).alias("code"),
    )  # fmt: skip
    measured = measurement.select(
        _observation("m", "measurement", quantity, number, F.col("value_source_value"), systems)
    )
    plain = F.struct(number.alias("value"), F.col("unit_source_value").alias("unit"))
    observed = observation.select(
        _observation("o", "observation", plain, number, F.col("value_as_string"), systems)
    )
    return measured.unionByName(observed)


def _observation(
    letter: str, word: str, quantity: Column, number: Column, text: Column, systems: Mapping[str, str]
) -> Column:
    said = F.nullif(F.trim(text), F.lit(""))
    nothing = number.isNull() & said.isNull()
    return _resource(
        "Observation", F.concat(F.lit(f"{letter}-"), F.col(f"{word}_id").cast("string")),
        F.lit("unknown").alias("status"),
        _concept(word, systems).alias("code"),
        _subject(),
        _moment(f"{word}_datetime").alias("effectiveDateTime"),
        F.when(number.isNotNull(), quantity).alias("valueQuantity"),
        F.when(number.isNull(), said).alias("valueString"),
        F.when(nothing, F.struct(F.array(_coding(*ABSENT)).alias("coding"))).alias("dataAbsentReason"),
    )  # fmt: skip


def imaging_studies(study: DataFrame, series: DataFrame, instance: DataFrame) -> DataFrame:
    """ImagingStudy with its series and their instances; an instance of a private class is only counted."""
    known = instance.where(F.col("sop_class_uid").isNotNull())
    sop_class = F.struct(F.lit(URI).alias("system"), F.concat(F.lit("urn:oid:"), "sop_class_uid").alias("code"))
    one = F.struct(
        F.col("sop_instance_uid").alias("uid"), sop_class.alias("sopClass"),
        F.when(F.col("instance_number") >= 0, F.col("instance_number")).alias("number"),
    )
    instances = known.groupBy("series_uid").agg(F.array_sort(F.collect_list(one)).alias("instance"))
    of_series = F.struct(
        F.col("series_uid").alias("uid"), _modality(F.coalesce("modality", F.lit(OTHER_MODALITY))).alias("modality"),
        F.col("description").alias("description"), F.col("n_instances").alias("numberOfInstances"),
        F.when(F.col("body_part").isNotNull(), F.struct(F.col("body_part").alias("display"))).alias("bodySite"),
        _moment("series_at").alias("started"), F.col("instance").alias("instance"),
    )  # fmt: skip
    told = series.join(instances, on="series_uid", how="left")
    by_study = told.groupBy("study_uid").agg(F.array_sort(F.collect_list(of_series)).alias("series"))
    uid = F.struct(F.lit("urn:dicom:uid").alias("system"), F.concat(F.lit("urn:oid:"), "study_uid").alias("value"))
    modalities = F.transform("modalities", _modality)
    return study.join(by_study, on="study_uid", how="left").select(
        _resource(
            "ImagingStudy", F.col("study_uid"),
            F.array(uid).alias("identifier"),
            F.lit("available").alias("status"),
            F.when(F.size(modalities) > 0, modalities).alias("modality"),
            _subject(),
            _moment("study_at").alias("started"),
            F.col("n_series").alias("numberOfSeries"), F.col("n_instances").alias("numberOfInstances"),
            F.col("description").alias("description"), F.col("series").alias("series"),
        )
    )  # fmt: skip


def _resource(kind: str, key: Column, *fields: Column) -> Column:
    meta = F.struct(F.array(_coding(*LABEL)).alias("security")).alias("meta")
    whole = F.struct(F.lit(kind).alias("resourceType"), key.alias("id"), meta, *fields)
    return F.to_json(whole, {"ignoreNullFields": "true"}).alias("value")


def _coding(system: str, code: str) -> Column:
    return F.struct(F.lit(system).alias("system"), F.lit(code).alias("code"))


def _modality(code: Column) -> Column:
    return F.struct(F.lit(DICOM).alias("system"), code.alias("code"))


def _subject() -> Column:
    return F.struct(F.concat(F.lit("Patient/"), F.col("person_id").cast("string")).alias("reference")).alias("subject")


def _concept(word: str, systems: Mapping[str, str]) -> Column:
    """The CodeableConcept of a row: its code in its system where FHIR's type `code` can hold it, and its name."""
    vocabulary, code, name = (F.col(f"{word}_source_{part}") for part in ("vocabulary", "value", "name"))
    known = F.try_element_at(F.create_map(*[F.lit(text) for text in chain(*systems.items())]), vocabulary)
    ours = F.concat(F.lit("urn:x-medlake:"), F.url_encode(vocabulary))
    own = F.when(vocabulary.contains(":"), vocabulary).otherwise(ours)
    coding = F.struct(F.coalesce(known, own).alias("system"), code.alias("code"), name.alias("display"))
    is_code = code.rlike(r"^\S+(\s\S+)*$")
    return F.struct(F.when(is_code, F.array(coding)).alias("coding"), F.coalesce(name, code).alias("text"))


def _moment(name: str) -> Column:
    moment = F.col(name)
    is_day = moment == F.date_trunc("day", moment)
    day, instant = F.date_format(moment, "yyyy-MM-dd"), F.date_format(moment, "yyyy-MM-dd'T'HH:mm:ss'Z'")
    return F.when(is_day, day).otherwise(instant)


def _finite(name: str) -> Column:
    number = F.col(name)
    return F.when(~F.isnan(number) & (F.abs(number) != float("inf")), number)
