"""Which visit and which procedure an imaging study belongs to, and by which rule that is known.

The rules in their order: the source of the images names the visit; an order of the record system names the study by
its StudyInstanceUID; by its accession number; the patient has just one visit (one imaging procedure) around the time
of the study. The first rule that finds anything decides: where it finds several, there is no link, and a flag.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

NAMED, BY_UID, BY_ACCESSION, BY_TIME = "named", "study_uid", "accession", "patient_time"
RULES = (NAMED, BY_UID, BY_ACCESSION, BY_TIME)
KINDS = {"visit": "visit_occurrence_id", "procedure": "procedure_occurrence_id"}
STUDY = ["person_id", "study_uid"]


def linked(
    studies: DataFrame, orders: DataFrame, visits: DataFrame, procedures: DataFrame, *, hours: float
) -> DataFrame:
    """`studies` with visit_occurrence_id, visit_link_rule, procedure_occurrence_id and procedure_link_rule.

    studies: person_id, study_uid, accession, at (on the time axis of the visits), named_visit_id, qc; one row per
    person and study. orders: person_id, study_uid, accession, visit_occurrence_id, procedure_occurrence_id. visits:
    person_id, visit_occurrence_id, visit_start_datetime, visit_end_datetime. procedures: person_id,
    procedure_occurrence_id, procedure_datetime, is_imaging; time alone links to one that is imaging. `hours`: how far a
    study may lie before the start or after the end of a visit, and from a procedure; a visit without an end ends as
    it starts.

    Flags: `visit_ambiguous`, `procedure_ambiguous`; `orphan_visit`, `orphan_procedure` where an order names one that
    is not in the lake; `order_of_another_person` where an order for this study is another patient's.
    """
    known = {"visit": visits, "procedure": procedures}
    stated = reduce(DataFrame.unionByName, _stated(studies, orders)).where("id IS NOT NULL")
    near = _near(studies, visits, procedures, F.expr(f"INTERVAL {int(hours * 3600)} SECONDS"))
    parts = [_known(stated.where(F.col("kind") == kind), rows, KINDS[kind]) for kind, rows in known.items()]
    found = reduce(DataFrame.unionByName, [*parts, *near])
    told = _decided(found)
    strangers = _of_others(studies, orders)
    joined = studies.join(told, on=STUDY, how="left").join(strangers, on=STUDY, how="left")
    made = ("_visit", "_procedure", "_orphans", "_stranger", "named_visit_id")
    return joined.withColumns({**_ids(), "qc": _flags()}).drop(*made)


def _stated(studies: DataFrame, orders: DataFrame) -> list[DataFrame]:
    """(person_id, study_uid, kind, rule, id): what the source of the images and the orders say."""
    own = _candidates(studies, "visit", NAMED, "named_visit_id")
    by_uid = studies.select(*STUDY).join(orders.drop("accession"), on=STUDY, how="inner")
    by_number = studies.select(*STUDY, "accession").join(
        orders.drop("study_uid"), on=["person_id", "accession"], how="inner"
    )
    rows = [own]
    for rule, met in ((BY_UID, by_uid), (BY_ACCESSION, by_number)):
        rows += [_candidates(met, kind, rule, column) for kind, column in KINDS.items()]
    return rows


def _candidates(met: DataFrame, kind: str, rule: str, column: str) -> DataFrame:
    return met.select(*STUDY, F.lit(kind).alias("kind"), F.lit(rule).alias("rule"), F.col(column).alias("id"))


def _near(studies: DataFrame, visits: DataFrame, procedures: DataFrame, window: Column) -> list[DataFrame]:
    """What the patient has around the time of the study."""
    at = studies.where(F.col("at").isNotNull()).select(*STUDY, "at")
    begins, ends = F.col("visit_start_datetime"), F.coalesce("visit_end_datetime", "visit_start_datetime")
    during = at.join(visits, on="person_id", how="inner").where(F.col("at").between(begins - window, ends + window))
    done = F.col("procedure_datetime")
    images = procedures.where("is_imaging")
    beside = at.join(images, on="person_id", how="inner").where(F.col("at").between(done - window, done + window))
    return [
        _candidates(met, kind, BY_TIME, KINDS[kind]).withColumn("is_known", F.lit(True))
        for kind, met in (("visit", during), ("procedure", beside))
    ]


def _known(found: DataFrame, rows: DataFrame, column: str) -> DataFrame:
    """Adds `is_known`: whether the lake has what is named."""
    there = rows.select(F.col(column).alias("id"), F.lit(True).alias("is_known"))
    return found.join(there, on="id", how="left").select(
        *STUDY, "kind", "rule", "id", F.coalesce("is_known", F.lit(False)).alias("is_known")
    )


def _decided(found: DataFrame) -> DataFrame:
    """Per study: of each kind (rule, id, n) of the first rule that found anything; what was named and is not there."""
    place = F.array_position(F.array(*[F.lit(rule) for rule in RULES]), F.col("rule"))
    by_rule = found.withColumn("rank", place).groupBy(*STUDY, "kind", "rank").agg(
        F.struct(
            F.min("rule").alias("rule"),
            F.min(F.when(F.col("is_known"), F.col("id"))).alias("id"),
            F.count_distinct(F.when(F.col("is_known"), F.col("id"))).alias("n"),
        ).alias("said"),
        F.bool_or(~F.col("is_known")).alias("lost"),
    )  # fmt: skip
    of_kind = {kind: (F.col("kind") == kind) & (F.col("said.n") > 0) for kind in KINDS}
    first = {f"_{kind}": F.min_by("said", F.when(mine, F.col("rank"))) for kind, mine in of_kind.items()}
    orphans = F.collect_set(F.when(F.col("lost"), F.concat(F.lit("orphan_"), F.col("kind"))))
    return by_rule.groupBy(*STUDY).agg(*[said.alias(name) for name, said in first.items()], orphans.alias("_orphans"))


def _of_others(studies: DataFrame, orders: DataFrame) -> DataFrame:
    """The studies that an order names for somebody else."""
    ordered = orders.where("study_uid IS NOT NULL").select("study_uid", F.col("person_id").alias("ordered_for"))
    met = studies.select(*STUDY).join(ordered.distinct(), on="study_uid", how="inner")
    other = met.where(F.col("ordered_for") != F.col("person_id"))
    return other.select(*STUDY).distinct().withColumn("_stranger", F.lit(True))


def _ids() -> dict[str, Column]:
    made = {}
    for kind, column in KINDS.items():
        said = F.col(f"_{kind}")
        made[column] = F.when(said["n"] == 1, said["id"])
        made[f"{kind}_link_rule"] = F.when(said["n"] == 1, said["rule"])
    return made


def _flags() -> Column:
    ambiguous = [F.when(F.col(f"_{kind}")["n"] > 1, F.lit(f"{kind}_ambiguous")) for kind in KINDS]
    stranger = F.when(F.col("_stranger"), F.lit("order_of_another_person"))
    new = F.array_compact(F.array(*ambiguous, stranger))
    orphans = F.coalesce("_orphans", F.array().cast("array<string>"))
    return F.array_sort(F.array_distinct(F.concat("qc", new, orphans)))
