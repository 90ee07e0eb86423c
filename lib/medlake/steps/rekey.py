"""After a new key: the registry's ids are made anew, and what was made with the old one goes from silver and gold.

The steps behind it build all of it again. People who left their sources keep their place in the registry, under new
ids.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts
from medlake.grammar.contract import all_promises, promise
from medlake.privacy.pseudonym import id_from, keyed_hash, mapped_uid
from medlake.steps.context import Context


def run(ctx: Context) -> Counts:
    """Hash each key of the registry and each UID again, and empty the open zone's tables of persons."""
    named = F.col("source"), F.col("person_source_value")
    old = ctx.lake.read("vault.id_vault").withColumns({"was": F.col("own_person_id"), "person_was": F.col("person_id")})
    hashed = old.withColumns({
        "source_key_hash": keyed_hash(ctx.key, *named),
        "event_key": keyed_hash(ctx.key, F.lit("event").alias("kind"), *named),
    }).withColumn("own_person_id", id_from(F.col("source_key_hash")))  # fmt: skip
    of_person = Window.partitionBy("person_was")
    first = F.min(F.struct("registered_batch", "own_person_id")).over(of_person)  # as the registry chooses
    keys = hashed.withColumn("person_id", first["own_person_id"]).localCheckpoint()
    ctx.lake.merge("vault.id_vault", keys.drop("was", "person_was"))
    _history(ctx, keys)
    uids = ctx.lake.read("vault.uid_map")
    ctx.lake.merge("vault.uid_map", uids.withColumn("mapped_uid", mapped_uid(ctx.key, F.col("uid"))))
    n = 0
    for name in all_promises():
        if name.startswith(("silver.", "gold.")) and ctx.lake.version(name) is not None:
            nothing = ctx.spark.createDataFrame([], promise(name).schema)
            n += ctx.lake.merge(name, nothing).deleted
    ctx.say(f"rekey: {n:,} rows made with the old key are gone; what follows makes them anew")
    return Counts()


def _history(ctx: Context, keys: DataFrame) -> None:
    """vault.link_event under the new ids. Who lent a person its id may be another key by now: the two change places."""
    if ctx.lake.version("vault.link_event") is None:
        return
    of_person = Window.partitionBy("person_was")
    lender = F.max(F.when(F.col("was") == F.col("person_was"), F.col("own_person_id"))).over(of_person)
    now = (
        F.when(F.col("was") == F.col("person_was"), F.col("person_id"))
        .when(F.col("own_person_id") == F.col("person_id"), lender)
        .otherwise(F.col("own_person_id"))
    )
    ids = keys.select("was", now.alias("now")).localCheckpoint()
    told = ctx.lake.read("vault.link_event")
    for column in ("person_id", "to_person_id"):
        told = told.join(ids.withColumnRenamed("was", column), on=column).withColumn(column, F.col("now")).drop("now")
    ctx.lake.merge("vault.link_event", told.select(*promise("vault.link_event").columns))
