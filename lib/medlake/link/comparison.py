"""How two records are compared: for each field the levels of agreement, from the same to something else.

Each level is a condition in SQL that Spark and DuckDB (in which Splink estimates) understand alike, and treats both
records alike: which one stands left makes no difference. A field that either record lacks says nothing (level -1).

`m`: share of pairs of one person at this level, `u`: of pairs of two people. What stands here is declared from
experience with such data; Splink's estimates from the records at hand replace it as far as they rest on enough pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

ELSE = "other"
OTHER_YEAR = "other_year"  # the same birthday, but years apart by more than one digit: father and son
NAMESAKE = "other_name"  # a letter or two away, but a name in its own right: twins are often called so


@dataclass(frozen=True)
class Level:
    """One degree of agreement; `when` is SQL on <field>_l and <field>_r."""

    name: str
    when: str
    m: float
    u: float


@dataclass(frozen=True)
class Comparison:
    """The levels of one field, tried in order; the last one is whatever is left."""

    field: str
    known: str
    levels: tuple[Level, ...]

    def place(self, name: str) -> int:
        """Which level has this name."""
        return [level.name for level in self.levels].index(name)

    @property
    def case(self) -> str:
        """SQL: the number of the level, -1 where the field says nothing."""
        told = " ".join(f"WHEN {level.when} THEN {i}" for i, level in enumerate(self.levels[:-1]))
        return f"CASE WHEN NOT ({self.known}) THEN -1 {told} ELSE {len(self.levels) - 1} END"


def _both(*fields: str) -> str:
    return " AND ".join(f"{f}_l IS NOT NULL AND {f}_r IS NOT NULL" for f in fields)


def _near(field: str, edits: int, least: int = 1) -> str:
    """At most so many letters put in, left out or changed, in words of at least `least` letters."""
    left, right = f"{field}_l", f"{field}_r"
    return (
        f"(length({left}) >= {least} AND length({right}) >= {least} "
        f"AND abs(length({left}) - length({right})) <= {edits} AND levenshtein({left}, {right}) <= {edits})"
    )


def _begins(field: str) -> str:
    left, right = f"{field}_l", f"{field}_r"
    return (
        f"(substr({left}, 1, length({right})) = {right} OR substr({right}, 1, length({left})) = {left})"
    )


def _day(side: str) -> str:
    return f"substr(birth_{side}, 7, 2)"


def _month(side: str) -> str:
    return f"substr(birth_{side}, 5, 2)"


def _near_to(one: str, other: str) -> str:
    return f"({one} = {other} OR (length({one}) >= 4 AND length({other}) >= 4 AND levenshtein({one}, {other}) <= 2))"


_SWAPPED = f"{_near_to('given_l', 'family_r')} AND {_near_to('family_l', 'given_r')}"
_CROSSED = "given_l = family_r OR family_l = given_r"
_NEAR_GIVEN = f"({_near('given', 1, 3)} OR {_near('given', 2, 5)})"
_LAST = "length(national_id_l) - 1"
_PREFIX = f"substr(national_id_l, 1, {_LAST} - 1) = substr(national_id_r, 1, {_LAST} - 1)"
_TURNED = f"reverse(substr(national_id_l, {_LAST}, 2)) = substr(national_id_r, {_LAST}, 2)"
_YEAR = "substr(birth_l, 1, 4) = substr(birth_r, 1, 4)"
_SAME_DAY, _SAME_MONTH = f"{_day('l')} = {_day('r')}", f"{_month('l')} = {_month('r')}"
_YEAR_TURNED = "reverse(substr(birth_l, 3, 2)) = substr(birth_r, 3, 2)"
_HOME = "street_l = street_r AND house_l = house_r AND (zip_l = zip_r OR city_l = city_r)"
_NEAR_HOME = (
    f"({_near('street', 2, 5)} AND (house_l = house_r OR zip_l = zip_r OR city_l = city_r)) "
    "OR (house_l = house_r AND zip_l = zip_r AND city_l = city_r)"
)

COMPARISONS: tuple[Comparison, ...] = (
    Comparison("given", _both("given"), (
        Level("same", "given_l = given_r", 0.72, 0.006),
        Level("same_name", "given_root_l = given_root_r", 0.09, 0.002),
        Level("swapped", _SWAPPED, 0.02, 0.00001),
        Level(NAMESAKE, f"given_known_l = 'y' AND given_known_r = 'y' AND {_NEAR_GIVEN}", 0.01, 0.002),
        Level("near", _NEAR_GIVEN, 0.10, 0.002),
        Level("begins", _begins("given"), 0.03, 0.006),
        Level("crossed", _CROSSED, 0.01, 0.0001),
        Level(ELSE, "TRUE", 0.02, 0.98189),
    )),
    Comparison("family", _both("family"), (
        Level("same", "family_l = family_r", 0.82, 0.003),
        Level("maiden", "family_l = maiden_r OR maiden_l = family_r OR maiden_l = maiden_r", 0.02, 0.001),
        Level("swapped", _SWAPPED, 0.01, 0.00001),
        Level("near", f"{_near('family', 1, 3)} OR {_near('family', 2, 6)}", 0.10, 0.002),
        Level("sound", "family_sound_l = family_sound_r", 0.02, 0.003),
        Level(ELSE, "TRUE", 0.03, 0.99099),
    )),
    Comparison("birth", _both("birth"), (
        Level("same", "birth_l = birth_r", 0.90, 0.00004),
        Level("day_month", f"{_YEAR} AND {_day('l')} = {_month('r')} AND {_month('l')} = {_day('r')}", 0.02, 0.00002),
        Level("one_digit", _near("birth", 1), 0.04, 0.0008),
        Level(OTHER_YEAR, f"{_SAME_DAY} AND {_SAME_MONTH} AND NOT {_YEAR_TURNED}", 0.005, 0.0027),
        Level("two_parts", f"({_YEAR} AND ({_SAME_DAY} OR {_SAME_MONTH})) OR {_near('birth', 2)}", 0.025, 0.0075),
        Level(ELSE, "TRUE", 0.01, 0.98894),
    )),
    Comparison("sex", _both("sex"), (
        Level("same", "sex_l = sex_r", 0.99, 0.5),
        Level(ELSE, "TRUE", 0.01, 0.5),
    )),
    Comparison("place", f"({_both('street')}) OR ({_both('zip')}) OR ({_both('city')})", (
        Level("home", _HOME, 0.62, 0.00001),
        Level("near_home", _NEAR_HOME, 0.17, 0.0002),
        Level("region", f"zip_l = zip_r OR city_l = city_r OR {_near('city', 2, 5)}", 0.12, 0.004),
        Level(ELSE, "TRUE", 0.09, 0.99579),
    )),
    Comparison("phone", _both("phone"), (
        Level("same", "phone_l = phone_r", 0.75, 0.000002),
        Level("near", _near("phone", 1), 0.05, 0.00001),
        Level(ELSE, "TRUE", 0.20, 0.999988),
    )),
    Comparison("email", _both("email"), (
        Level("same", "email_l = email_r", 0.80, 0.000002),
        Level(ELSE, "TRUE", 0.20, 0.999998),
    )),
    Comparison("national_id", _both("national_id"), (
        Level("same", "national_id_l = national_id_r", 0.92, 0.000001),
        Level("next", f"{_PREFIX} AND NOT {_TURNED} AND {_near('national_id', 2)}", 0.02, 0.00005),
        Level("near", _near("national_id", 2), 0.04, 0.00015),
        Level(ELSE, "TRUE", 0.02, 0.999799),
    )),
)  # fmt: skip
BY_FIELD = {comparison.field: comparison for comparison in COMPARISONS}


@dataclass(frozen=True)
class Veto:
    """Two records are not one person by their weight alone where `when` holds (SQL on level_<field>)."""

    name: str
    when: str
    because: str


def _at(field: str, *names: str) -> str:
    places = ", ".join(str(BY_FIELD[field].place(name)) for name in names)
    return f"level_{field} IN ({places})"


_NUMBER, _OTHER_GIVEN = _at("national_id", "same", "near"), _at("given", ELSE, NAMESAKE)
_OTHER_BIRTH, _OTHER_FAMILY = _at("birth", ELSE, OTHER_YEAR), _at("family", ELSE)
VETOES: tuple[Veto, ...] = (
    # Numbers that differ in their last two digits alone are not taken for a slip: brothers and sisters have such.
    Veto("other_given_name", f"{_OTHER_GIVEN} AND NOT {_NUMBER}",
         "Another given name and no number in common: a twin or somebody of the family."),
    Veto("other_birth_date", f"{_OTHER_BIRTH} AND NOT ({_NUMBER} AND NOT {_OTHER_GIVEN})",
         "Another birth date and no number in common: a parent, a child, or a namesake."),
    Veto("somebody_elses_number", f"{_OTHER_GIVEN} AND (level_birth = -1 OR {_OTHER_BIRTH}) "
         f"OR (CASE WHEN {_OTHER_GIVEN} THEN 1 ELSE 0 END + CASE WHEN {_OTHER_FAMILY} THEN 1 ELSE 0 END "
         f"+ CASE WHEN {_OTHER_BIRTH} THEN 1 ELSE 0 END) >= 2 AND NOT {_at('place', 'home', 'near_home')}",
         "A number in common, but names and birth date are another's."),
)  # fmt: skip
