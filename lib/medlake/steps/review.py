"""link review: the doubtful pairs, one of them whole, and what a person decides about it, which stays for ever."""

from __future__ import annotations

import getpass
import json
import sys
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.doors.ledger import Counts, now
from medlake.grammar.contract import promise
from medlake.grammar.errors import UsageError
from medlake.link.registry import KEY
from medlake.link.review import ENDS, newest
from medlake.steps.ask import lake_of, show
from medlake.steps.context import Context
from medlake.steps.runner import Options

MIN_ID = 6  # characters of a pair's id that may stand for it
OPEN, ALL = "open", "all"
SHOWN = (
    "family_name", "given_name", "maiden_name", "birth_date", "gender_concept_id", "address_line", "city", "zip",
    "phone", "email", "national_id",
)  # fmt: skip


def known_pairs(lake: Lake) -> DataFrame:
    """Every pair that is linked, doubtful or decided: ends, pair (its id), state, rule, weight and its reasons.

    The id is made of the two keys' own ids, which are keyed hashes: it tells nothing of who they are.
    """
    linked = lake.read("vault.person_link").select(*ENDS, "rule")
    scores = lake.read("vault.link_score").withColumnRenamed("decision", "state").drop("model_id")
    decisions = newest(lake.read("vault.link_review"))
    on = list(ENDS)
    pairs = reduce(lambda a, b: a.join(b, on=on, how="full_outer"), [linked, scores, decisions])
    own = lake.read("vault.id_vault").select(*KEY, "own_person_id")
    for side in ("left", "right"):
        ids = own.toDF(f"{side}_source", f"{side}_key", f"{side}_id")
        pairs = pairs.join(ids, on=[f"{side}_source", f"{side}_key"], how="inner")
    state = F.coalesce(F.when(F.col("rule").isNotNull(), "linked"), F.nullif("state", F.lit("linked")), F.lit("apart"))
    return pairs.withColumns({"pair": _pair_id(), "state": state})


def _pair_id() -> Column:
    return F.lower(F.lpad(F.hex(F.xxhash64("left_id", "right_id")), 16, "0"))


def list_pairs(options: Options, which: str, form: str, limit: int) -> None:
    """Print pairs by id, with their weight and its reasons, no names. `open`: doubtful or vetoed, and not decided."""
    pairs = known_pairs(lake_of(options))
    if which == OPEN:
        pairs = pairs.where(F.col("decision").isNull() & F.col("state").isin("doubtful", "vetoed"))
    told = pairs.select(
        "pair", "state", F.round("match_weight", 1).alias("bits"), "veto", "rule", "decision", "left_source",
        "right_source", F.array_join("explanation", ", ").alias("explanation"),
    )  # fmt: skip
    show(told.orderBy(F.desc("bits"), "pair").limit(limit), form)


def show_pair(options: Options, pair: str, form: str) -> None:
    """Print both records of one pair: whoever may ask this may see who the patients are.

    Raises:
        UsageError: there is no such pair, or more than one begins like this.
    """
    lake = lake_of(options)
    found = _found(lake, pair)
    print("RESTRICTED: two records of people, with names. Keep them out of logs and mails.", file=sys.stderr)
    sides = [(found[f"{side}_source"], found[f"{side}_key"]) for side in ("left", "right")]
    wanted = lake.spark.createDataFrame(sides, "source string, person_source_value string")
    both = lake.read("vault.identity").join(wanted, on=list(KEY), how="left_semi").orderBy(*KEY).collect()  # two rows
    if form == "json":
        print(json.dumps([row.asDict() for row in both], default=str, ensure_ascii=False))
        return
    for name in (*KEY, *SHOWN):
        values = ["" if row[name] is None else str(row[name]) for row in both]
        differs = "*" if len(set(values)) > 1 and all(values) else " "
        print(f"{name:20} {differs} " + " | ".join(f"{value:30}" for value in values))
    print(f"{'weight':20}   {found['match_weight']} bits: {', '.join(found['explanation'] or [])}")


def run(ctx: Context) -> Counts:
    """Write a decision down: `ctx.only` is the pair, `ctx.extra` has decision, reason and reviewer.

    Raises:
        UsageError: there is no such pair, or more than one begins like this.
    """
    found = _found(ctx.lake, ctx.only or "")
    decision, by = ctx.extra["decision"], ctx.extra.get("reviewer") or getpass.getuser()
    row = (*[found[end] for end in ENDS], now(), decision, by, ctx.extra.get("reason"))
    frame = ctx.spark.createDataFrame([row], promise("vault.link_review").schema)
    ctx.lake.merge("vault.link_review", frame, keep=True)
    ctx.say(f"review: pair {found['pair']}: {decision}")
    return Counts(rows_in=1, kept=1)


def _found(lake: Lake, pair: str) -> dict[str, Any]:
    if len(pair) < MIN_ID:
        raise UsageError(f"link review: give at least {MIN_ID} characters of a pair's id")
    found = known_pairs(lake).where(F.col("pair").startswith(pair)).limit(2).collect()  # one, or a clash
    if len(found) != 1:
        many = "more than one pair begins" if found else "no pair begins"
        raise UsageError(f"link review: {many} with {pair}. `medlake link review list` lists them.")
    told: dict[str, Any] = found[0].asDict()
    return told
