"""bronze → vault: who is in the sources, which keys are one person, and by how much their dates move."""

from __future__ import annotations

import math

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean import death, person
from medlake.clean.judge import fit_rows, tallied
from medlake.doors.ledger import TALLY, Counts
from medlake.link import history, review
from medlake.link.fields import as_fields, of_identity
from medlake.link.registry import KEY, edges_of, first_labels, registered, resolved, standing_pairs
from medlake.link.review import ENDS
from medlake.link.rules import link_pairs, normalised
from medlake.privacy.pseudonym import id_from, keyed_hash
from medlake.privacy.shift_dates import offsets
from medlake.steps import linkage
from medlake.steps.context import Context
from medlake.steps.link_weights import weighed_pairs
from medlake.steps.sources import Mapped


def run(ctx: Context) -> Counts:
    """Rebuild the registry from the sources' present persons."""
    mapped = Mapped(ctx)
    rows = mapped.typed(person.EVENT)
    if rows is None:
        ctx.say("link: no source tells of persons yet")
        return Counts()
    judged = person.judged_persons(rows, as_of=ctx.night.as_of.isoformat()).localCheckpoint()
    sums = tallied(judged).where("rule = ''").agg(*[F.sum(c) for c in TALLY]).first()
    _register(ctx, mapped, fit_rows(judged))
    return Counts.of(sums)


def _register(ctx: Context, mapped: Mapped, fit: DataFrame) -> None:
    lake = ctx.lake
    deaths = mapped.typed(death.EVENT)
    none = fit.select("source", "person_source_value", "reason_codes", "qc").withColumn(
        "death_datetime", F.lit(None).cast("timestamp")
    )
    lake.merge("vault.identity", person.identities(fit, none.limit(0) if deaths is None else deaths))
    identity = lake.read("vault.identity")
    named = (F.col("source"), F.col("person_source_value"))
    hashed = identity.select("source", "person_source_value").select(
        "*",
        keyed_hash(ctx.key, *named).alias("source_key_hash"),
        keyed_hash(ctx.key, F.lit("event").alias("kind"), *named).alias("event_key"),
    ).withColumn("own_person_id", id_from(F.col("source_key_hash"))).localCheckpoint()  # fmt: skip
    is_first = lake.version("vault.id_vault") is None
    known = lake.read("vault.id_vault").localCheckpoint()
    keys = registered(known, hashed, batch=ctx.night.number).localCheckpoint()
    fresh = _fresh_pairs(ctx, identity, hashed)
    standing = standing_pairs(lake.read("vault.person_link").select(*fresh.columns), fresh, hashed)
    lake.merge("vault.person_link", _untangled(ctx, keys, _reviewed(ctx, standing)))
    after = resolved(keys, _settled(ctx, keys, lake.read("vault.person_link")))
    if not is_first:
        after = after.localCheckpoint()
        _remember(ctx, known, after)
    lake.merge("vault.id_vault", after)
    persons = lake.read("vault.id_vault").select("person_id")
    shifts = offsets(persons, key=ctx.key, max_days=ctx.settings.privacy.shift_days_max)
    lake.merge("vault.date_offset", shifts)


def _fresh_pairs(ctx: Context, identity: DataFrame, hashed: DataFrame) -> DataFrame:
    """Tonight's pairs (ends, rule): by rules first; by weights what they leave, where conf/base.toml wants that."""
    records = as_fields(of_identity(identity), linkage.given_names(ctx.conf, identity)).localCheckpoint()
    ruled = link_pairs(normalised(records))
    if not ctx.settings.link.probabilistic:
        return ruled
    ruled = ruled.localCheckpoint()
    weighed = weighed_pairs(ctx, records.join(hashed.select(*KEY, "own_person_id"), on=list(KEY), how="inner"), ruled)
    more = weighed.where("decision = 'linked'").select(*ENDS, F.lit(review.WEIGHT).alias("rule"))
    return ruled.unionByName(more.join(ruled, on=list(ENDS), how="left_anti")).localCheckpoint()


def _reviewed(ctx: Context, standing: DataFrame) -> DataFrame:
    """The pairs as reviewers want them."""
    if ctx.lake.version("vault.link_review") is None:
        return standing
    return review.with_decisions(standing, review.newest(ctx.lake.read("vault.link_review"))).localCheckpoint()


def _untangled(ctx: Context, keys: DataFrame, pairs: DataFrame) -> DataFrame:
    """The pairs without any that would bring records together which a reviewer, or a veto, keeps apart."""
    held = [name for name in ("vault.link_review", "vault.link_score") if ctx.lake.version(name) is not None]
    if not held:
        return pairs
    scores, decisions = ctx.lake.read("vault.link_score"), review.newest(ctx.lake.read("vault.link_review"))
    undecided = scores.where("decision = 'vetoed'").join(decisions, on=list(ENDS), how="left_anti")
    for apart, spared in (
        (decisions.where(F.col("decision") == review.REJECT), math.inf),
        (undecided, review.RULED),
    ):
        named = _by_own_id(keys, apart).select("a", "b").localCheckpoint()
        if named.isEmpty():
            continue
        weights = scores.select(*ENDS, "match_weight")
        strong = pairs.join(weights, on=list(ENDS), how="left").withColumn("strength", review.strength())
        edges = _by_own_id(keys, strong).localCheckpoint()
        labels = _settled(ctx, keys, pairs).select("node", F.col("label.own_person_id").alias("group"))
        gone = linkage.untangled(edges.select("a", "b", "strength"), named, labels, spared=spared)
        if gone is not None:
            ctx.say(f"link: {gone.count():,} pairs left out that would join records which are kept apart")
            pairs = edges.join(gone, on=["a", "b"], how="left_anti").select(*pairs.columns)
    return pairs


def _by_own_id(keys: DataFrame, pairs: DataFrame) -> DataFrame:
    """Pairs with a < b, the own ids of their ends."""
    own = keys.select(*KEY, "own_person_id")
    left, right = own.toDF("left_source", "left_key", "_l"), own.toDF("right_source", "right_key", "_r")
    named = pairs.join(left, on=["left_source", "left_key"], how="inner").join(
        right, on=["right_source", "right_key"], how="inner"
    )
    return named.withColumns({"a": F.least("_l", "_r"), "b": F.greatest("_l", "_r")})


def _remember(ctx: Context, before: DataFrame, after: DataFrame) -> None:
    """vault.link_event: who was merged or split tonight, beside all former nights."""
    happened = history.events(before, after, batch=ctx.night.number).localCheckpoint()
    if not happened.isEmpty():
        ctx.lake.merge("vault.link_event", happened, keep=True)
        told = {row["kind"]: row["count"] for row in happened.groupBy("kind").count().collect()}
        merged, split = told.get(history.MERGE, 0), told.get(history.SPLIT, 0)
        ctx.say(f"link: {merged:,} persons merged into others, {split:,} split")


def _settled(ctx: Context, keys: DataFrame, pairs: DataFrame) -> DataFrame:
    """(node, label) of the linked keys: the key of their group that was registered first."""
    edges = edges_of(keys, pairs).localCheckpoint()
    return linkage.settled(first_labels(keys, edges).localCheckpoint(), edges, rounds=ctx.settings.link.rounds)
