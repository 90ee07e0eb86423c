"""Weights of the night: new and changed records are compared with all others, by the model that the vault holds."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.ledger import now
from medlake.grammar.contract import promise
from medlake.link.fields import FIELDS
from medlake.link.model import Model
from medlake.link.registry import KEY
from medlake.link.review import ENDS
from medlake.steps import linkage
from medlake.steps.context import Context

OWN = "own_person_id"


def weighed_pairs(ctx: Context, records: DataFrame, ruled: DataFrame) -> DataFrame:
    """vault.link_score as of tonight. `records`: key, own_person_id and FIELDS; `ruled`: ends of the rules' pairs."""
    lake, choices = ctx.lake, linkage.Choices.of(ctx.settings.link, ctx.settings.seed)
    marked = records.withColumn("fields_hash", F.xxhash64(F.to_json(F.struct(*FIELDS)))).localCheckpoint()
    model = _model(ctx, marked, ruled, choices)
    present = marked.select(*KEY, "fields_hash", F.lit(model.model_id).alias("model_id"))
    before = lake.read("vault.link_record").localCheckpoint()
    news = present.join(before, on=present.columns, how="left_anti").select(*KEY).localCheckpoint()
    n_news = news.count()
    ctx.say(f"link: {n_news:,} new or changed records to compare")
    changed = marked.join(news, on=list(KEY), how="left_semi")
    others = marked.join(news, on=list(KEY), how="left_anti")
    pairs = _named(linkage.scored(changed, others, model, choices, key=OWN), marked) if n_news else None
    scores = lake.read("vault.link_score").localCheckpoint()
    kept = _between(scores, others)
    fresh = kept if pairs is None else kept.unionByName(
        pairs.withColumn("model_id", F.lit(model.model_id)).select(*kept.columns)
    )  # fmt: skip
    lake.merge("vault.link_score", fresh)
    lake.merge("vault.link_record", present)
    return lake.read("vault.link_score")


def _model(ctx: Context, records: DataFrame, ruled: DataFrame, choices: linkage.Choices) -> Model:
    """The newest model of the vault, or a new one where there is none or the command asks for one."""
    held = ctx.lake.read("vault.link_model")
    last = None if ctx.extra.get("estimate") else held.orderBy(F.desc("made_at"), "model_id").first()
    if last is not None:
        model = Model.from_json(last["parameters"])
        if model.is_of_now:
            return model
        ctx.say("link: the model is of a former version of the comparisons; a new one is made")
    ends = {"left": "l", "right": "r"}
    own = records.select(*KEY, OWN)
    named = ruled.select(*ENDS)
    for side, short in ends.items():
        on = [f"{side}_source", f"{side}_key"]
        named = named.join(own.toDF(*on, f"{OWN}_{short}"), on=on, how="inner")
    model = linkage.modelled(records, named, choices, key=OWN, say=ctx.say)
    said = (model.model_id, ctx.night.number, now(), records.count(), bool(model.estimated), model.to_json())
    row = ctx.spark.createDataFrame([said], promise("vault.link_model").schema)
    ctx.lake.merge("vault.link_model", row, keep=True)
    return model


def _named(pairs: DataFrame, records: DataFrame) -> DataFrame:
    """Pairs by own ids as pairs by source and key, left < right."""
    me = F.struct("source", "person_source_value")
    left = records.select(F.col(OWN).alias(f"{OWN}_l"), me.alias("_one"))
    right = records.select(F.col(OWN).alias(f"{OWN}_r"), me.alias("_two"))
    both = pairs.join(left, on=f"{OWN}_l", how="inner").join(right, on=f"{OWN}_r", how="inner")
    ordered = both.withColumns({"_a": F.least("_one", "_two"), "_b": F.greatest("_one", "_two")})
    return ordered.select(
        F.col("_a.source").alias("left_source"), F.col("_a.person_source_value").alias("left_key"),
        F.col("_b.source").alias("right_source"), F.col("_b.person_source_value").alias("right_key"),
        "match_weight", "decision", "veto", "explanation",
    )  # fmt: skip


def _between(scores: DataFrame, records: DataFrame) -> DataFrame:
    """Those of the scores both ends of which are among the records."""
    for side in ("left", "right"):
        ends = records.select(*KEY).toDF(f"{side}_source", f"{side}_key")
        scores = scores.join(ends, on=[f"{side}_source", f"{side}_key"], how="left_semi")
    return scores
