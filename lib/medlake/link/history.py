"""What became of persons from one night to the next: merged, or split."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from medlake.link.registry import KEY

MERGE, SPLIT = "merge", "split"


def events(before: DataFrame, after: DataFrame, *, batch: int) -> DataFrame:
    """vault.link_event: the persons of whom source keys went over to another one. Both as vault.id_vault."""
    was = before.select(*KEY, "person_id")
    now = after.select(*KEY, F.col("person_id").alias("to_person_id"))
    moves = was.join(now, on=list(KEY), how="inner").groupBy("person_id", "to_person_id").agg(
        F.count("*").alias("n_keys")
    )
    stays = moves.where("person_id = to_person_id").select("person_id", F.lit(True).alias("stays"))
    gone = moves.where("person_id <> to_person_id").join(stays, on="person_id", how="left")
    split = F.col("stays").isNotNull() | (F.count("*").over(Window.partitionBy("person_id")) > 1)
    return gone.select(
        F.lit(batch).alias("registered_batch"), "person_id", "to_person_id",
        F.when(split, SPLIT).otherwise(MERGE).alias("kind"), "n_keys",
    )  # fmt: skip
