"""bronze → silver for what belongs to no person: locations, care sites and providers, judged as in `build`."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.judge import fit_rows
from medlake.clean.place import Place, judged_places, natural_name, tallied_places, with_constants
from medlake.doors.lake import Audit
from medlake.doors.ledger import TALLY
from medlake.grammar.contract import promise
from medlake.privacy.pseudonym import id_from, keyed_hash
from medlake.steps.context import Context
from medlake.steps.sources import Mapped


def published(ctx: Context, mapped: Mapped, place: Place, audit: Audit | None) -> DataFrame | None:
    """Write one table once it has passed its audit; returns its judged rows, or None where no source maps it."""
    rows = mapped.typed(place.event)
    if rows is None:
        return None
    judged = judged_places(rows, place).localCheckpoint()
    made = with_constants(fit_rows(judged), place).withColumns(_ids(ctx, place))
    name = f"silver.{place.event.table}"
    ctx.lake.merge(name, made.select(*promise(name).columns), audit=audit)
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


def sums_of(judged: DataFrame, table: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """(table, source) → what its rows came to, in the order of TALLY."""
    rows = tallied_places(judged).limit(10_000).collect()  # a row per source
    return {(table, r["source"]): tuple(r[name] for name in TALLY) for r in rows}
