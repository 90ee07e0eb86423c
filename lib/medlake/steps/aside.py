"""A look into quarantine from the terminal: how much lies there and why, one entry whole, and a second try."""

from __future__ import annotations

import json
import sys

from pyspark.sql import functions as F

from medlake.clean.quarantine import OPEN
from medlake.grammar.errors import UsageError
from medlake.steps.ask import lake_of, show
from medlake.steps.retry import chosen
from medlake.steps.runner import Options

MIN_ID = 6  # characters of a record_id that may stand for it


def list_aside(options: Options, source: str | None, reason: str | None, form: str) -> None:
    """Print how many entries are open and closed, by source, table and first reason; never what they hold."""
    records = chosen(lake_of(options).read("quarantine.record"), source, reason)
    is_open = F.col("status") == OPEN
    told = records.groupBy("source", "source_table", "target", "reason_code").agg(
        F.count_if(is_open).alias("open"),
        F.count_if(~is_open).alias("closed"),
        F.date_format(F.min(F.when(is_open, F.col("first_seen_at"))), "yyyy-MM-dd HH:mm").alias("open_since"),
        F.min(F.when(is_open, F.col("record_id"))).alias("example"),
    )
    show(told.orderBy(F.desc("open"), "source", "target", "reason_code"), form)


def show_aside(options: Options, record_id: str, form: str) -> None:
    """Print one entry whole, its raw text included: whoever may ask this may see patients' records.

    Raises:
        UsageError: there is no such entry, or more than one begins like this.
    """
    if len(record_id) < MIN_ID:
        raise UsageError(f"quarantine show: give at least {MIN_ID} characters of a record_id")
    records = lake_of(options).read("quarantine.record")
    found = records.where(F.col("record_id").startswith(record_id)).limit(2).collect()  # one, or a clash
    if len(found) != 1:
        many = "more than one entry begins" if found else "no entry begins"
        raise UsageError(f"quarantine show: {many} with {record_id}. `medlake sql` on quarantine.record lists them.")
    print("RESTRICTED: a record as received; it may name a patient. Keep it out of logs and mails.", file=sys.stderr)
    entry = found[0].asDict()
    if form == "json":
        print(json.dumps(entry, default=str, ensure_ascii=False))
    elif form == "csv":
        show(records.where(F.col("record_id") == entry["record_id"]), form)
    else:
        for name, value in entry.items():
            print(f"{name:14} {'' if value is None else value}")
