"""Small tables about people, records, images, groups and models, for the page.

Every function but `records` gives a table of bounded size. Counts of people are exact here: they are made
safe to publish by `medlake.privacy.disclosure` before anything is collected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import pairwise

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

FEMALE, MALE = 8532, 8507  # OMOP gender concepts
# Silver tables that hold dated records, and the date of each.
DATED = {
    "silver.visit_occurrence": "visit_start_date",
    "silver.condition_occurrence": "condition_start_date",
    "silver.drug_exposure": "drug_exposure_start_date",
    "silver.procedure_occurrence": "procedure_date",
    "silver.measurement": "measurement_date",
    "silver.observation": "observation_date",
    "silver.note": "note_date",
    "silver.image_occurrence": "series_at",
}
UNDATED = ("silver.person", "silver.death")  # one row per person: what they count are people
# Lower ends of age bands in years, finest first: the page shows the finest that hides few people.
AGE_BANDS = ((0, 10, 20, 30, 40, 50, 60, 70, 80), (0, 18, 35, 50, 65, 80), (0, 18, 40, 65))
MAX_YEARS, MAX_SOURCES, MAX_FLAGS = 60, 30, 15
MAX_CONDITIONS, MAX_MODALITIES = 12, 12
FINDINGS = r"\((finding|situation)\)$"  # SNOMED names that are no disorders: employment, housing, a wish
SHARES = r"^(condition|drug)//|^female$"  # features that are 1 or 0: their mean is a share of people


def records(tables: Mapping[str, DataFrame]) -> DataFrame:
    """One row per record of the silver tables given: table, person_id, year (null: undated), qc."""
    parts = [
        tables[name].select(
            F.lit(name).alias("table"),
            "person_id",
            (F.year(DATED[name]) if name in DATED else F.lit(None).cast("int")).alias("year"),
            "qc",
        )
        for name in (*UNDATED, *DATED)
        if name in tables
    ]
    return reduce(DataFrame.unionByName, parts)


def persons(person: DataFrame) -> DataFrame:
    """One row: n (all people), n_in_several (people that more than one source knows)."""
    return person.agg(F.count(F.lit(1)).alias("n"), F.count_if(F.col("n_sources") > 1).alias("n_in_several"))


def age_sex(person: DataFrame, records: DataFrame, lower_ends: Sequence[int]) -> DataFrame:
    """People by age at their last dated record and sex: position, band, sex (women, men, unknown), n.

    Position orders the bands from young to old; people without year of birth or dated record are `unknown`.
    """
    last = records.groupBy("person_id").agg(F.max("year").alias("last_year"))
    years = F.col("last_year") - F.col("year_of_birth")
    age = F.when(years < 0, 0).otherwise(years)
    names = [f"{low}–{high - 1}" for low, high in pairwise(lower_ends)]
    names.append(f"{lower_ends[-1]}+")
    position = F.lit(len(names))
    for at, low in reversed(list(enumerate(lower_ends))):
        high = lower_ends[at + 1] if at + 1 < len(lower_ends) else 1000
        position = F.when(age.between(low, high - 1), at).otherwise(position)
    band = F.element_at(F.array(*(F.lit(name) for name in (*names, "unknown"))), position + 1)
    sex = F.col("gender_concept_id")
    return (
        person.join(last, on="person_id", how="left")
        .select(
            position.alias("position"),
            band.alias("band"),
            F.when(sex == FEMALE, "women").when(sex == MALE, "men").otherwise("unknown").alias("sex"),
        )
        .groupBy("position", "band", "sex")
        .agg(F.count(F.lit(1)).alias("n"))
    )


def persons_by_source(person: DataFrame) -> DataFrame:
    """People by the source that named them first: name, n; the 30 largest."""
    return _most(person.groupBy(F.col("source").alias("name")).agg(F.count(F.lit(1)).alias("n")), MAX_SOURCES)


def conditions(condition: DataFrame) -> DataFrame:
    """People with each disorder, by its most usual name: name, n; the 12 most frequent, findings left out."""
    vocabulary = F.coalesce("condition_source_vocabulary", "source")
    code = F.struct(vocabulary, F.col("condition_source_value"))
    name = F.coalesce(F.mode("condition_source_name", True), F.max("condition_source_value"))
    by_code = condition.groupBy(code.alias("code")).agg(
        name.alias("name"), F.count_distinct("person_id").alias("n")
    )
    disorders = by_code.where(~F.col("name").rlike(FINDINGS))
    return _most(disorders.groupBy("name").agg(F.max("n").alias("n")), MAX_CONDITIONS)


def records_by_year(records: DataFrame) -> DataFrame:
    """Records of each table in each year: kind, year, n; the 60 years up to the newest record."""
    newest = F.max("year").over(Window.partitionBy(F.lit(0)))
    return (
        records.where(F.col("year").isNotNull())
        .groupBy(F.col("table").alias("kind"), "year")
        .agg(F.count(F.lit(1)).alias("n"))
        .withColumn("newest", newest)
        .where(F.col("year") > F.col("newest") - MAX_YEARS)
        .drop("newest")
    )


def quality(records: DataFrame) -> DataFrame:
    """Records of each table, all and with at least one remark: table, n_rows, n_flagged."""
    return records.groupBy("table").agg(
        F.count(F.lit(1)).alias("n_rows"), F.count_if(F.size("qc") > 0).alias("n_flagged")
    )


def flags(records: DataFrame) -> DataFrame:
    """Records with each remark: table, flag, n; the 15 most frequent."""
    return (
        records.select("table", F.explode("qc").alias("flag"))
        .groupBy("table", "flag")
        .agg(F.count(F.lit(1)).alias("n"))
        .orderBy(F.desc("n"), "table", "flag")
        .limit(MAX_FLAGS)
    )


def modalities(image_occurrence: DataFrame) -> DataFrame:
    """Images by kind: modality, n_images, n_series, n_bytes, n (people); the 12 most frequent kinds."""
    return (
        image_occurrence.groupBy(F.coalesce("modality", F.lit("")).alias("modality"))
        .agg(
            F.sum("n_instances").alias("n_images"),
            F.count(F.lit(1)).alias("n_series"),
            F.sum("size_bytes").alias("n_bytes"),
            F.count_distinct("person_id").alias("n"),
        )
        .orderBy(F.desc("n_images"), "modality")
        .limit(MAX_MODALITIES)
    )


def thumbnails(image_thumbnail: DataFrame, *, per_modality: int = 2, top: int = 12) -> DataFrame:
    """A few pictures of each kind, of different people where there are several: modality, png."""
    of_person = Window.partitionBy("modality", "person_id").orderBy("sop_instance_uid")
    of_kind = Window.partitionBy("modality").orderBy("nth", "sop_instance_uid")
    return (
        image_thumbnail.withColumn("nth", F.row_number().over(of_person))
        .withColumn("rank", F.row_number().over(of_kind))
        .where(F.col("rank") <= per_modality)
        .orderBy("rank", "modality")
        .limit(top)
        .select("modality", "png")
    )


def groups(cluster_assignment: DataFrame) -> DataFrame:
    """Each group's size, centre and spread in the picture: cluster, n, x, y, xx, xy, yy (covariance)."""
    return cluster_assignment.groupBy("cluster").agg(
        F.count(F.lit(1)).alias("n"),
        F.avg("x").alias("x"),
        F.avg("y").alias("y"),
        F.var_pop("x").alias("xx"),
        F.covar_pop("x", "y").alias("xy"),
        F.var_pop("y").alias("yy"),
    )


def differences(cluster_profile: DataFrame, feature_def: DataFrame, *, top: int = 6) -> DataFrame:
    """What sets each group apart most: cluster, n_persons, n_all, feature (in words), effect_size, mean,
    overall_mean, unit, is_share; the `top` features of each group with the largest effect.
    """
    in_words = feature_def.where(F.col("task") == "patient_groups").select("feature", "about", "unit")
    sizes = cluster_profile.select("cluster", "n_persons").distinct().agg(F.sum("n_persons").alias("n_all"))
    strongest = Window.partitionBy("cluster").orderBy(F.desc(F.abs("effect_size")), "feature")
    return (
        cluster_profile.where(F.col("effect_size").isNotNull() & F.col("mean").isNotNull())
        .withColumn("rank", F.row_number().over(strongest))
        .where(F.col("rank") <= top)
        .join(in_words, on="feature", how="left")
        .crossJoin(sizes)
        .withColumn("is_share", F.col("feature").rlike(SHARES))
        .withColumn("feature", F.coalesce("about", "feature"))
        .drop("about", "direction")
    )


def rule_counts(association_rule: DataFrame) -> DataFrame:
    """The people behind each rule: antecedent, consequent, n_if, n_both, n_then, n_all; only rules that hold
    more often than expected and are no chance finding (false discovery rate of 5 %).
    """
    everybody = F.round(F.col("n") / F.col("support")).cast("bigint")
    then = F.round(F.col("confidence") / F.col("lift") * F.col("n_all")).cast("bigint")
    return (
        association_rule.where((F.col("lift") > 1) & (F.col("q_value") <= 0.05))
        .withColumn("n_all", everybody)
        .select(
            "antecedent",
            "consequent",
            F.round(F.col("n") / F.col("confidence")).cast("bigint").alias("n_if"),
            F.col("n").alias("n_both"),
            then.alias("n_then"),
            "n_all",
        )
    )


def strongest_rules(
    rules: DataFrame, item_name: DataFrame, *, top: int = 12, least_lift: float = 1.2
) -> DataFrame:
    """The `top` rules by lift, in words: if_names, then_names and the columns of `rules`, in `position`.

    Rules about disorders and medicines come before those about findings such as employment. Of the rules
    over the same items the one with the highest confidence stays, and of the rules with the same consequent
    the two with the highest lift.
    """
    confidence = F.col("n_both") / F.col("n_if")
    lift = confidence / (F.col("n_then") / F.col("n_all"))
    same_items = Window.partitionBy("items").orderBy(F.desc(confidence), "consequent")
    same_end = Window.partitionBy("consequent").orderBy(
        "is_finding", F.desc("lift"), F.size("antecedent"), "antecedent"
    )
    order = Window.partitionBy(F.lit(0)).orderBy(
        "is_finding", F.desc("lift"), F.desc("n_both"), "antecedent", "consequent"
    )
    findings = item_name.where(F.col("name").rlike(FINDINGS)).agg(F.collect_set("item").alias("findings"))
    best = (
        rules.withColumn("items", F.array_sort(F.concat("antecedent", "consequent")))
        .withColumns({"lift": lift, "nth": F.row_number().over(same_items)})
        .where((F.col("nth") == 1) & (F.col("lift") >= least_lift))
        .crossJoin(F.broadcast(findings))
        .withColumn("is_finding", F.arrays_overlap("items", "findings"))
        .withColumn("nth", F.row_number().over(same_end))
        .where(F.col("nth") <= 2)
        .withColumn("position", F.row_number().over(order))
        .where(F.col("position") <= top)
        .drop("items", "nth", "lift", "findings", "is_finding")
    )
    return named(best, item_name)


def named(rules: DataFrame, item_name: DataFrame) -> DataFrame:
    """Antecedent and consequent as if_names and then_names; an item without a name stands for itself."""
    kept = [name for name in rules.columns if name not in ("antecedent", "consequent")]
    sides = F.concat(
        F.transform("antecedent", lambda item: F.struct(F.lit(True).alias("is_if"), item.alias("item"))),
        F.transform("consequent", lambda item: F.struct(F.lit(False).alias("is_if"), item.alias("item"))),
    )
    name = F.coalesce("name", "item").alias("name")
    named = F.array_sort(F.collect_list(F.struct("at", "is_if", name)))
    return (
        rules.select(*kept, F.posexplode(sides).alias("at", "side"))
        .select(*kept, "at", "side.*")
        .join(item_name, on="item", how="left")
        .groupBy(*kept)
        .agg(named.alias("named"))
        .select(
            *kept,
            F.transform(F.filter("named", lambda one: one["is_if"]), lambda one: one["name"]).alias(
                "if_names"
            ),
            F.transform(F.filter("named", lambda one: ~one["is_if"]), lambda one: one["name"]).alias(
                "then_names"
            ),
        )
    )


def reasons(model_explanation: DataFrame, feature_def: DataFrame, *, top: int = 8) -> DataFrame:
    """What drives each model most: task, model, feature (in words), weight, kind; the `top` of each model."""
    strongest = Window.partitionBy("task", "model").orderBy(F.desc(F.abs("weight")), "position")
    return (
        model_explanation.withColumn("rank", F.row_number().over(strongest))
        .where((F.col("rank") <= top) & (F.col("weight") != 0))
        .join(feature_def.select("task", "position", "about"), on=["task", "position"], how="left")
        .select("task", "model", F.coalesce("about", "feature").alias("feature"), "weight", "kind", "rank")
    )


def _most(named: DataFrame, top: int) -> DataFrame:
    return named.orderBy(F.desc("n"), "name").limit(top)
