"""What two records are compared by: names, birth date, sex, place, telephone, identifiers. Null: unknown.

Nothing here knows where a record comes from: a table of people has columns named by role, some or all of ROLES.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ROLES: dict[str, str] = {
    "given_name": "given names, the first one first",
    "family_name": "family name",
    "maiden_name": "family name before a marriage",
    "birth_date": "birth date: 19801231, 1980-12-31, 31.12.1980 or 12/31/1980",
    "sex": "sex; what begins with m, f or w",
    "house_number": "number of the house",
    "street": "street, with or without the number",
    "city": "town or suburb",
    "zip": "postal code",
    "phone": "telephone",
    "email": "e-mail address",
    "national_id": "a number that the state gives, as a social security number",
}
FIELDS = (
    "given", "given_root", "given_known", "family", "family_sound", "maiden", "birth", "sex", "house", "street", "city",
    "zip", "phone", "email", "national_id",
)  # fmt: skip
ACCENTED = "àáâãäåçèéêëìíîïñòóôõöùúûüýÿšž"
PLAIN = "aaaaaaceeeeiiiinooooouuuuyysz"
ID_LENGTH, PHONE_LENGTH = 5, 7  # digits and letters below which a number says nothing


def letters(column: Column) -> Column:
    """Lower case, without accents and anything that is no letter; null where nothing is left."""
    lower = F.translate(F.lower(column), ACCENTED, PLAIN)
    return _known(F.regexp_replace(lower, r"[^\p{L}]", ""))


def digits(column: Column, least: int) -> Column:
    """The digits alone; null where they are fewer than `least`."""
    found = F.regexp_replace(column, r"\D", "")
    return F.when(F.length(found) >= least, found)


def birth_digits(column: Column) -> Column:
    """A birth date as yyyymmdd; null where it has no eight digits.

    Day before month where points or dashes part them, month before day with slashes, unless that cannot be.
    """
    text = F.trim(column)
    parts = [F.regexp_extract(text, r"^(\d{1,2})([./-])(\d{1,2})[./-](\d{4})", i) for i in (1, 2, 3, 4)]
    is_american = (parts[1] == "/") & (parts[0].cast("int") <= 12)
    day, month = F.when(is_american, parts[2]).otherwise(parts[0]), F.when(is_american, parts[0]).otherwise(parts[2])
    year_last = F.concat(parts[3], F.lpad(month, 2, "0"), F.lpad(day, 2, "0"))
    year_first = [F.regexp_extract(text, r"^(\d{4})[./-](\d{1,2})[./-](\d{1,2})", i) for i in (1, 2, 3)]
    iso = F.concat(year_first[0], F.lpad(year_first[1], 2, "0"), F.lpad(year_first[2], 2, "0"))
    plain = F.regexp_replace(text, r"\D", "")
    found = F.when(parts[0] != "", year_last).when(year_first[0] != "", iso).otherwise(plain)
    return F.when(F.length(found) == 8, found)


def name_rows(nicknames: Mapping[str, Iterable[str]], known: Iterable[str]) -> list[tuple[str, str]]:
    """(name, root) of every given name that is known: of a short or pet form the full one, else the name itself."""
    plain = {name: name for name in (*known, *nicknames)}
    return sorted((plain | {short: root for root, shorts in nicknames.items() for short in shorts}).items())


def as_fields(people: DataFrame, names: DataFrame) -> DataFrame:
    """Every record with `FIELDS` instead of its roles; other columns stay.

    `people`: text columns named by role. `names`: name, root of given names that are known.
    """
    lacking = [role for role in ROLES if role not in people.columns]
    full = people.withColumns({role: F.lit(None).cast("string") for role in lacking}) if lacking else people
    family, street = letters(F.col("family_name")), F.lower(F.col("street"))
    kept = [c for c in people.columns if c not in ROLES]
    bare = F.regexp_replace(street, r"\b(suite|apt|apartment|unit|flat)\b.*$", "")
    plain = full.select(
        *kept,
        letters(F.col("given_name")).alias("given"), letters(F.split("given_name", r"[\s-]+")[0]).alias("name"),
        family.alias("family"), F.soundex(F.upper(family)).alias("family_sound"),
        letters(F.col("maiden_name")).alias("maiden"), birth_digits(F.col("birth_date")).alias("birth"),
        _sex(F.col("sex")).alias("sex"),
        F.coalesce(
            _known(F.regexp_extract("house_number", r"\d+", 0)), _known(F.regexp_extract(bare, r"\d+", 0))
        ).alias("house"),
        letters(bare).alias("street"), letters(F.col("city")).alias("city"),
        _known(F.regexp_replace(F.lower("zip"), r"[^a-z0-9]", "")).alias("zip"),
        digits(F.col("phone"), PHONE_LENGTH).alias("phone"), _known(F.lower(F.trim("email"))).alias("email"),
        _code(F.col("national_id")).alias("national_id"),
    )  # fmt: skip
    rooted = plain.join(F.broadcast(names), on="name", how="left")
    found = {"given_root": F.coalesce("root", "name"), "given_known": F.when(F.col("root").isNotNull(), "y")}
    return rooted.withColumns(found).select(*kept, *FIELDS)


def of_identity(identity: DataFrame) -> DataFrame:
    """vault.identity with columns named by role; the others stay but those that no role needs."""
    sex = F.when(F.col("gender_concept_id") == 8507, "m").when(F.col("gender_concept_id") == 8532, "f")
    same = ("given_name", "family_name", "maiden_name", "city", "zip", "phone", "email", "national_id")
    return identity.select(
        "source", "person_source_value", *same, F.col("birth_date").cast("string").alias("birth_date"),
        sex.alias("sex"), F.col("address_line").alias("street"),
    )  # fmt: skip


def _known(column: Column) -> Column:
    return F.nullif(column, F.lit(""))


def _sex(column: Column) -> Column:
    first = F.substring(F.lower(F.trim(column)), 1, 1)
    return F.when(first == "m", "m").when(first.isin("f", "w"), "f")


def _code(column: Column) -> Column:
    found = F.regexp_replace(F.lower(column), r"[^a-z0-9]", "")
    return F.when(F.length(found) >= ID_LENGTH, found)
