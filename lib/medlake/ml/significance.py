"""Tests of two things that go together, and their correction for many tests, as Spark columns.

p values are kept to nine significant digits: the last bits may differ between processors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from scipy.special import chdtrc
from scipy.stats import binom, hypergeom

Floats = npt.NDArray[np.float64]


def _rounded(p: Floats) -> pd.Series:
    clipped = np.clip(p, np.finfo(float).tiny, 1.0)
    return pd.Series([float(f"{one:.9g}") for one in clipped])


def fisher_tail(n: pd.Series, n_a: pd.Series, n_b: pd.Series, n_all: pd.Series) -> pd.Series:
    """Fisher's exact test, one-sided: P(at least `n` of the `n_a` with A have B) were the two unrelated."""
    return _rounded(hypergeom.sf(n.to_numpy() - 1, n_all.to_numpy(), n_b.to_numpy(), n_a.to_numpy()))


def fisher_both(n: pd.Series, n_a: pd.Series, n_b: pd.Series, n_all: pd.Series) -> pd.Series:
    """Fisher's exact test, two-sided: twice the smaller tail, at most 1."""
    table = (n_all.to_numpy(), n_b.to_numpy(), n_a.to_numpy())
    more, less = hypergeom.sf(n.to_numpy() - 1, *table), hypergeom.cdf(n.to_numpy(), *table)
    return _rounded(np.minimum(1.0, 2 * np.minimum(more, less)))


def chi2_tail(n: pd.Series, n_a: pd.Series, n_b: pd.Series, n_all: pd.Series) -> pd.Series:
    """Pearson's chi² of the 2 × 2 table, one degree of freedom, no correction; 1 where a margin is empty."""
    both, a, b, total = (one.to_numpy(dtype=float) for one in (n, n_a, n_b, n_all))
    spread = a * b * (total - a) * (total - b)
    with np.errstate(divide="ignore", invalid="ignore"):
        chi2 = np.where(spread > 0, total * (both * total - a * b) ** 2 / spread, 0.0)
    return _rounded(chdtrc(1, chi2))


def sign_test(n_first: pd.Series, n_second: pd.Series) -> pd.Series:
    """Binomial test, two-sided: were `n_first` of the two as likely as `n_second`? 1 where there is neither."""
    low = np.minimum(n_first.to_numpy(), n_second.to_numpy())
    total = n_first.to_numpy() + n_second.to_numpy()
    return _rounded(np.minimum(1.0, 2 * binom.cdf(low, total, 0.5)))


def p_of(test: Callable[..., pd.Series], *columns: str | Column) -> Column:
    """One of the tests above, of columns in the order of its arguments."""
    p: Column = pandas_udf(test, "double")(  # type: ignore[call-overload]
        *[F.col(c) if isinstance(c, str) else c for c in columns]
    )
    return p


def with_q(
    tested: DataFrame, p: str, q: str, *, n_tests: Column | None = None, within: str | None = None
) -> DataFrame:
    """Adds `q`: Benjamini and Hochberg 1995 over all rows, or over the rows of each value of `within`.

    n_tests: how many tests there were, where the rows are only the found ones; the same in every row of a
    group. A test that is no row counts as one with a larger p than any row. Only the distinct p values of a
    group pass through one partition, with their numbers.
    """
    group = [within] if within else []
    tests = F.max(n_tests) if n_tests is not None else F.lit(None).cast("double")
    distinct = tested.groupBy(*group, p).agg(F.count(F.lit(1)).alias("_n"), tests.alias("_tests"))
    by_group = Window.partitionBy(*[F.col(name) for name in group] or [F.lit(0)])
    up_to = by_group.orderBy(p).rowsBetween(Window.unboundedPreceding, 0)
    onwards = by_group.orderBy(p).rowsBetween(0, Window.unboundedFollowing)
    m = F.greatest(F.sum("_n").over(by_group).cast("double"), F.col("_tests"))
    stepped = (
        distinct.withColumn("_scaled", F.col(p) * m / F.sum("_n").over(up_to))
        .withColumn(q, F.least(F.min("_scaled").over(onwards), F.lit(1.0)))
        .select(*group, p, q)
    )
    return tested.join(stepped, on=[*group, p], how="inner")
