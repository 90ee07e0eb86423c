"""bronze → silver for what belongs to no person: locations, care sites and providers."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from medlake.clean.judge import fit_rows
from medlake.clean.place import PLACES, Place, judged_places, natural_name, with_constants
from medlake.grammar.contract import promise
from medlake.privacy.pseudonym import id_from, keyed_hash
from medlake.steps.context import Context
from medlake.steps.sources import Mapped


def publish(ctx: Context, mapped: Mapped, table: str, judged: Callable[..., None]) -> None:
    """Make one of the tables; `judged` is told its judged rows, for the ledger and the quarantine."""
    place = PLACES[table]
    rows = mapped.typed(place.event)
    if rows is None:
        return
    found = judged_places(rows, place).localCheckpoint()
    made = with_constants(fit_rows(found), place).withColumns(_ids(ctx, place))
    ctx.lake.merge(f"silver.{table}", made.select(*promise(f"silver.{table}").columns))
    judged(found, table)


def _ids(ctx: Context, place: Place) -> dict[str, Column]:
    """The row's own id and those of what it refers to: keyed, so that nobody finds the source's own key by trying."""
    own = (f"{place.event.table}_id", place.event.table, place.name)
    made = {}
    for column, table, named in (own, *place.refers):
        name = natural_name(table, named)
        hashed = keyed_hash(ctx.key, F.coalesce(name, F.lit("")).alias("name"))
        made[column] = F.when(name.isNotNull(), id_from(hashed))
    return made
