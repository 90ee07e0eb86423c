"""Nothing looks beyond the training rows: with labels dealt out anew a model knows nothing, 0.50 ± 0.03.

The data would show a leak: selection among 60 columns of noise, and imputation by groups, when done on all rows
before the folds are cut, make a model of nothing look like a good one. Both are shown.
"""

from __future__ import annotations

import numpy as np
import pytest
from frames import frame, names
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F
from sklearn.metrics import roc_auc_score

from medlake.prepare import Imputer, Selector, StandardScaler

N_PERSONS, N_COLUMNS, N_BEST = 400, 60, 10


def people(spark, seed):
    """Two rows a person, alike but for a little; half of the persons have the label. Nothing hangs on it."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(N_PERSONS), 2)
    points = rng.normal(size=(N_PERSONS, N_COLUMNS))[person] + 0.3 * rng.normal(size=(2 * N_PERSONS, N_COLUMNS))
    points[rng.random(points.shape) < 0.1] = np.nan
    points[rng.random(2 * N_PERSONS) < 0.9, 0] = np.nan  # mostly missing: who fills it by the label tells the label
    label = rng.permutation(np.arange(N_PERSONS) % 2)[person].astype(float)
    fold = rng.permutation(np.arange(N_PERSONS))[person]
    return frame(spark, points, person_id=person, label=label, fold=fold).repartition(2).localCheckpoint()


def auroc(rows, stages, n_folds):
    """Of the risks that each fold is given by a pipeline fitted to the others; folds are whole persons."""
    truth, risks = [], []
    for fold in range(n_folds):
        outside, inside = (rows.where((F.col("fold") % n_folds == fold) == here) for here in (False, True))
        done = Pipeline(stages=stages()).fit(outside).transform(inside)
        told = done.select("label", vector_to_array("probability")[1].alias("risk")).toArrow()
        truth.append(told["label"].to_numpy())
        risks.append(told["risk"].to_numpy())
    # Within folds: a prevalence that differs between folds is no knowledge about persons.
    return float(np.mean([roc_auc_score(t, r) for t, r in zip(truth, risks, strict=True)]))


COLUMNS = [f"x{i}" for i in range(N_COLUMNS)]


def logistic():
    return LogisticRegression(regParam=0.1, maxIter=10)


def prepared():
    return [
        Imputer(inputCols=COLUMNS, strategy="mean"),
        StandardScaler(inputCols=COLUMNS),
        Selector(inputCols=COLUMNS, method="anova", numTopFeatures=N_BEST, outputCol="features"),
        logistic(),
    ]


@pytest.mark.long
def test_permuted_labels_give_a_half(spark):
    found = [auroc(people(spark, seed), prepared, 2) for seed in range(3)]
    print(f"permuted labels: AUROC {np.mean(found):.3f}, by seed {np.round(found, 3)}")
    assert abs(np.mean(found) - 0.5) <= 0.03


def test_selection_before_the_folds_would_show(spark):
    rows = people(spark, 0)
    chosen = Pipeline(stages=prepared()[:3]).fit(rows).transform(rows).select("label", "fold", "features").localCheckpoint()
    found = auroc(chosen, lambda: [logistic()], 2)
    print(f"selection on all rows: AUROC {found:.3f}")
    assert found > 0.6


def test_imputation_that_knows_the_label_would_show(spark):
    rows = people(spark, 0).select("person_id", "label", "fold", "x0")
    leaking = Imputer(inputCols=["x0"], groupCols=["label"]).fit(rows).transform(rows).localCheckpoint()
    last = Selector(inputCols=["x0"], method="missingness", outputCol="features")
    found = auroc(leaking, lambda: [last, logistic()], 2)
    print(f"imputation by label on all rows: AUROC {found:.3f}")
    assert found > 0.6


@pytest.mark.long
def test_permuted_labels_give_a_half_over_many_seeds(spark):
    found = [auroc(people(spark, seed), prepared, 4) for seed in range(6)]
    print(f"permuted labels, 6 seeds, 4 folds: AUROC {np.mean(found):.3f}, by seed {np.round(found, 3)}")
    assert abs(np.mean(found) - 0.5) <= 0.03


def test_the_names_of_the_columns_are_those_of_the_frame():
    assert names(np.zeros((1, N_COLUMNS))) == COLUMNS
