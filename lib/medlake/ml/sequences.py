"""SequencePatterns: what often follows what in people's records. Fitting runs Spark jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel, keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.fpm import PrefixSpan
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError
from medlake.ml.itemsets import least_count
from medlake.ml.occurrences import Limits, Node, Pattern, as_tree, occurring
from medlake.ml.persistence import KeepsTables
from medlake.ml.temporal import first_dates, pairs

MAX_LOCAL_ITEMS = 32_000_000  # PrefixSpan's own default for what one task may project
SEEN = "pattern int, days int, n bigint"
COLUMNS = ("personCol", "itemCol", "timeCol")


def _param(name: str, about: str, convert: Any) -> Any:
    return Param(Params._dummy(), name, about, typeConverter=convert)


class EventParams(Params):
    """What the events are called."""

    personCol: Param[str] = _param("personCol", "whose event it is", TypeConverters.toString)
    itemCol: Param[str] = _param("itemCol", "what happened, string", TypeConverters.toString)
    timeCol: Param[str] = _param("timeCol", "when, date or timestamp", TypeConverters.toString)

    def _event_defaults(self) -> None:
        self._setDefault(personCol="person_id", itemCol="item", timeCol="time")

    def _events(self, dataset: DataFrame) -> DataFrame:
        """person, item, day (days since 1970), distinct; an event without one of them is none.

        Raises:
            ConfigError: a column is absent.
        """
        names = [self.getOrDefault(name) for name in COLUMNS]
        absent = [name for name in names if name not in dataset.columns]
        if absent:
            raise ConfigError(f"The events have no column {', '.join(absent)}")
        person, item, time = (F.col(f"`{name}`") for name in names)
        events = dataset.select(
            person.alias("person"), item.alias("item"), F.unix_date(time.cast("date")).alias("day")
        )
        return events.dropna().distinct()


class SequencePatterns(
    Estimator["SequencePatternsModel"], EventParams, DefaultParamsReadable[Any], DefaultParamsWritable
):
    """Sequences of steps that at least `minSupport` of the people go through, and what comes first of two.

    Patterns come from PrefixSpan (Pei 2001; MLlib's), which knows no time, and each is then counted anew
    under the limits, exactly: limits only take people away, so that nothing frequent is missed. A step is a set
    of items of one day. An occurrence is a choice of one day per step, each minGapDays to maxGapDays after the
    one before, and none more than windowDays after the first (0: no limit; minGapDays at least 1). A person
    counts once. `medianDays` is the median over people of the days from first to last step, in the
    occurrence that begins first and, of those, ends first.

    maxLength: most items of a pattern over all its steps, as MLlib counts. firstOnly: a repeated item counts on
    its first day alone. maxCandidates: patterns that PrefixSpan may find; more is a ConfigError. The patterns,
    never events, pass through the driver.

    `pairs` of the model are temporal rules of single items, on first days: see `temporal.pairs`.

    Time: PrefixSpan's, and per person the number of patterns whose beginnings occur. Events of a person are in
    one worker's memory at a time.

    >>> model = SequencePatterns(minSupport=0.1, windowDays=365).fit(events)  # doctest: +SKIP
    >>> model.patterns.show()  # doctest: +SKIP
    """

    minSupport: Param[float] = _param("minSupport", "least share of people", TypeConverters.toFloat)
    maxLength: Param[int] = _param("maxLength", "most items of a pattern", TypeConverters.toInt)
    minGapDays: Param[int] = _param("minGapDays", "least days between steps", TypeConverters.toInt)
    maxGapDays: Param[int] = _param("maxGapDays", "most days between steps; 0: any", TypeConverters.toInt)
    windowDays: Param[int] = _param("windowDays", "most days of all steps; 0: any", TypeConverters.toInt)
    firstOnly: Param[bool] = _param("firstOnly", "first day of an item alone", TypeConverters.toBoolean)
    maxCandidates: Param[int] = _param("maxCandidates", "most patterns found", TypeConverters.toInt)

    @keyword_only
    def __init__(
        self, *, minSupport: float = 0.1, maxLength: int = 3, minGapDays: int = 1, maxGapDays: int = 0,
        windowDays: int = 0, firstOnly: bool = False, maxCandidates: int = 200_000,
        personCol: str = "person_id", itemCol: str = "item", timeCol: str = "time",
    ) -> None:  # fmt: skip
        super().__init__()
        self._event_defaults()
        self._setDefault(
            minSupport=0.1, maxLength=3, minGapDays=1, maxGapDays=0, windowDays=0, firstOnly=False,
            maxCandidates=200_000,
        )  # fmt: skip
        self._set(**self._input_kwargs)  # type: ignore[attr-defined]

    def setParams(self, **choices: Any) -> SequencePatterns:
        """Set choices by name."""
        self._set(**choices)
        return self

    def _fit(self, dataset: DataFrame) -> SequencePatternsModel:
        limits = self._limits()
        support = self.getOrDefault(self.minSupport)
        all_events = self._events(dataset).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            seen = all_events.agg(F.count_distinct("person").alias("n")).first()
            n = int(seen["n"]) if seen else 0
            least = least_count(support, n)
            events = _of_frequent_items(all_events, least)
            first = first_dates(events)
            shown = first if self.getOrDefault(self.firstOnly) else events
            candidates = self._candidates(shown, least, n)
            patterns = _counted(shown, candidates, limits, least, n).localCheckpoint()
            ordered = pairs(first, least=least, n_persons=n, limits=limits).localCheckpoint()
        finally:
            all_events.unpersist()
        model = SequencePatternsModel(patterns, ordered, n)
        return self._copyValues(model)

    def _limits(self) -> Limits:
        """The limits of time.

        Raises:
            ConfigError: lists every choice that is out of its range.
        """
        support = self.getOrDefault(self.minSupport)
        faults = [] if 0 < support <= 1 else [f"minSupport must be above 0 and at most 1, not {support}"]
        lowest = {self.maxLength: 1, self.minGapDays: 1, self.maxGapDays: 0, self.windowDays: 0, self.maxCandidates: 1}
        faults += [f"{p.name} must be at least {n}" for p, n in lowest.items() if self.getOrDefault(p) < n]
        limits = Limits(*(self.getOrDefault(p) for p in (self.minGapDays, self.maxGapDays, self.windowDays)))
        if 0 < limits.max_gap < limits.min_gap:
            faults.append("maxGapDays must not be below minGapDays")
        if faults:
            raise ConfigError("SequencePatterns: " + "; ".join(faults))
        return limits

    def _candidates(self, events: DataFrame, least: int, n: int) -> list[Pattern]:
        """The patterns of two steps and more that are frequent without any limit of time."""
        by_day = events.groupBy("person", "day").agg(F.array_sort(F.collect_set("item")).alias("items"))
        dated = F.array_sort(F.collect_list(F.struct("day", "items")))
        sequences = by_day.groupBy("person").agg(F.transform(dated, lambda one: one["items"]).alias("sequence"))
        most = self.getOrDefault(self.maxCandidates)
        span = PrefixSpan(
            # Half a person less: MLlib rounds minSupport · n up, whatever the last bit says. Its n is smaller.
            minSupport=max(0.0, (least - 0.5) / max(sequences.count(), 1)),
            maxPatternLength=self.getOrDefault(self.maxLength), maxLocalProjDBSize=MAX_LOCAL_ITEMS,
            sequenceCol="sequence",
        )  # fmt: skip
        found = span.findFrequentSequentialPatterns(sequences).where(F.size("sequence") > 1)
        table = found.select("sequence").limit(most + 1).toArrow()
        if table.num_rows > most:
            raise ConfigError(
                f"More than {most:,} candidate sequences: raise minSupport, lower maxLength or allow more with "
                "maxCandidates"
            )
        told = table.column("sequence").to_pylist()
        return sorted(tuple(tuple(sorted(step)) for step in one) for one in told)


def _of_frequent_items(events: DataFrame, least: int) -> DataFrame:
    often = events.groupBy("item").agg(F.count_distinct("person").alias("n")).where(F.col("n") >= least)
    return events.join(often.select("item"), on="item", how="left_semi")


def _counted(
    events: DataFrame, candidates: list[Pattern], limits: Limits, least: int, n_persons: int
) -> DataFrame:
    """sequence, freq, support, medianDays of the candidates that enough people go through within the limits."""
    spark = events.sparkSession
    tree = spark.sparkContext.broadcast(as_tree(candidates))
    dated = F.collect_list(F.struct("item", "day"))
    people = events.groupBy("person").agg(F.array_sort(dated).alias("events")).select("events")

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _seen(batches, tree.value, limits)

    numbered = spark.createDataFrame(
        [(at, [list(step) for step in one]) for at, one in enumerate(candidates)],
        "pattern int, sequence array<array<string>>",
    )
    counted = (
        people.mapInArrow(run, SEEN)
        .groupBy("pattern")
        .agg(F.sum("n").alias("freq"), F.percentile("days", 0.5, F.col("n")).alias("medianDays"))
        .where(F.col("freq") >= least)
    )
    support = F.col("freq") / F.lit(max(n_persons, 1))
    return counted.join(F.broadcast(numbered), on="pattern", how="inner").select(
        "sequence", "freq", support.alias("support"), "medianDays"
    )


def _seen(batches: Iterator[pa.RecordBatch], tree: Node, limits: Limits) -> Iterator[pa.RecordBatch]:
    """People's events array<struct<item, day>>, sorted → SEEN, summed over the batches."""
    n_of: dict[tuple[int, int], int] = {}
    for batch in batches:
        for events in batch.column("events").to_pylist():
            days: dict[str, list[int]] = {}
            for event in events:
                days.setdefault(event["item"], []).append(event["day"])
            for found in occurring(tree, days, limits):
                n_of[found] = n_of.get(found, 0) + 1
    if n_of:
        pattern, span = zip(*n_of, strict=True)
        columns = [pa.array(pattern, pa.int32()), pa.array(span, pa.int32()), pa.array(n_of.values(), pa.int64())]
        yield pa.RecordBatch.from_arrays(columns, names=["pattern", "days", "n"])


class SequencePatternsModel(Model, KeepsTables, EventParams):
    """patterns: sequence array<array<string>>, freq, support, medianDays. pairs: as `temporal.pairs`. nPersons."""

    def __init__(
        self, patterns: DataFrame | None = None, pairs: DataFrame | None = None, n_persons: int = 0
    ) -> None:
        super().__init__()
        self._event_defaults()
        self._patterns, self._pairs, self._n_persons = patterns, pairs, n_persons

    @property
    def patterns(self) -> DataFrame:
        """sequence, freq, support, medianDays."""
        return _fitted(self._patterns)

    @property
    def pairs(self) -> DataFrame:
        """Temporal rules of single items."""
        return _fitted(self._pairs)

    @property
    def nPersons(self) -> int:
        """People with an event."""
        return self._n_persons

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """The events of items that a pattern knows; other events are left out."""
        items = self.patterns.select(F.explode(F.flatten("sequence")).alias("_item")).distinct()
        known = F.col(f"`{self.getOrDefault(self.itemCol)}`") == F.col("_item")
        return dataset.join(F.broadcast(items), on=known, how="left_semi")

    def _facts(self) -> dict[str, Any]:
        return {"nPersons": self._n_persons}

    def _tables(self) -> dict[str, DataFrame]:
        return {"patterns": self.patterns, "pairs": self.pairs}

    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None:
        self._n_persons = int(facts["nPersons"])
        self._patterns, self._pairs = tables["patterns"], tables["pairs"]


def _fitted(table: DataFrame | None) -> DataFrame:
    if table is None:
        raise ConfigError("This model was not fitted; load one, or fit SequencePatterns")
    return table
