"""What is missing, with what and in whom; Little's test equals one computed row by row."""

from __future__ import annotations

import numpy as np
import pytest
from frames import frame, holed
from scipy.stats import chi2, chi2_contingency
from tests.tables import assert_rows, rows

from medlake.prepare import mcar, missing_by_column, missing_by_group, missing_patterns
from medlake.prepare.em import PatternSums, little, maximum_likelihood

PEOPLE = """
    site | hb   | crp  | note
    a    | 1.0  | 2.0  | x
    a    | null | null | y
    a    | NaN  | null | null
    a    | 3.0  | 1.0  | x
    b    | 1.0  | null | x
    b    | 1.0  | 5.0  | x
    null | 2.0  | 5.0  | x
"""


def test_missing_values_are_counted_by_column_pattern_and_group(spark):
    people = rows(spark, None, PEOPLE, hb="double", crp="double")
    columns = ["hb", "crp", "note"]
    assert_rows(missing_by_column(people, columns), """
        column | n_rows | n_missing | share
        hb     | 7      | 2         | 0.285714286
        crp    | 7      | 3         | 0.428571429
        note   | 7      | 1         | 0.142857143
    """)
    assert_rows(missing_patterns(people, columns), """
        missing         | n_rows | share
        []              | 4      | 0.571428571
        [crp]           | 1      | 0.142857143
        [hb, crp]       | 1      | 0.142857143
        [hb, crp, note] | 1      | 0.142857143
    """)
    told = {(r["column"], r["level"]): r for r in missing_by_group(people, ["hb", "crp", "site"], "site").collect()}
    assert {k[1] for k in told} == {"a", "b", None}
    for column, table in {"hb": [[2, 2], [0, 2], [0, 1]], "crp": [[2, 2], [1, 1], [0, 1]]}.items():
        want = chi2_contingency(table, correction=False)
        for level, (n_missing, n_there) in zip(("a", "b", None), table, strict=True):
            r = told[column, level]
            assert (r["n_missing"], r["n_rows"], r["df"]) == (n_missing, n_missing + n_there, 2)
            assert (r["chi2"], r["p"]) == pytest.approx((want.statistic, want.pvalue))


def rows_em(points, rounds):
    """EM over single rows, as the book has it: a yardstick that knows no patterns."""
    mean, cov = np.nanmean(points, axis=0), np.diag(np.nanvar(points, axis=0))
    for _ in range(rounds):
        total, products = np.zeros_like(mean), np.zeros_like(cov)
        for row in points:
            m, x, left = np.isnan(row), row.copy(), np.zeros_like(cov)
            if m.any():
                slope = cov[np.ix_(m, ~m)] @ np.linalg.inv(cov[np.ix_(~m, ~m)])
                x[m] = mean[m] + slope @ (row[~m] - mean[~m])
                left[np.ix_(m, m)] = cov[np.ix_(m, m)] - slope @ cov[np.ix_(~m, m)]
            total, products = total + x, products + np.outer(x, x) + left
        mean = total / len(points)
        cov = products / len(points) - np.outer(mean, mean)
    return mean, cov


def rows_little(points, mean, cov):
    square, df, kinds = 0.0, -points.shape[1], np.unique(np.isnan(points), axis=0)
    for kind in kinds:
        of_kind = points[(np.isnan(points) == kind).all(axis=1)][:, ~kind]
        away = of_kind.mean(axis=0) - mean[~kind]
        square += len(of_kind) * away @ np.linalg.inv(cov[np.ix_(~kind, ~kind)]) @ away
        df += int((~kind).sum())
    return square, df, len(kinds)


def related(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) @ [[1, 0.6, 0.3], [0, 1, 0.5], [0, 0, 1]] * [1, 10, 200] + [1000, 50, -7]


def test_littles_test_is_that_of_single_rows(spark):
    points = holed(related(160, 4), 0.15, 1004)
    points = points[~np.isnan(points).all(axis=1)]
    nothing = np.full((2, 3), np.nan)  # rows without any value tell nothing
    told = mcar(frame(spark, np.vstack([points, nothing])), ["x0", "x1", "x2"])
    mean, cov = rows_em(points, 150)
    square, df, n_patterns = rows_little(points, mean, cov)
    assert (told.df, told.n_patterns, told.n_rows) == (df, n_patterns, len(points))
    assert told.statistic == pytest.approx(square, rel=1e-6)
    assert told.p == pytest.approx(chi2.sf(square, df), rel=1e-6) and told.p > 0.05
    np.testing.assert_allclose(told.mean, mean, rtol=1e-7)
    np.testing.assert_allclose(told.covariance, cov, rtol=1e-6)
    with pytest.raises(ValueError, match="more than 3 patterns"):
        mcar(frame(spark, points), ["x0", "x1", "x2"], max_patterns=3)
    with pytest.raises(ValueError, match="nothing is missing"):
        mcar(frame(spark, points[:5]), ["x0", "x1", "x2"])


def as_patterns(points):
    found = []
    for kind in np.unique(np.isnan(points), axis=0):
        z = np.nan_to_num(points[(np.isnan(points) == kind).all(axis=1)])
        found.append(PatternSums(~kind, len(z), z.sum(axis=0), z.T @ z))
    return found


def test_littles_test_rejects_as_often_as_it_should():
    p_random, p_not = [], []
    for seed in range(60):
        points = related(200, seed) - [1000, 50, -7]
        rng = np.random.default_rng(1000 + seed)
        random, by_value = points.copy(), points.copy()
        random[rng.random(200) < 0.3, 1] = np.nan
        by_value[(points[:, 0] > 0.5) & (rng.random(200) < 0.8), 1] = np.nan  # hangs on the column beside it
        for kept, one in ((p_random, random), (p_not, by_value)):
            patterns = as_patterns(one)
            mean, cov, _ = maximum_likelihood(patterns)
            square, df = little(patterns, mean, cov)
            kept.append(chi2.sf(square, df))
    assert np.mean(np.array(p_random) < 0.05) < 0.15 and np.mean(np.array(p_not) < 0.05) == 1.0
