"""Categories as numbers: one-hot with an `other` and a `missing` level, and ordinal. Fitting runs Spark jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.functions import array_to_vector
from pyspark.ml.param import TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.prepare.columns import Columns, KeepsFacts, known, param

OTHER, MISSING = "other", "missing"
MAX_LEVELS = 1_000
UNKNOWN = ("error", "missing", "last")


def _is_at(place: Column) -> Callable[[Column], Column]:
    return lambda i: (i == place).cast("double")


def _level(dataset: DataFrame, column: str) -> Column:
    return known(dataset, column).cast("string")


class _HotParams(Columns):
    minShare = param("minShare", "share of the rows that a level needs to stand alone", TypeConverters.toFloat)
    maxLevels = param("maxLevels", "levels that stand alone at most, the most frequent", TypeConverters.toInt)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(minShare=0.01, maxLevels=MAX_LEVELS)


class OneHotEncoder(Estimator["OneHotEncoderModel"], _HotParams, DefaultParamsReadable[Any], DefaultParamsWritable):
    """One vector per column: 1 at the row's level, 0 elsewhere, the levels in rising order, then `other`, `missing`.

    A level with less than minShare of all rows, one beyond maxLevels, and one that the fit has not seen are `other`.
    Both extra levels are always there, so the vector's length depends on the kept levels alone. The output is MLlib's
    vector, ready for a VectorAssembler. (MLlib's own encoder has neither level, and wants an index first.)

    Cost: one count per column; the driver sees at most maxLevels levels of each.

    >>> OneHotEncoder(inputCols=["ward"], outputCols=["ward_hot"], minShare=0.01).fit(train)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, minShare: float = 0.01,
        maxLevels: int = MAX_LEVELS,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> OneHotEncoderModel:
        columns, share = self.inputs(), self.getOrDefault(self.minShare)
        pairs = [F.struct(F.lit(i).alias("i"), _level(dataset, c).alias("level")) for i, c in enumerate(columns)]
        counts = dataset.select(F.inline(F.array(*pairs))).groupBy("i", "level").agg(F.count(F.lit(1)).alias("n"))
        shared = counts.selectExpr("*", "n / sum(n) OVER (PARTITION BY i) AS share")
        kept = shared.where(F.col("level").isNotNull() & (F.col("share") >= share)).selectExpr(
            "i", "level", "row_number() OVER (PARTITION BY i ORDER BY n DESC, level) AS place"
        )
        rows = kept.where(F.col("place") <= self.getOrDefault(self.maxLevels)).collect()
        levels = [sorted(r["level"] for r in rows if r["i"] == i) for i in range(len(columns))]
        model = OneHotEncoderModel()
        model._kept = {"levels": levels}
        return self._copyValues(model)


class OneHotEncoderModel(KeepsFacts, _HotParams):
    """The levels that stand alone. Lazy."""

    @property
    def levels(self) -> dict[str, list[str]]:
        """What each entry of a column's vector stands for."""
        return {c: [*kept, OTHER, MISSING] for c, kept in zip(self.inputs(), self._kept["levels"], strict=True)}

    def _transform(self, dataset: DataFrame) -> DataFrame:
        outputs = {}
        for (column, out), kept in zip(self.pairs(), self._kept["levels"], strict=True):
            level = _level(dataset, column)
            place = F.array_position(F.array(*map(F.lit, kept)).cast("array<string>"), level)
            at = F.when(level.isNull(), len(kept) + 2).when(place == 0, len(kept) + 1).otherwise(place)
            outputs[out] = array_to_vector(F.transform(F.sequence(F.lit(1), F.lit(len(kept) + 2)), _is_at(at)))
        return dataset.withColumns(outputs)


class _OrdinalParams(Columns):
    levels = param("levels", "column: its levels in rising order; absent: as strings sort")
    unknown = param("unknown", "a level that is not known: error, missing, last", TypeConverters.toString)
    maxLevels = param("maxLevels", "levels that a column may have", TypeConverters.toInt)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(levels={}, unknown="missing", maxLevels=MAX_LEVELS)


class OrdinalEncoder(
    Estimator["OrdinalEncoderModel"], _OrdinalParams, DefaultParamsReadable[Any], DefaultParamsWritable
):
    """The place of a level, as double from 0: in the order of `levels`, else in that of the strings.

    Missing stays missing. unknown: what a level becomes that is not among them: `error`, `missing`, or `last` (a place
    after the last).

    Raises:
        ValueError: a column has more than maxLevels levels. A row of an unknown level fails the query for `error`.

    >>> OrdinalEncoder(inputCols=["stage"], levels={"stage": ["I", "II", "III", "IV"]}).fit(rows)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None,
        levels: dict[str, list[str]] | None = None, unknown: str = "missing", maxLevels: int = MAX_LEVELS,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> OrdinalEncoderModel:
        columns, most = self.inputs(), self.getOrDefault(self.maxLevels)
        self.one_of("unknown", UNKNOWN)
        given: dict[str, list[str]] = self.getOrDefault(self.levels)
        asked = [c for c in columns if c not in given]
        found: dict[str, list[str]] = {}
        if asked:
            pairs = [F.struct(F.lit(c).alias("c"), _level(dataset, c).alias("level")) for c in asked]
            seen = dataset.select(F.inline(F.array(*pairs))).where("level IS NOT NULL").distinct()
            rows = seen.limit(most * len(asked) + 1).collect()
            found = {c: sorted(r["level"] for r in rows if r["c"] == c) for c in asked}
            many = [c for c, levels in found.items() if len(levels) > most]
            if many or len(rows) > most * len(asked):
                raise ValueError(f"OrdinalEncoder: {', '.join(many or asked)} have more than {most} levels")
        model = OrdinalEncoderModel()
        model._kept = {"levels": [list(given.get(c, found.get(c, []))) for c in columns]}
        return self._copyValues(model)


class OrdinalEncoderModel(KeepsFacts, _OrdinalParams):
    """The levels in their order. Lazy."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        unknown = self.getOrDefault(self.unknown)
        outputs = {}
        for (column, out), levels in zip(self.pairs(), self._kept["levels"], strict=True):
            level = _level(dataset, column)
            place = F.array_position(F.array(*map(F.lit, levels)).cast("array<string>"), level)
            if unknown == "error":
                odd = F.raise_error(F.lit(f"{column} has a level that OrdinalEncoder does not know")).cast("double")
            else:
                odd = F.lit(float(len(levels)) if unknown == "last" else None).cast("double")
            outputs[out] = F.when(place > 0, (place - 1).cast("double")).when(level.isNotNull(), odd)
        return dataset.withColumns(outputs)
