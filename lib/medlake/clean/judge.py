"""Mapped rows → judged rows: typed, joined to their person, checked, keyed, shifted; nothing vanishes.

Every silver table that holds one row per event goes this way; what is its own stands in its module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.clean.codes import malformed, vocabulary
from medlake.clean.series import with_series
from medlake.grammar.contract import Promise, data_type
from medlake.grammar.errors import InputRefusedError
from medlake.grammar.origin import RECORD
from medlake.grammar.quality import Rule, flags, with_verdict

EARLIEST_YEAR = 1900
PARTIAL = {"year_only": r"^[0-9]{4}$", "month_only": r"^[0-9]{4}-[0-9]{2}$"}  # ISO dates that name no day
BLANKS = " \t\r\n\u00a0"
ORDER = "time order"
ORPHAN_PERSON = Rule(
    "orphan_person", "person_id IS NULL", True, "No patient with this key is known in its source.", "orphan reference"
)
ORPHAN_VISIT = Rule(
    "orphan_visit", "visit_occurrence_id IS NOT NULL AND is_known IS NULL", False,
    "It names a visit that is not in the lake.", "orphan reference",
)  # fmt: skip
# What reading a column as its type can tell (see `typed`); … is the column.
OF_TYPES = (
    Rule("required_…", "… IS NULL", True, "What the record cannot do without is missing.", "completeness"),
    Rule("type_…", "… does not read as its type", False, "What was given does not read as its type. It blocks where "
         "the column is required.", "type"),
    Rule("year_only_…", f"… RLIKE '{PARTIAL['year_only']}'", False, "The date is known to the year alone: its first "
         "day stands for it.", "type"),
    Rule("month_only_…", f"… RLIKE '{PARTIAL['month_only']}'", False, "The date is known to the month alone: its first "
         "day stands for it.", "type"),
)  # fmt: skip

Finish = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Event:
    """One silver table of events, as the engine needs to know it.

    `mapped`: column → type, what a source's SQL may give. `required`: without these a row is set aside.
    `time`: the column that says when it happened. `ends`: when it ended, where it may. `constants`:
    columns that are the same everywhere; `defaults`: what stands for a null. `vocabulary`: the column that says
    the code system. `identity`: columns that name the event within its person and source; where one of them is
    null all mapped columns do. `near`: columns, the code first, that make two records of a person nearly the same
    where they are equal within one `moment` (DAY or MINUTE).
    """

    table: str
    mapped: Mapping[str, str]
    required: tuple[str, ...]
    time: str | None
    ends: str | None = None
    constants: Mapping[str, int] = field(default_factory=dict)
    defaults: Mapping[str, int] = field(default_factory=dict)
    vocabulary: str | None = None
    rules: tuple[Rule, ...] = ()
    finish: Finish | None = None
    identity: tuple[str, ...] = ("event_source_value",)
    one_per_person: bool = False
    near: tuple[str, ...] = ()
    moment: str = "DAY"

    @property
    def code(self) -> str | None:
        """The column with the event's code; None where it has no code system."""
        return self.vocabulary.removesuffix("_vocabulary") + "_value" if self.vocabulary else None


@dataclass(frozen=True)
class Vault:
    """What judging needs from the restricted zone, one row per source key (see `vault_keys`)."""

    keys: DataFrame
    as_of: str  # ISO date


def vault_keys(id_vault: DataFrame, identity: DataFrame, date_offset: DataFrame) -> DataFrame:
    """(patient_source, person_source_value, person_id, event_key, shift_days, born_on, died_at)."""
    told = identity.select(
        "source",
        "person_source_value",
        F.col("birth_date").alias("born_on"),
        F.col("death_datetime").alias("died_at"),
    )
    return (
        id_vault.where("is_current").select("source", "person_source_value", "person_id", "event_key")
        .join(told, on=["source", "person_source_value"], how="left")
        .join(date_offset, on="person_id", how="inner")
        .withColumnRenamed("source", "patient_source")
    )  # fmt: skip


def common_rules(event: Event) -> tuple[Rule, ...]:
    """The checks of every event: a person, a believable time."""
    orphan = ORPHAN_PERSON
    when = event.time
    if when is None:
        return (orphan,)
    rules = [
        orphan,
        Rule("date_in_future", f"to_date({when}) > as_of", True, "It is dated after the night it came in.", ORDER),
        Rule(
            "before_1900", f"year({when}) < {EARLIEST_YEAR}", True, "No living patient has records this old.", ORDER
        ),
        Rule("before_birth", _earlier(when, "born_on"), False, "It is dated before the patient was born.", ORDER),
        Rule("after_death", f"to_date({when}) > to_date(died_at)", False, "It is dated after the patient died.", ORDER),
    ]
    if event.ends:
        why = "It ends before it starts."
        rules.append(Rule("end_before_start", _earlier(event.ends, when, as_day=False), False, why, ORDER))
    return tuple(rules)


def _earlier(when: str, than: str, *, as_day: bool = True) -> str:
    """SQL: `when` lies before `than`, as far as its precision tells. 2019 is not before 5 May 2019."""
    exact = f"to_date({when})" if as_day else when
    return (
        f"CASE WHEN array_contains(qc, 'year_only_{when}') THEN year({when}) < year({than}) "
        f"WHEN array_contains(qc, 'month_only_{when}') THEN trunc({when}, 'MM') < trunc({than}, 'MM') "
        f"ELSE {exact} < {than} END"
    )


def to_the_day(column: str) -> Column:
    """Whether the date in a typed column names a day (see `typed`)."""
    return ~F.arrays_overlap("qc", F.array(*[F.lit(f"{flag}_{column}") for flag in PARTIAL]))


def mapped_union(event: Event, mapped: Mapping[str, tuple[str, DataFrame]]) -> DataFrame:
    """All sources' mapped rows as text, one shape. `mapped`: source → (patient source, rows of its SQL).

    Raises:
        InputRefusedError: a mapping gives a column that the table does not take.
    """
    parts = [_one_shape(event, source, patients, rows) for source, (patients, rows) in mapped.items()]
    return reduce(DataFrame.unionByName, parts)


def _one_shape(event: Event, source: str, patients: str, rows: DataFrame) -> DataFrame:
    given = {name.lower(): name for name in rows.columns}
    strange = sorted(set(given) - set(event.mapped) - {"_record"})
    if strange:
        raise InputRefusedError(
            f"conf/sources/{source}/{event.table}.sql gives columns that {event.table} does not take: "
            f"{', '.join(strange)}. It takes {', '.join(event.mapped)}."
        )
    shape = {name: kind if kind.startswith("array") else "string" for name, kind in event.mapped.items()}
    columns = {
        name: (F.col(f"`{given[name]}`") if name in given else F.lit(None)).cast(data_type(kind))
        for name, kind in shape.items()
    }
    record = F.col("_record").cast(RECORD) if "_record" in given else F.lit(None).cast(RECORD)
    return rows.select(
        F.lit(source).alias("source"), F.lit(patients).alias("patient_source"), record.alias("_record"),
        *[column.alias(name) for name, column in columns.items()],
    )  # fmt: skip


def typed(rows: DataFrame, event: Event) -> DataFrame:
    """Each mapped text as its type; what does not parse is null, with a flag or (where required) a reason.

    A date that is a year or a month alone becomes its first day, flagged `year_only_…` or `month_only_…`.
    """
    given = [n for n, kind in event.mapped.items() if not kind.startswith("array")]
    parsed = {n: F.col(n).try_cast(data_type(event.mapped[n])) for n in given if event.mapped[n] != "string"}
    trimmed = rows.withColumns({n: F.nullif(F.trim(F.col(n), F.lit(BLANKS)), F.lit("")) for n in given})
    told = trimmed.withColumns({f"{n}__typed": column for n, column in parsed.items()})
    lost = {n: F.col(n).isNotNull() & F.col(f"{n}__typed").isNull() for n in parsed}
    flags = [F.when(broken, F.lit(f"type_{n}")) for n, broken in lost.items() if n not in event.required]
    dates = [n for n in parsed if event.mapped[n] in ("date", "timestamp")]
    flags += [
        F.when(F.col(n).rlike(form) & ~lost[n], F.lit(f"{flag}_{n}")) for n in dates for flag, form in PARTIAL.items()
    ]
    codes = [F.when(lost[n], F.lit(f"type_{n}")) for n in event.required if n in lost]
    codes += [F.when(F.col(n).isNull(), F.lit(f"required_{n}")) for n in event.required]
    before = F.coalesce("qc", F.array().cast("array<string>")) if "qc" in event.mapped else _names([])
    made = {"mapped_row": F.to_json(F.struct(*event.mapped)), "reason_codes": _names(codes)}
    judged = told.withColumns({**made, "qc": F.concat(before, _names(flags))})
    values = {n: F.col(f"{n}__typed") for n in parsed}
    return judged.withColumns(values).drop(*[f"{n}__typed" for n in parsed])


def _names(columns: Sequence[Column]) -> Column:
    return F.array_compact(F.array(*columns)) if columns else F.array().cast("array<string>")


def judge(rows: DataFrame, event: Event, to: Promise, vault: Vault) -> DataFrame:
    """Judged rows: what the promise asks for (identifiers still raw), their origin and their verdict.

    `reason_codes` is empty where the row is fit; `event_name` is the event's natural key; of several fit rows
    with one name the first by source, file and line is kept, the others are `is_duplicate`.
    """
    known = typed(rows, event).join(vault.keys, on=["patient_source", "person_source_value"], how="left")
    known = known.withColumn("as_of", F.to_date(F.lit(vault.as_of)))
    verdict = with_verdict(known, [*common_rules(event), *event.rules])
    filled = verdict.withColumns({n: F.coalesce(F.col(n), F.lit(v)) for n, v in event.defaults.items()})
    if event.vocabulary:
        said = vocabulary(F.col(event.vocabulary), F.col("source"))
        filled = filled.withColumn(event.vocabulary, said)
        filled = filled.withColumn("qc", flags(malformed(event.vocabulary, event.code or "")))
    finished = event.finish(filled) if event.finish else filled
    named = finished.withColumn("event_name", natural_key(event))
    ranked = _ranked(_with_constants(named, event, to), "person_id" if event.one_per_person else "event_name")
    return with_series(ranked, event.near, event.time, event.moment) if event.near and event.time else ranked


def natural_key(event: Event) -> Column:
    """The event's own name: its identity columns where given, else all that was mapped."""
    given = [F.col(c).isNotNull() for c in event.identity]
    own = (
        F.when(reduce(Column.__and__, given), F.to_json(F.struct(*event.identity))) if given else F.lit("{}")
    )
    owner = [F.col("patient_source" if event.table == "visit_occurrence" else "source").alias("source")]
    return F.to_json(
        F.struct(
            F.lit(event.table).alias("kind"),
            *owner,
            "person_source_value",
            F.coalesce(own, "mapped_row").alias("own"),
        )
    )


def visit_name() -> Column:
    """The natural key of the visit that an event belongs to; null where none is given."""
    own = F.to_json(F.struct("visit_source_value"))
    name = F.struct(
        F.lit("visit_occurrence").alias("kind"),
        F.col("patient_source").alias("source"),
        "person_source_value",
        own.alias("own"),
    )
    return F.when(F.col("visit_source_value").isNotNull(), F.to_json(name))


def _with_constants(rows: DataFrame, event: Event, to: Promise) -> DataFrame:
    stamps = {
        c.name: F.to_date(c.name.removesuffix("_date") + "_datetime")
        for c in to.columns.values()
        if c.name.endswith("_date") and c.name.removesuffix("_date") + "_datetime" in rows.columns
    }
    blank = {
        c.name: F.lit(event.constants.get(c.name)).cast(data_type(c.type))
        for c in to.columns.values()
        if c.name not in rows.columns and c.name not in stamps
    }
    made = stamps | blank | ({"visit_name": visit_name()} if "visit_source_value" in event.mapped else {})
    return rows.withColumns(made) if made else rows


def _ranked(rows: DataFrame, name: str) -> DataFrame:
    fit = F.size("reason_codes") == 0
    by_name = Window.partitionBy(fit, name).orderBy("source", "_record.file", "_record.row", "mapped_row")
    return rows.withColumn("is_duplicate", fit & (F.row_number().over(by_name) > 1))


def with_known_visit(rows: DataFrame, visits: DataFrame) -> DataFrame:
    """Events whose visit is in silver keep it; the others lose it and are flagged `orphan_visit`."""
    known = visits.select("visit_occurrence_id", F.lit(True).alias("is_known"))
    orphan = F.expr(ORPHAN_VISIT.when)
    return (
        rows.join(known, on="visit_occurrence_id", how="left")
        .withColumn("qc", F.when(orphan, F.array_append("qc", F.lit(ORPHAN_VISIT.name))).otherwise(F.col("qc")))
        .withColumn("visit_occurrence_id", F.when(~orphan, F.col("visit_occurrence_id")))
        .drop("is_known")
    )


def fit_rows(judged: DataFrame) -> DataFrame:
    """The rows that may be published: no reason against them, no duplicate."""
    return judged.where((F.size("reason_codes") == 0) & ~F.col("is_duplicate"))


def set_aside(judged: DataFrame, target: str) -> DataFrame:
    """The rows that may not, with their origin: source, _record, reason_codes, mapped_row, target."""
    return judged.where(F.size("reason_codes") > 0).select(
        "source", "_record", "reason_codes", "mapped_row", F.lit(target).alias("target")
    )


def tallied(judged: DataFrame) -> DataFrame:
    """Per source and patient what the rows came to: rows_in, rows_kept, rows_quarantined, rows_merged, is_blocking.

    A row for all of them (rule '') and one for each rule that was broken; the key '' stands for no patient.
    """
    codes = F.array_distinct(F.concat(F.array(F.lit("")), "reason_codes", "qc"))
    bad, double = F.size("reason_codes") > 0, F.col("is_duplicate")
    by = ["source", "patient_source", "person_source_value", "rule"]
    exploded = judged.select(
        "source", "patient_source", F.coalesce("person_source_value", F.lit("")).alias("person_source_value"),
        "reason_codes", "is_duplicate", F.explode(codes).alias("rule"),
    )  # fmt: skip
    return exploded.groupBy(*by).agg(
        F.count(F.lit(1)).alias("rows_in"),
        F.count_if(~bad & ~double).alias("rows_kept"),
        F.count_if(bad).alias("rows_quarantined"),
        F.count_if(~bad & double).alias("rows_merged"),
        F.bool_or(F.array_contains("reason_codes", F.col("rule"))).alias("is_blocking"),
    )
