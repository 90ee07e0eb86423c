"""Weights by Splink, from samples of bounded size: u from records drawn at random, m by EM from whole blocks.

This module's functions run Spark jobs: counts, and samples that one machine holds (at most SAMPLE records each).

Splink's own Spark backend was tried: each step of EM is a Spark query, and it leaves views and checkpoint files of
people's names behind. What EM needs is a sample; so Splink estimates in memory, and scoring runs on Spark.
Samples are drawn by a hash of the key and in the key's order: the same records give the same model, however they lie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import MissingExtraError
from medlake.link.comparison import COMPARISONS
from medlake.link.fields import FIELDS
from medlake.link.model import Model

SAMPLE = 20_000  # records of one sample of blocks
RANDOM_SAMPLE = 2_000  # records that are compared with each other for u: two million pairs
LEAST_MATCHES = 50.0  # expected matches of a session of EM below which it is not used
PARTS = 1_000_000  # in which a hash is cut to draw a share
MAX_BLOCK = 50  # records of a block that a sample takes: larger ones hold few matches among many pairs
# What EM blocks on, so that the other fields can be estimated.
SESSIONS: Mapping[str, tuple[str, ...]] = {
    "national_id": ("national_id",), "birth": ("birth",), "names": ("given_root", "family"),
}  # fmt: skip

Say = Callable[[str], None]


@dataclass(frozen=True)
class Session:
    """What one session of EM found: field → shares per level, and the expected number of matches."""

    m: Mapping[str, tuple[float, ...]]
    n_matches: float


def estimated(records: DataFrame, unlike: DataFrame, model: Model, *, key: str, seed: int, say: Say) -> Model:
    """`model` with Splink's estimates of u and m laid over it, as far as there are pairs to estimate from.

    `records`: key and FIELDS. `unlike`: those of them that rules do not already say to be somebody among the others.

    Raises:
        MissingExtraError: Splink is not installed.
    """
    sample = _drawn(unlike, F.col(key), RANDOM_SAMPLE, unlike.count(), key=key, seed=seed)
    n_pairs = sample.num_rows * (sample.num_rows - 1) / 2
    if not n_pairs:
        say("link: there are no two records to compare; the declared weights hold")
        return model
    model = model.with_u(_random_shares(sample, model), n_pairs)
    found: dict[str, list[tuple[tuple[float, ...], float]]] = {}
    for name, by in SESSIONS.items():
        session = _session(records, model, by, key=key, seed=seed)
        if session is None or session.n_matches < LEAST_MATCHES:
            n = 0 if session is None else round(session.n_matches)
            say(f"link: too few pairs agree in {name} to estimate from ({n} expected matches)")
            continue
        for field, shares in session.m.items():
            found.setdefault(field, []).append((shares, session.n_matches))
    lacking = [c.field for c in COMPARISONS if c.field not in found]
    if lacking:
        say(f"link: declared weights hold for {', '.join(lacking)}")
    return model.with_m({field: _mean(several) for field, several in found.items()})


def _mean(several: list[tuple[tuple[float, ...], float]]) -> tuple[tuple[float, ...], float]:
    n = sum(weight for _, weight in several)
    n_levels = len(several[0][0])
    return tuple(sum(s[i] * w for s, w in several) / n for i in range(n_levels)), n


def _drawn(records: DataFrame, by: Column, n: int, n_all: int, *, key: str, seed: int) -> pa.Table:
    """About `n` of `n_all` records, whole groups of `by`, in the order of the key."""
    share = min(PARTS, PARTS * n // max(n_all, 1))
    chosen = records.where(F.pmod(F.xxhash64(by, F.lit(seed)), F.lit(PARTS)) < share)
    return chosen.select(F.col(key).cast("string").alias("unique_id"), *FIELDS).orderBy("unique_id").limit(
        2 * n
    ).toArrow()


def _session(records: DataFrame, model: Model, by: tuple[str, ...], *, key: str, seed: int) -> Session | None:
    """One session of EM on a sample of the blocks that share `by`; None where there are none."""
    full = records.dropna(subset=list(by))
    shared = full.groupBy(*by).agg(F.count("*").alias("n_block")).where(F.col("n_block").between(2, MAX_BLOCK))
    told = shared.agg(F.sum("n_block").alias("n")).first()
    n_all = 0 if told is None else int(told["n"] or 0)
    if not n_all:
        return None
    inside = full.join(shared, on=list(by), how="left_semi")
    sample = _drawn(inside, F.struct(*by), SAMPLE, n_all, key=key, seed=seed)
    return _maximised(sample, model, by) if sample.num_rows else None


def _random_shares(sample: pa.Table, model: Model) -> Mapping[str, tuple[float, ...]]:
    """u by Splink, from all pairs of the sample."""
    linker = linker_of(sample, model)
    n_pairs = sample.num_rows**2  # more than there are: Splink draws nothing further
    linker.training.estimate_u_using_random_sampling(max_pairs=n_pairs, min_count_per_level=None, num_chunks=1)
    return _shares(linker, "u_probability")


def _maximised(sample: pa.Table, model: Model, by: tuple[str, ...]) -> Session | None:
    """m by Splink's EM among the pairs of the sample that agree in `by`."""
    from splink import block_on
    from splink.internals.exceptions import EMTrainingException

    linker = linker_of(sample, model)
    try:
        session = linker.training.estimate_parameters_using_expectation_maximisation(
            block_on(*by), estimate_without_term_frequencies=True
        )
    except EMTrainingException:
        return None
    counts = sample.group_by(list(by)).aggregate([("unique_id", "count")])["unique_id_count"].to_pylist()
    n_pairs = sum(n * (n - 1) / 2 for n in counts)
    share = session.core_model_settings.probability_two_random_records_match
    trained = {c.output_column_name for c in session.core_model_settings.comparisons}
    shares = {field: m for field, m in _shares(linker, "m_probability").items() if field in trained}
    return Session(shares, n_pairs * float(share))


def linker_of(sample: Any, model: Model, *, rules: Sequence[Any] = (), api: Any = None) -> Any:
    """Splink over one sample, on one thread: sums in another order would give other digits.

    `rules` and `api`: blocks to predict in and another backend, for who compares the two.
    """
    try:
        import duckdb
        from splink import DuckDBAPI, Linker, SettingsCreator
        from splink.comparison_library import CustomComparison
    except ImportError as fault:
        raise MissingExtraError("link", "Splink") from fault
    logging.getLogger("splink").setLevel(logging.ERROR)
    said: list[Any] = [
        CustomComparison(output_column_name=c.field, comparison_levels=_levels(model, place))
        for place, c in enumerate(COMPARISONS)
    ]
    settings = SettingsCreator(
        link_type="dedupe_only", comparisons=said, probability_two_random_records_match=model.prior,
        retain_matching_columns=False, max_iterations=50, blocking_rules_to_generate_predictions=list(rules),
    )  # fmt: skip
    api = api or DuckDBAPI(duckdb.connect(":memory:", config={"threads": 1}))
    return Linker(api.register(sample), settings, log_level=None)


def _levels(model: Model, place: int) -> list[Any]:
    c = COMPARISONS[place]
    null = {"sql_condition": f"NOT ({c.known})", "label_for_charts": "unknown", "is_null_level": True}
    told = [
        {
            "sql_condition": "ELSE" if level is c.levels[-1] else level.when, "label_for_charts": level.name,
            "m_probability": m, "u_probability": u,
        }
        for level, m, u in zip(c.levels, model.m[c.field], model.u[c.field], strict=True)
    ]  # fmt: skip
    return [null, *told]


def _shares(linker: Any, name: str) -> dict[str, tuple[float, ...]]:
    """Field → what Splink estimated per level; a level that it never saw has a share of nothing."""
    said = linker.misc.save_model_to_json(out_path=None)
    found = {}
    for comparison in said["comparisons"]:
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        values = [level.get(name) for level in levels]
        numbers = tuple(float(v) if isinstance(v, int | float) else 0.0 for v in values)
        if sum(numbers) > 0:
            found[str(comparison["output_column_name"])] = numbers
    return found
