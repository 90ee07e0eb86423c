"""Counts of persons with noise: differential privacy by OpenDP (extra `release`).

A group is released only where its noisy count reaches a threshold, so that not even the existence of a rare group tells
anything (Rogers 2023, as OpenDP's make_laplace_threshold proves it). Noise is drawn by OpenDP from the system's
randomness: there is no seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError, MissingExtraError

GREATEST_THRESHOLD = 1_000_000_000


@dataclass(frozen=True)
class Released:
    """Groups with their noisy counts, and what they cost."""

    counts: dict[str, int]
    epsilon: float
    delta: float
    threshold: int


def persons_by(rows: DataFrame, by: Sequence[str], *, groups_per_person: int) -> DataFrame:
    """(group, n): persons per group, as JSON of its values; each person in so many groups at most, chosen by a hash."""
    group = F.to_json(F.struct(*by), {"ignoreNullFields": "false"}).alias("group")
    pairs = rows.where("person_id IS NOT NULL").select("person_id", group).distinct()
    order = Window.partitionBy("person_id").orderBy(F.xxhash64("person_id", "group"), "group")
    bounded = pairs.withColumn("place", F.row_number().over(order)).where(F.col("place") <= groups_per_person)
    return bounded.groupBy("group").agg(F.count(F.lit(1)).alias("n"))


def with_noise(counts: Mapping[str, int], *, epsilon: float, delta: float, groups_per_person: int = 1) -> Released:
    """The counts with noise, rare groups left out.

    Raises:
        MissingExtraError: OpenDP is not installed.
        ConfigError: epsilon or delta is out of range.
    """
    if util.find_spec("opendp") is None:
        raise MissingExtraError("release", "OpenDP")
    if not 0 < epsilon <= 20 or not 0 < delta < 0.1 or groups_per_person < 1:
        raise ConfigError("epsilon must be above 0 and at most 20, delta above 0 and below 0.1, groups at least 1")
    scale, person = groups_per_person / epsilon * (1 + 1e-9), (groups_per_person, groups_per_person, 1)
    low, high = 1, GREATEST_THRESHOLD
    while low < high:  # the least threshold that keeps delta: delta falls as it grows
        middle = (low + high) // 2
        low, high = (low, middle) if _measure(scale, middle).map(person)[1] <= delta else (middle + 1, high)
    measure = _measure(scale, low)
    spent = measure.map(person)
    if spent[0] > epsilon * (1 + 1e-6) or spent[1] > delta:
        raise ConfigError(f"Noise for epsilon {epsilon} and delta {delta} cannot be had")
    return Released(dict(sorted(measure(dict(counts)).items())), float(spent[0]), float(spent[1]), low)


def _measure(scale: float, threshold: int) -> Any:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T=int)), dp.l01inf_distance(dp.absolute_distance(T=int))
    return dp.m.make_laplace_threshold(*space, scale=scale, threshold=threshold)
