"""FrequentItemsets: what often stands in one basket together, exactly. Fitting runs Spark jobs."""

from __future__ import annotations

from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.fpm import FPGrowth
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError
from medlake.ml import counting
from medlake.ml.persistence import KeepsTables

METHODS = ("eclat", "fpgrowth")
KEPT = ("all", "closed", "maximal")


class BasketParams(Params):
    """What FrequentItemsets and AssociationRules ask of baskets."""

    itemsCol: Param[str] = Param(
        Params._dummy(), "itemsCol", "baskets, array<string>", TypeConverters.toString
    )
    minSupport: Param[float] = Param(
        Params._dummy(), "minSupport", "least share of baskets that hold an itemset", TypeConverters.toFloat
    )
    maxLength: Param[int] = Param(
        Params._dummy(), "maxLength", "most items of an itemset; 0: any number", TypeConverters.toInt
    )
    maxItems: Param[int] = Param(
        Params._dummy(), "maxItems", "items of a basket that are searched, the rarest; 0: all", TypeConverters.toInt
    )
    maxCandidates: Param[int] = Param(
        Params._dummy(), "maxCandidates", "most itemsets held at once; more is an error", TypeConverters.toInt
    )
    method: Param[str] = Param(
        Params._dummy(), "method", f"one of {', '.join(METHODS)}", TypeConverters.toString
    )

    def _basket_defaults(self) -> None:
        self._setDefault(
            itemsCol="items", minSupport=0.01, maxLength=0, maxItems=0, maxCandidates=2_000_000, method="eclat"
        )

    def _checked(self) -> None:
        """Every fault of the choices at once.

        Raises:
            ConfigError: a choice is out of its range, or contradicts another.
        """
        support, method = self.getOrDefault(self.minSupport), self.getOrDefault(self.method)
        faults = [] if 0 < support <= 1 else [f"minSupport must be above 0 and at most 1, not {support}"]
        faults += [] if method in METHODS else [f"method must be one of {', '.join(METHODS)}, not {method}"]
        for limit, lowest in ((self.maxLength, 0), (self.maxItems, 0), (self.maxCandidates, 1)):
            if self.getOrDefault(limit) < lowest:
                faults.append(f"{limit.name} must be at least {lowest}")
        if method == "fpgrowth" and self.getOrDefault(self.maxItems):
            faults.append("maxItems needs the method eclat, which counts whole baskets all the same")
        if faults:
            raise ConfigError(f"{type(self).__name__}: " + "; ".join(faults))


def least_count(share: float, n: int) -> int:
    """The smallest count, at least 1, whose share of n is at least `share`, as floating point has it."""
    least = int(share * n)
    while least > 1 and (least - 1) / n >= share:
        least -= 1
    while n and least / n < share:
        least += 1
    return max(least, 1)


class FrequentItemsets(
    Estimator["FrequentItemsetsModel"], BasketParams, DefaultParamsReadable[Any], DefaultParamsWritable
):
    """Every set of items that at least `minSupport` of the baskets hold, with its exact count.

    Two passes over blocks of baskets (SON: Savasere, Omiecinski, Navathe 1995): what is frequent in a block at
    its share of the count is a candidate, and candidates that not every block told of are counted in all. A
    block is mined by ECLAT on bitsets (Zaki 2000), in NumPy behind `mapInArrow`.

    itemsCol: array<string>; order and repeats do not matter, a null item is none, a null basket an empty one.
    maxLength: itemsets have at most so many items (0: any number).
    maxItems: of a basket with more frequent items only the rarest are searched (0, the default: all). What is
    lost then: itemsets that are frequent only by the help of items cut off are not found. What is found keeps
    its exact count over whole baskets.
    keep: `all`; `closed`, those without a larger one of the same count; `maximal`, those without a larger
    frequent one. Both look at itemsets of up to `maxLength` items, nothing longer.
    method: `eclat`, or `fpgrowth`, MLlib's, as a reference.
    maxCandidates: a fit holds no more frequent items, itemsets of one block or undecided candidates than that;
    beyond it is a ConfigError. The undecided are the largest thing the driver sees: 100 bytes each.

    Time: the baskets are read once; mining takes time with the number of frequent itemsets and the baskets of
    their rarest item. Memory: a worker holds one block of at most 2^24 entries (64 MB, three times over) and
    one bit matrix per item of the longest itemset.

    >>> model = FrequentItemsets(minSupport=0.5).fit(baskets)  # doctest: +SKIP
    >>> model.itemsets.show()  # doctest: +SKIP
    """

    keep: Param[str] = Param(Params._dummy(), "keep", f"one of {', '.join(KEPT)}", TypeConverters.toString)

    @keyword_only
    def __init__(
        self, *, minSupport: float = 0.01, itemsCol: str = "items", maxLength: int = 0, maxItems: int = 0,
        keep: str = "all", method: str = "eclat", maxCandidates: int = 2_000_000,
    ) -> None:  # fmt: skip
        super().__init__()
        self._basket_defaults()
        self._setDefault(keep="all")
        self._set(**self._input_kwargs)  # type: ignore[attr-defined]

    def setParams(self, **choices: Any) -> FrequentItemsets:
        """Set choices by name."""
        self._set(**choices)
        return self

    def _fit(self, dataset: DataFrame) -> FrequentItemsetsModel:
        self._checked()
        keep = self.getOrDefault(self.keep)
        if keep not in KEPT:
            raise ConfigError(f"keep must be one of {', '.join(KEPT)}, not {keep}")
        baskets = counting.baskets_of(dataset, self.getOrDefault(self.itemsCol))
        itemsets, n_baskets = mined(baskets, self)
        if keep != "all":
            itemsets = (closed if keep == "closed" else maximal)(itemsets).localCheckpoint()
        model = FrequentItemsetsModel(itemsets, n_baskets)
        return self._copyValues(model)


def mined(baskets: DataFrame, choices: BasketParams) -> tuple[DataFrame, int]:
    """(items, freq of every frequent itemset; the number of baskets), baskets: items."""
    support = choices.getOrDefault(choices.minSupport)
    longest = choices.getOrDefault(choices.maxLength)
    with counting.packed(baskets) as ready:
        n = ready.n_baskets
        limits = counting.Limits(
            least=least_count(support, n),
            max_length=longest,
            max_items=choices.getOrDefault(choices.maxItems),
            max_candidates=choices.getOrDefault(choices.maxCandidates),
        )
        if choices.getOrDefault(choices.method) == "eclat":
            return counting.found(ready, limits), n
    # MLlib rounds minSupport · n up: half a basket less makes it the same count whatever the last bit says.
    growth = FPGrowth(itemsCol="items", minSupport=max(0.0, (limits.least - 0.5) / max(n, 1)))
    distinct = F.array_distinct(F.array_compact(F.coalesce("items", F.array().cast("array<string>"))))
    found = growth.fit(baskets.select(distinct.alias("items"))).freqItemsets
    short = found if longest == 0 else found.where(F.size("items") <= longest)
    return short.select(F.array_sort("items").alias("items"), "freq").localCheckpoint(), n


def _largest_around(itemsets: DataFrame) -> DataFrame:
    """items, around: the largest count of an itemset with one item more, where there is one."""
    whole = itemsets.where(F.size("items") > 1)
    part = F.explode(F.transform("items", lambda taken: F.array_remove("items", taken)))
    return whole.select(part.alias("items"), "freq").groupBy("items").agg(F.max("freq").alias("around"))


def closed(itemsets: DataFrame) -> DataFrame:
    """The itemsets without a larger one of the same count (Pasquier 1999): they tell every count."""
    seen = itemsets.join(_largest_around(itemsets), on="items", how="left")
    return seen.where(F.coalesce(F.col("around") < F.col("freq"), F.lit(True))).drop("around")


def maximal(itemsets: DataFrame) -> DataFrame:
    """The itemsets without a larger frequent one (Bayardo 1998): they tell what is frequent, in fewest rows."""
    return itemsets.join(_largest_around(itemsets), on="items", how="left_anti")


class FrequentItemsetsModel(Model, KeepsTables, BasketParams):
    """Frequent itemsets. itemsets: items array<string> (sorted), freq bigint. nBaskets: baskets counted."""

    def __init__(self, itemsets: DataFrame | None = None, n_baskets: int = 0) -> None:
        super().__init__()
        self._basket_defaults()
        self._itemsets, self._n_baskets = itemsets, n_baskets

    @property
    def itemsets(self) -> DataFrame:
        """items array<string>, sorted; freq bigint."""
        if self._itemsets is None:
            raise ConfigError("This model was not fitted; load one, or fit FrequentItemsets")
        return self._itemsets

    @property
    def nBaskets(self) -> int:
        """The number of baskets, empty ones among them."""
        return self._n_baskets

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Each basket reduced to its frequent items, sorted: without what no itemset knows."""
        column = self.getOrDefault(self.itemsCol)
        counting.baskets_of(dataset, column)
        known = self.itemsets.select(F.explode("items").alias("item")).agg(F.collect_set("item").alias("_known"))
        rest = [name for name in dataset.columns if name != column]
        kept = F.array_sort(F.array_intersect(F.col(column), F.col("_known"))).alias(column)
        placed = {name: F.col(f"`{name}`") for name in rest} | {column: kept}
        return dataset.crossJoin(F.broadcast(known)).select(*[placed[name] for name in dataset.columns])

    def _facts(self) -> dict[str, Any]:
        return {"nBaskets": self._n_baskets}

    def _tables(self) -> dict[str, DataFrame]:
        return {"itemsets": self.itemsets}

    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None:
        self._n_baskets, self._itemsets = int(facts["nBaskets"]), tables["itemsets"]
