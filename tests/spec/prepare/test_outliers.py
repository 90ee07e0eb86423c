"""What lies too far out is flagged as NumPy, SciPy and scikit-learn say, and changed only when asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from frames import frame, holed, matrix, names
from scipy.stats import median_abs_deviation
from sklearn.ensemble import IsolationForest as TheirForest
from sklearn.metrics import roc_auc_score
from tests.tables import assert_rows, rows

from medlake.prepare import HampelFilter, IsolationForest, IsolationForestModel, MovingMedian, Outliers, OutliersModel


def vitals(n, seed):
    points = np.random.default_rng(seed).normal([80, 37, 120], [10, 0.5, 15], size=(n, 3))
    points[::25, 0] *= 4
    points[7::40, 2] = -3
    return points


def test_robust_z_and_quartile_fences_equal_the_formulas(spark, tmp_path):
    train, new = holed(vitals(300, 1), 0.1, 2), holed(vitals(100, 3), 0.1, 4)
    columns = names(train)
    Outliers(inputCols=columns, scoreCols=["z0", "z1", "z2"]).fit(frame(spark, train)).save(str(tmp_path / "z"))
    by_z = OutliersModel.load(str(tmp_path / "z"))
    by_iqr = Outliers(
        inputCols=columns, outputCols=["c0", "c1", "c2"], method="iqr", action="clip", scoreCols=["i0", "i1", "i2"]
    ).fit(frame(spark, train))  # fmt: skip
    done = by_iqr.transform(by_z.transform(frame(spark, new))).localCheckpoint()

    z = (new - np.nanmedian(train, axis=0)) / median_abs_deviation(train, axis=0, nan_policy="omit", scale="normal")
    np.testing.assert_allclose(matrix(done, "z0", "z1", "z2"), z, atol=1e-9)
    q1, q3 = np.nanquantile(train, [0.25, 0.75], axis=0)
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    np.testing.assert_allclose(matrix(done, "c0", "c1", "c2"), np.clip(new, low, high), atol=1e-9)
    np.testing.assert_array_equal(matrix(done, *columns), new)
    np.testing.assert_array_equal(matrix(done, "c0_original", "c1_original", "c2_original"), new)
    outside = np.where(new < q1, new - q1, np.where(new > q3, new - q3, 0 * new)) / (q3 - q1)
    np.testing.assert_allclose(matrix(done, "i0", "i1", "i2"), outside, atol=1e-9)
    qc = [r["qc"] for r in done.orderBy("id").select("qc").collect()]
    want = [
        [f"outlier_robust_z_x{j}" for j in range(3) if abs(z[i, j]) > 3.5]
        + [f"outlier_iqr_x{j}" for j in range(3) if new[i, j] < low[j] or new[i, j] > high[j]]
        for i in range(100)
    ]
    assert qc == want and sum(map(len, want)) > 8


def test_what_no_body_has_is_taken_out_and_kept_beside(spark):
    seen = rows(spark, None, """
        id | hb    | flat | qc
        1  | 140.0 | 1.0  | [unit_unknown]
        2  | 900.0 | 1.0  | []
        3  | 1.0   | 1.0  | null
        4  | null  | 2.0  | []
    """, hb="double", flat="double", qc="array<string>")
    ranged = Outliers(inputCols=["hb"], method="range", ranges={"hb": [20, None]}, action="null").fit(seen)
    flat = Outliers(inputCols=["flat"]).fit(seen)  # MAD 0: no fence
    assert flat.fences == {"flat": (None, None)}
    assert_rows(flat.transform(ranged.transform(seen)), """
        id | hb    | hb_original | flat | qc
        1  | 140.0 | 140.0       | 1.0  | [unit_unknown]
        2  | 900.0 | 900.0       | 1.0  | []
        3  | null  | 1.0         | 1.0  | [outlier_range_hb]
        4  | null  | null        | 2.0  | []
    """)
    # A second rule must not write over what the first has kept: 900 is the original, not what is left of it.
    again = Outliers(inputCols=["hb"], method="range", ranges={"hb": [0, 500]}, action="clip").fit(seen)
    assert_rows(again.transform(ranged.transform(seen)), """
        id | hb    | hb_original | qc
        1  | 140.0 | 140.0       | [unit_unknown]
        2  | 500.0 | 900.0       | [outlier_range_hb]
        3  | null  | 1.0         | [outlier_range_hb]
        4  | null  | null        | []
    """)
    with pytest.raises(ValueError, match="ranges for flat"):
        Outliers(inputCols=["flat"], method="range").fit(seen)


def by_hand(times, values, *, inside, threshold):
    """(median of each window, is the value an outlier by Hampel?) of one series."""
    middles, odd = np.full(len(values), np.nan), np.zeros(len(values), dtype=bool)
    for i, value in enumerate(values):
        window = np.array([v for k, v in enumerate(values) if inside(i, k, times) and not np.isnan(v)])
        if np.isnan(value):
            continue
        middles[i] = np.median(window)
        odd[i] = abs(value - middles[i]) > threshold * 1.4826022185056018 * np.median(np.abs(window - middles[i]))
    return middles, odd


WINDOWS = {
    "rows": ({"rows": 4}, lambda i, k, t: abs(i - k) <= 4),
    "hours": ({"hours": 3.0}, lambda i, k, t: abs(t[i] - t[k]) <= 3),
    "causal": ({"hours": 3.0, "causal": True}, lambda i, k, t: 0 <= t[i] - t[k] <= 3),
}


@pytest.mark.parametrize("kind", sorted(WINDOWS))
def test_series_are_filtered_as_by_hand(spark, kind):
    given, inside = WINDOWS[kind]
    rng = np.random.default_rng(1)
    person, times, values = [], [], []
    for one, n in enumerate((40, 25, 1)):
        hours = np.sort(rng.uniform(0, 20, n).round(1)) + np.arange(n) * 0.01
        pulse = 80 + 5 * np.sin(hours) + rng.normal(size=n)
        pulse[3::9] += 60
        pulse[5::11] = np.nan
        person += [one] * n
        times += hours.tolist()
        values += pulse.tolist()
    at = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=t) for t in times]
    series = frame(spark, np.array(values)[:, None], person_id=person, at=at).repartition(3)
    told = {"inputCols": ["x0"], "keyCols": ["person_id"], "timeCol": "at", **given}
    smooth = MovingMedian(outputCols=["smooth"], **told)
    hampel = HampelFilter(outputCols=["clean"], action="replace", **told)
    done = hampel.transform(smooth.transform(series)).localCheckpoint()

    want = [np.empty(0), np.empty(0, dtype=bool)]
    for one in range(3):
        at_ = [i for i, p in enumerate(person) if p == one]
        found = by_hand(np.array(times)[at_], np.array(values)[at_], inside=inside, threshold=3)
        want = [np.concatenate(pair) for pair in zip(want, found, strict=True)]
    middles, odd = want
    assert 5 <= odd.sum() <= 15
    clean = np.where(odd, middles, values)
    np.testing.assert_allclose(matrix(done, "smooth", "clean", "clean_original"), np.column_stack([middles, clean, values]), atol=1e-9)
    flags = [bool(r["qc"]) for r in done.orderBy("id").select("qc").collect()]
    assert flags == odd.tolist()


def test_the_forest_ranks_as_scikit_learns_does(spark, tmp_path):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(1500, 4)) @ rng.normal(size=(4, 4))
    planted = np.arange(1500) % 50 == 0
    points[planted] = rng.uniform(-12, 12, size=(30, 4))
    points = np.vstack([points, [[np.nan, 0, 0, 0]]])
    rows_ = frame(spark, points).repartition(3)
    made = IsolationForest(inputCols=names(points), numTrees=100, contamination=0.02, seed=3, keyCols=["id"]).fit(rows_)
    made.save(str(tmp_path / "forest"))
    done = IsolationForestModel.load(str(tmp_path / "forest")).transform(rows_).localCheckpoint()
    score = matrix(done, "outlier_score")[:, 0]
    flagged = np.array([r["qc"] == ["outlier_isolation"] for r in done.orderBy("id").select("qc").collect()])
    assert np.isnan(score[-1]) and not flagged[-1] and flagged.sum() == 30
    theirs = -TheirForest(n_estimators=100, random_state=0).fit(points[:-1]).score_samples(points[:-1])
    ours_auc, their_auc = roc_auc_score(planted, score[:-1]), roc_auc_score(planted, theirs)
    correlation = np.corrcoef(np.argsort(np.argsort(score[:-1])), np.argsort(np.argsort(theirs)))[0, 1]
    print(f"isolation forest: AUROC {ours_auc:.4f}, scikit-learn {their_auc:.4f}, rank correlation {correlation:.4f}")
    assert abs(ours_auc - their_auc) < 0.02 and correlation >= 0.95


def test_trees_kept_as_numbers_score_as_the_forest_they_come_from():
    from medlake.prepare.isolation import _told, scores

    points = np.random.default_rng(1).normal(size=(600, 3)).round(2)
    forest = TheirForest(n_estimators=20, max_samples=200, random_state=1).fit(points)
    np.testing.assert_allclose(scores(points, _told(forest), 200), -forest.score_samples(points), atol=1e-12)
