"""bronze → silver for what belongs to no person: locations, care sites and providers, always all of them.

They are few and come seldom; the rows of a table are judged, published, counted and set aside as in `build`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.judge import fit_rows, set_aside
from medlake.clean.place import PLACES, Place, judged_places, natural_name, tallied_places, with_constants
from medlake.clean.quarantine import OPEN, closing, from_build
from medlake.doors.ledger import Counts
from medlake.grammar.contract import promise
from medlake.privacy.pseudonym import id_from, keyed_hash
from medlake.steps.context import Context
from medlake.steps.sources import Mapped

TALLY = ("rows_in", "rows_kept", "rows_quarantined", "rows_merged")


def run(ctx: Context, wanted: Collection[str]) -> Counts:
    """Rebuild those of the tables that are wanted and that some source maps."""
    chosen = [PLACES[name] for name in PLACES if name in wanted]
    if not chosen:
        return Counts()
    mapped = Mapped(ctx)
    found = [(place, rows) for place in chosen if (rows := mapped.typed(place.event)) is not None]
    if not found:
        return Counts()
    judged = ctx.side_by_side([partial(_publish, ctx, place, rows) for place, rows in found], threads=3)
    _set_aside(ctx, {f"silver.{place.event.table}": rows for (place, _), rows in zip(found, judged, strict=True)})
    tallies = reduce(DataFrame.unionByName, [
        tallied_places(rows).select(
            F.lit(ctx.night.number).alias("night_id"), F.lit(place.event.table).alias("table"), "source", *TALLY
        )
        for (place, _), rows in zip(found, judged, strict=True)
    ]).localCheckpoint()  # fmt: skip
    ctx.lake.merge("ops.table_build", tallies, keep=True)
    return Counts.of(tallies.agg(*[F.sum(name) for name in TALLY]).first())


def _publish(ctx: Context, place: Place, rows: DataFrame) -> DataFrame:
    """Write one table; returns the judged rows."""
    table = place.event.table
    judged = judged_places(rows, place).localCheckpoint()
    made = with_constants(fit_rows(judged), place).withColumns(_ids(ctx, place))
    ctx.lake.merge(f"silver.{table}", made.select(*promise(f"silver.{table}").columns))
    return judged


def _ids(ctx: Context, place: Place) -> dict[str, Column]:
    """The row's own id and those of what it refers to: keyed, so that nobody finds the source's own key by trying."""
    own = (f"{place.event.table}_id", place.event.table, place.name)
    made = {}
    for column, table, named in (own, *place.refers):
        name = natural_name(table, named)
        hashed = keyed_hash(ctx.key, F.coalesce(name, F.lit("")).alias("name"))
        made[column] = F.when(name.isNotNull(), id_from(hashed))
    return made


def _set_aside(ctx: Context, judged: Mapping[str, DataFrame]) -> None:
    """quarantine.record: the rows without a name, by their table; what was mapped of each is its `raw`."""
    known, to = ctx.lake.read("quarantine.record"), promise("quarantine.record")
    aside = reduce(DataFrame.unionByName, [set_aside(rows, target) for target, rows in judged.items()])
    no_bronze = aside.select(
        "source", "_record.file_sha256", "_record.row", F.col("mapped_row").alias("raw")
    ).where(F.lit(False))
    rows = from_build(aside, no_bronze, known, to, batch=ctx.night.number).localCheckpoint()
    was = known.where(F.col("target").isin(list(judged)) & (F.col("status") == OPEN))
    gone = was.join(rows.select("record_id"), on="record_id", how="left_anti").select(*to.columns)
    over = closing(gone, by=f"night {ctx.night.number}: fit, replaced or deleted by now")
    ctx.lake.merge("quarantine.record", rows.unionByName(over), keep=True)
