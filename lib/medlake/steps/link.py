"""bronze → vault: who is in the sources, which keys are one person, and by how much their dates move."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean import death, person
from medlake.clean.judge import fit_rows, tallied
from medlake.doors.ledger import TALLY, Counts
from medlake.grammar.errors import MedlakeError
from medlake.link.registry import (
    edges_of,
    first_labels,
    jumped,
    propagated,
    registered,
    resolved,
    standing_pairs,
)
from medlake.link.rules import link_pairs, normalised
from medlake.privacy.pseudonym import id_from, keyed_hash
from medlake.privacy.shift_dates import offsets
from medlake.steps.context import Context
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
    keys = registered(lake.read("vault.id_vault"), hashed, batch=ctx.night.number)
    keys = keys.localCheckpoint()
    fresh = link_pairs(normalised(identity).localCheckpoint())
    pairs = standing_pairs(lake.read("vault.person_link"), fresh, hashed)
    lake.merge("vault.person_link", pairs)
    labels = _settled(ctx, keys, lake.read("vault.person_link"))
    lake.merge("vault.id_vault", resolved(keys, labels))
    persons = lake.read("vault.id_vault").select("person_id")
    shifts = offsets(persons, key=ctx.key, max_days=ctx.settings.privacy.shift_days_max)
    lake.merge("vault.date_offset", shifts)


def _settled(ctx: Context, keys: DataFrame, pairs: DataFrame) -> DataFrame:
    """Labels of the linked keys, propagated until nothing changes.

    Raises:
        MedlakeError: chains of linked keys are longer than `link.rounds` allows.
    """
    edges = edges_of(keys, pairs).localCheckpoint()
    labels = first_labels(keys, edges).localCheckpoint()
    for _ in range(ctx.settings.link.rounds):
        after = jumped(propagated(labels, edges)).localCheckpoint()
        if labels.exceptAll(after).isEmpty():
            return after
        labels = after
    raise MedlakeError(
        f"Linked keys form chains longer than 2^{ctx.settings.link.rounds}. Raise link.rounds in conf/base.toml, "
        "and look at vault.person_link for a rule that ties strangers together."
    )
