"""Who is whom: deterministic rules, each a set of fields that two records must share exactly.

The fields are those of `fields.as_fields`: without case, accents and separators; a given name's full form, the sound
of a family name. A record lacking a field of a rule does not take part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

STEM = 3  # letters of a given name's full form: twins often share the first one


@dataclass(frozen=True)
class LinkRule:
    """Two records that share all `fields` are one person; `because` says so to a person."""

    name: str
    fields: tuple[str, ...]
    because: str


RULES: tuple[LinkRule, ...] = (
    LinkRule("national_id_birth", ("national_id", "birth_date"), "Same national number and birth date."),
    LinkRule("national_id_family", ("national_id", "family"), "Same national number and family name."),
    LinkRule("name_birth", ("family", "given", "birth_date"), "Same name and birth date."),
    LinkRule(
        "sound_birth_place", ("family_sound", "given_stem", "birth_date", "sex", "zip3"),
        "Family names that sound alike, given names that begin alike, same birth date, sex and region.",
    ),
    LinkRule(
        "sound_birth_phone", ("family_sound", "given_stem", "birth_date", "sex", "phone_digits"),
        "Family names that sound alike, given names that begin alike, same birth date, sex and telephone.",
    ),
)  # fmt: skip


def normalised(records: DataFrame) -> DataFrame:
    """One row per record (of `fields.as_fields`): its key and the fields of the rules (null: unknown)."""
    return records.select(
        "source", "person_source_value", "family", "given", "family_sound",
        F.substring("given_root", 1, STEM).alias("given_stem"), F.col("birth").alias("birth_date"), "sex",
        F.when(F.length("national_id") >= 7, F.col("national_id")).alias("national_id"),
        F.col("phone").alias("phone_digits"),
        F.when(F.length("zip") >= 3, F.substring("zip", 1, 3)).alias("zip3"),
    )  # fmt: skip


def link_pairs(records: DataFrame, rules: Sequence[LinkRule] = RULES) -> DataFrame:
    """One row per linked pair (left < right by source and key) with the first rule that holds.

    Within one rule every record is paired with the least record of its group, not with all of them: a group
    of n records gives n − 1 pairs and the same connected components.
    """
    pairs = reduce(
        DataFrame.unionByName, [_pairs_of(records, rule, place) for place, rule in enumerate(rules)]
    )
    ends = ["left_source", "left_key", "right_source", "right_key"]
    return pairs.groupBy(*ends).agg(F.min_by("rule", "place").alias("rule"))


def _pairs_of(records: DataFrame, rule: LinkRule, place: int) -> DataFrame:
    full = records.dropna(subset=list(rule.fields))
    me = F.struct("source", "person_source_value")
    groups = full.groupBy(*rule.fields).agg(F.min(me).alias("first"))
    joined = full.join(groups, on=list(rule.fields), how="inner").where(F.col("first") < me)
    return joined.select(
        F.col("first.source").alias("left_source"), F.col("first.person_source_value").alias("left_key"),
        F.col("source").alias("right_source"), F.col("person_source_value").alias("right_key"),
        F.lit(rule.name).alias("rule"), F.lit(place).alias("place"),
    )  # fmt: skip
