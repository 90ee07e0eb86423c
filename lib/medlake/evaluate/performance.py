"""How good the risks are: gold.model_evaluation, calibration_bin, evaluation_curve, subgroup_evaluation.

`rows` everywhere are `outcomes`: task, model, person_id, index_at, risk, boolean_value, that is, out-of-fold
risks beside what happened. Risks have six decimals, so grouped by risk a model has at most 1,000,001 rows,
whatever the number of patients: figures are computed from those counts, exactly. Intervals look at patients,
of whom a sample is drawn above a stated number.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.evaluate.metrics import METRICS, Array, auroc, bootstrap, brier, pr_points, roc_points, thinned

DECIMALS = 9
MAX_BOOTSTRAP_PERSONS = 1_000_000  # per task and model, 100 MB; above: a sample
N_BINS = 10
N_CURVE_POINTS = 100
MODEL = ("task", "model")
LEVEL = ("subgroup", "level")
AGE_BANDS = ((18, "0-17"), (45, "18-44"), (65, "45-64"), (80, "65-79"))  # below, name
OLDEST = "80+"
SEXES = {8507: "male", 8532: "female"}  # OMOP gender concepts


def outcomes(predicted: DataFrame, label: DataFrame) -> DataFrame:
    """Out-of-fold risks (`fold` not null) beside the known outcomes."""
    return (
        predicted.where(F.col("fold").isNotNull())
        .select(*MODEL, "person_id", "index_at", "risk")
        .join(label, on=["task", "person_id", "index_at"], how="inner")
    )


def counts_by_risk(rows: DataFrame, *groups: str) -> DataFrame:
    """Patients with and without the outcome for each risk: `positive`, `negative` as double."""
    return rows.groupBy(*groups, "risk").agg(
        F.count_if("boolean_value").cast("double").alias("positive"),
        F.count_if(~F.col("boolean_value")).cast("double").alias("negative"),
    )


def model_evaluation(rows: DataFrame, *, n_replicates: int, seed: int) -> DataFrame:
    """gold.model_evaluation: each metric with its patient bootstrap interval (95 %)."""
    values = (
        counts_by_risk(rows, *MODEL)
        .groupBy(*MODEL)
        .applyInPandas(_figures, "task string, model string, metric string, value double, n bigint")
    )

    def intervals(group: pd.DataFrame) -> pd.DataFrame:
        return _intervals(group, n_replicates=n_replicates, seed=seed)

    ranges = (
        _sampled(rows, seed).select(*MODEL, "person_id", "risk", "boolean_value")
        .groupBy(*MODEL)
        .applyInPandas(intervals, "task string, model string, metric string, lower double, upper double")
    )  # fmt: skip
    return values.join(ranges, on=[*MODEL, "metric"], how="left").select(
        *MODEL, "metric", *[_kept(c).alias(c) for c in ("value", "lower", "upper")], "n"
    )


def calibration_bin(rows: DataFrame) -> DataFrame:
    """gold.calibration_bin: predictions in ten parts by risk; equal risks are in the same part."""
    return (
        counts_by_risk(rows, *MODEL)
        .groupBy(*MODEL)
        .applyInPandas(
            _bins, "task string, model string, bin int, n bigint, mean_risk double, observed double"
        )
    )


def evaluation_curve(rows: DataFrame) -> DataFrame:
    """gold.evaluation_curve: ROC and precision-recall, where there are both outcomes."""
    return (
        counts_by_risk(rows, *MODEL)
        .groupBy(*MODEL)
        .applyInPandas(_curves, "task string, model string, curve string, position int, x double, y double")
    )


def subgroup_evaluation(rows: DataFrame, person: DataFrame) -> DataFrame:
    """gold.subgroup_evaluation: sex, age band at the index time and (first) source of the patient."""
    levels = _levels(rows.join(person, on="person_id", how="left"))
    counted = reduce(
        DataFrame.unionByName,
        [
            counts_by_risk(levels.withColumns({"subgroup": F.lit(s), "level": F.col(s)}), *MODEL, *LEVEL)
            for s in ("sex", "age_band", "source")
        ],
    )
    keys = "task string, model string, subgroup string, level string"
    schema = f"{keys}, n bigint, n_positive bigint, auroc double, brier double"
    return counted.groupBy(*MODEL, "subgroup", "level").applyInPandas(_subgroup, schema)


def _levels(rows: DataFrame) -> DataFrame:
    age = F.year("index_at") - F.col("year_of_birth")
    band = F.when(age.isNull(), "unknown")
    for below, name in AGE_BANDS:
        band = band.when(age < below, name)
    sex = F.lit("unknown")
    for concept, name in SEXES.items():
        sex = F.when(F.col("gender_concept_id") == concept, name).otherwise(sex)
    source = F.coalesce("source", F.lit("unknown"))
    return rows.withColumns({"sex": sex, "age_band": band.otherwise(OLDEST), "source": source})


def _sampled(rows: DataFrame, seed: int) -> DataFrame:
    """All patients of a model, or above MAX_BOOTSTRAP_PERSONS the share that has the lowest seeded hashes."""
    n = rows.groupBy(*MODEL).agg(F.count(F.lit(1)).alias("n_rows"))
    share = F.pmod(F.xxhash64(F.lit(seed), "person_id"), F.lit(1_000_000)) / 1_000_000
    return rows.join(F.broadcast(n), on=list(MODEL), how="inner").where(
        share * F.col("n_rows") < MAX_BOOTSTRAP_PERSONS
    )


def _kept(column: str) -> Column:
    """Nine decimals; nan as null, and no interval where there is no value."""
    return F.when(~F.isnan("value") & ~F.isnan(column), F.round(column, DECIMALS))


def _sorted(group: pd.DataFrame) -> tuple[Array, Array, Array]:
    ordered = group.sort_values("risk")
    return ordered["risk"].to_numpy(), ordered["positive"].to_numpy(), ordered["negative"].to_numpy()


def _table(group: pd.DataFrame, keys: Iterable[str], **columns: object) -> pd.DataFrame:
    made = pd.DataFrame(columns)
    for position, key in enumerate(keys):
        made.insert(position, key, group[key].iloc[0])
    return made


def _figures(group: pd.DataFrame) -> pd.DataFrame:
    risk, positive, negative = _sorted(group)
    values = [metric(risk, positive, negative) for metric in METRICS.values()]
    return _table(group, MODEL, metric=list(METRICS), value=values, n=int((positive + negative).sum()))


def _intervals(group: pd.DataFrame, *, n_replicates: int, seed: int) -> pd.DataFrame:
    """Every model of a task is tried on the same draws: their intervals can be compared."""
    of_task = seed + zlib.crc32(str(group["task"].iloc[0]).encode())
    found = bootstrap(
        group["person_id"].to_numpy(), group["risk"].to_numpy(),
        group["boolean_value"].to_numpy().astype(np.float64), n_replicates=n_replicates, seed=of_task,
    )  # fmt: skip
    lower, upper = zip(*found.values(), strict=True)
    return _table(group, MODEL, metric=list(found), lower=list(lower), upper=list(upper))


def _bins(group: pd.DataFrame) -> pd.DataFrame:
    risk, positive, negative = _sorted(group)
    n = positive + negative
    middle = np.cumsum(n) - n / 2
    part = np.minimum((middle / n.sum() * N_BINS).astype(int), N_BINS - 1)
    rows = pd.DataFrame({"bin": part, "n": n, "risk": risk * n, "positive": positive})
    sums = rows.groupby("bin", as_index=False).sum()
    return _table(
        group, MODEL, bin=sums["bin"].astype("int32"), n=sums["n"].astype("int64"),
        mean_risk=(sums["risk"] / sums["n"]).round(DECIMALS),
        observed=(sums["positive"] / sums["n"]).round(DECIMALS),
    )  # fmt: skip


def _curves(group: pd.DataFrame) -> pd.DataFrame:
    _, positive, negative = _sorted(group)
    curves = {"roc": roc_points, "pr": pr_points} if positive.sum() and negative.sum() else {}
    made = []
    for name, points in curves.items():
        x, y = thinned(*points(positive, negative), N_CURVE_POINTS)
        position = np.arange(len(x), dtype=np.int32)
        made.append(
            _table(group, MODEL, curve=name, position=position, x=x.round(DECIMALS), y=y.round(DECIMALS))
        )
    return pd.concat(made) if made else pd.DataFrame(columns=[*MODEL, "curve", "position", "x", "y"])


def _subgroup(group: pd.DataFrame) -> pd.DataFrame:
    risk, positive, negative = _sorted(group)
    area = auroc(risk, positive, negative)
    return _table(
        group, (*MODEL, *LEVEL), n=[int((positive + negative).sum())], n_positive=[int(positive.sum())],
        auroc=[None if np.isnan(area) else round(area, DECIMALS)],
        brier=[round(brier(risk, positive, negative), DECIMALS)],
    )  # fmt: skip
