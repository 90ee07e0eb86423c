"""Free text: the patient's own names and numbers (from the vault) and whatever looks like an identifier go.

The strongest recogniser is the patient's own record: a list per person, matched as whole words in any case.
Patterns for dates, phones, addresses and numbers come from conf/scrub.toml. All of it runs as Spark's own
regular expressions, so there is no model and no Python per note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

SHORTEST = 3  # shorter words of a name are matched in their own case only ("An", "Li")
SPECIAL = r"([\\\[\]{}()*+?.^$|\-])"
DATE_FORMS = (
    "yyyy-MM-dd", "yyyyMMdd", "MM/dd/yyyy", "M/d/yyyy", "dd/MM/yyyy", "dd.MM.yyyy", "d.M.yyyy",
    "MMMM d, yyyy", "d MMMM yyyy", "d MMM yyyy",
)  # fmt: skip
TAGS = r"\[(?:NAME|DATE|ID|PHONE|EMAIL|URL|ADDRESS|AGE|NUMBER)\]"


@dataclass(frozen=True)
class Pattern:
    """One kind of identifier by its look: what matches becomes `tag` (a Java regular expression)."""

    name: str
    regex: str
    tag: str


def own_words(identity: DataFrame, id_vault: DataFrame) -> DataFrame:
    """(person_id, names, ids): every name, number, address and birthday of the person, as arrays of texts.

    Every source's identity of the person counts.
    """
    keys = id_vault.select("source", "person_source_value", "person_id")
    mine = identity.join(keys, on=["source", "person_source_value"], how="inner")
    names = _words("family_name", "given_name", "maiden_name")
    columns = ("address_line", "city", "phone", "email", "national_id", "medical_record_number")
    whole = [F.col(c) for c in (*columns, "person_source_value")]
    dates = [F.date_format("birth_date", form) for form in DATE_FORMS]
    ids = F.concat(F.array(*whole, *dates), F.split(F.coalesce("other_id", F.lit("")), r"\s+"))
    return (
        mine.select("person_id", names.alias("names"), ids.alias("ids"))
        .groupBy("person_id")
        .agg(
            F.array_sort(F.array_distinct(F.flatten(F.collect_list("names")))).alias("names"),
            F.array_sort(F.array_distinct(F.flatten(F.collect_list("ids")))).alias("ids"),
        )
    )


def deny_lists(identity: DataFrame, id_vault: DataFrame) -> DataFrame:
    """(person_id, deny_names, deny_ids): regular expressions of everything that names the person.

    null where nothing is known.
    """
    known = own_words(identity, id_vault)
    return known.select("person_id", _any_of("names").alias("deny_names"), _any_of("ids").alias("deny_ids"))


def scrubbed(text: Column, deny_names: Column, deny_ids: Column, patterns: Sequence[Pattern]) -> Column:
    """The text without identifiers: own numbers and places, then patterns, then names; null stays null."""
    never = F.lit("(?!)")
    text = F.regexp_replace(text, F.coalesce(deny_ids, never), F.lit("[ID]"))
    for pattern in patterns:
        text = F.regexp_replace(text, pattern.regex, pattern.tag)
    return F.regexp_replace(text, F.coalesce(deny_names, never), F.lit("[NAME]"))


def replaced(text: Column) -> Column:
    """How many tags a scrubbed text holds."""
    return F.coalesce(F.regexp_count(text, F.lit(TAGS)), F.lit(0)).cast("int")


def _words(*columns: str) -> Column:
    joined = F.concat_ws(" ", *[F.col(c) for c in columns])
    whole = F.array(*[F.col(c) for c in columns])
    return F.concat(whole, F.split(joined, r"[\s,.'’\-]+"))


def _any_of(column: str) -> Column:
    """One expression for all words, longest first; each must stand alone, between no letters or digits."""
    words = F.filter(F.array_compact(F.col(column)), lambda w: F.length(F.trim(w)) >= 2)
    longest = F.reverse(
        F.array_sort(F.transform(words, lambda w: F.struct(F.length(w).alias("n"), w.alias("w"))))
    )
    escaped = F.transform(longest, lambda s: _escaped(s["w"], s["n"]))
    joined = F.array_join(escaped, "|")
    edges = F.concat(F.lit(r"(?<![\p{L}\p{N}])(?:"), joined, F.lit(r")(?![\p{L}\p{N}])"))
    return F.when(F.size(words) > 0, edges)


def _escaped(word: Column, length: Column) -> Column:
    literal = F.regexp_replace(F.trim(word), SPECIAL, r"\\$1")
    loose = F.regexp_replace(literal, r"\s+", r"\\s+")
    return F.when(length >= SHORTEST, F.concat(F.lit("(?iu:"), loose, F.lit(")"))).otherwise(loose)
