"""restricted → open: one policy by the privacy class that a promise gives each column.

Keys become keyed ids, dates move by the person's shift, identifiers become pseudonyms, UIDs are remapped,
free text is scrubbed, a ZIP keeps three digits. What the promise does not name does not pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.contract import Promise, data_type
from medlake.grammar.errors import ConfigError
from medlake.privacy.pseudonym import keyed_id, mapped_uid, mapped_uids, pseudonym
from medlake.privacy.scrub_text import Pattern, scrubbed
from medlake.privacy.shift_dates import shifted

FORBIDDEN = ("name", "address", "birth_date", "phone", "email", "national_id")
ORIGIN = ("source", "_record", "mapped_row", "reason_codes", "is_duplicate")


def deidentified(
    judged: DataFrame, to: Promise, *, key: bytes, patterns: Sequence[Pattern], safe: Mapping[str, Column] | None = None
) -> DataFrame:
    """The promise's columns without identifiers, beside where each row comes from (`ORIGIN`).

    `judged` carries event_key and shift_days of its person, deny_names and deny_ids where the promise has free
    text, and the natural keys `event_name` and `visit_name`. `safe`: columns that somebody else has made safe.

    Raises:
        ConfigError: the promise names a column whose class may never leave the restricted zone.
    """
    leaking = to.of_class(*FORBIDDEN)
    if leaking:
        raise ConfigError(
            f"{to.name} promises {', '.join(leaking)} in the open zone; identity stays in vault.identity"
        )
    have = set(judged.columns)
    made = {name: (safe or {}).get(name, _safe(name, to, key, patterns, have)) for name in to.columns}
    extra = [c for c in ORIGIN if c not in to.columns]
    return judged.select(*[column.alias(name) for name, column in made.items()], *extra)


def _safe(name: str, to: Promise, key: bytes, patterns: Sequence[Pattern], have: set[str]) -> Column:
    column = to.columns[name]
    value = F.col(name) if name in have else F.lit(None)
    if name == to.key[0] and name.endswith("_id") and name != "person_id":
        return keyed_id(F.col("event_key"), F.col("event_name"))
    if name == "visit_occurrence_id":
        return keyed_id(F.col("event_key"), F.col("visit_name")) if "visit_name" in have else value.cast("bigint")
    if column.phi == "date":
        return shifted(value, data_type(column.type), F.col("shift_days"))
    if column.phi in ("other_id", "mrn"):
        return pseudonym(F.col("event_key"), value)
    if column.phi == "uid":
        return mapped_uids(key, value) if column.type.startswith("array") else mapped_uid(key, value)
    if column.phi == "free_text":
        safe = scrubbed(value, F.col("deny_names"), F.col("deny_ids"), patterns)
        is_number = "value_as_number" in have and name.startswith("value_")  # a plain number names nobody
        return F.when(F.col("value_as_number").isNotNull(), value).otherwise(safe) if is_number else safe
    if column.phi == "zip":
        return F.substring(value, 1, 3)
    return value.cast(data_type(column.type))
