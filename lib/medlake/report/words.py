"""Numbers, codes and findings in plain words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from medlake.report import vocabulary
from medlake.report.care import Rule
from medlake.report.content import Difference, Metric, Reason, Subgroup

NBSP = "\u00a0"
_SEMANTIC_TAG = re.compile(
    r"\s*\((disorder|finding|procedure|situation|regime/therapy|event|observable entity"
    r"|morphologic abnormality|physical object|substance|qualifier value|person)\)\s*$"
)
_TITLE = re.compile(r"[A-Z][a-z]+( [A-Z][a-z]+)+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


def clean(text: str) -> str:
    """Text without control characters, which neither SVG nor HTML can hold."""
    return _CONTROL.sub(" ", text)


def short(text: str, length: int = 52) -> str:
    """Text cut at a word to at most `length` characters."""
    text = clean(text)
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:([") + "…"


def plain(name: str) -> str:
    """The name of a thing without SNOMED's semantic tag or underscores, first letter large."""
    text = " ".join(_SEMANTIC_TAG.sub("", clean(name)).replace("_", " ").split())
    return text[:1].upper() + text[1:]


def feature(about: str) -> str:
    """A feature's description, shortened where every feature of the page says the same."""
    text = plain(about)
    for long, brief in vocabulary.SHORTENED:
        text = text.replace(long, brief)
    return text


def lower_first(text: str) -> str:
    """First letter small, unless the word is an abbreviation (CT); all small where All Words Are Large."""
    if _TITLE.fullmatch(text):
        return text.lower()
    return text if any(letter.isupper() for letter in text[1:3]) else text[:1].lower() + text[1:]


def number(value: float) -> str:
    """1234567 → 1,234,567."""
    return f"{value:,.0f}"


def people(n: int | None, mark: str | None = None, *, small_count: int = 11) -> str:
    """A count of people as it may be shown; a small one is `<11` even where the caller forgot to hide it."""
    if n is None:
        return mark or "hidden"
    return number(n) if n >= small_count else f"<{small_count}"


def percent(share: float) -> str:
    """A share of 1 in percent; never rounded up to all or down to nothing."""
    if 0 < share < 0.001:
        return f"<0.1{NBSP}%"
    if 0.999 < share < 1:
        return f">99.9{NBSP}%"
    digits = 0 if share in (0, 1) or 0.1 <= share < 0.9 else 1
    return f"{100 * share:.{digits}f}{NBSP}%"


def size(n_bytes: float) -> str:
    """Bytes in the unit a person would use (powers of 1,000)."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:,.1f}{NBSP}{unit}"
    return f"{n_bytes:,.0f}{NBSP}bytes"


def duration(seconds: float) -> str:
    """Seconds as `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NBSP}s"
    if whole < 3600:
        return f"{whole // 60}{NBSP}min {whole % 60}{NBSP}s"
    return f"{whole // 3600}{NBSP}h {whole % 3600 // 60}{NBSP}min"


def listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def plural(n: float, one: str, many: str = "") -> str:
    """`1 file`, `2 files`, with thousands separators."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def table(name: str) -> str:
    """A silver table as a clinician would call it."""
    return vocabulary.TABLES.get(name.rpartition(".")[2], plain(name.rpartition(".")[2]))


def modality(code: str) -> str:
    """A DICOM modality code in words."""
    return vocabulary.MODALITIES.get(code, clean(code) or "Not said")


def flag(code: str) -> str:
    """A quality remark as the end of a sentence that starts with "A record"."""
    if code.startswith("type_"):
        return f"has an unreadable {code.removeprefix('type_').replace('_', ' ')}, which was left empty"
    for unit in ("year", "month"):
        if code.startswith(f"{unit}_only_"):
            return f"tells no more than the {unit} of its {code.removeprefix(f'{unit}_only_').replace('_', ' ')}"
    return vocabulary.FLAGS.get(code, clean(code).replace("_", " "))


def reason(code: str) -> str:
    """Why a record was set aside."""
    if code.startswith("required_"):
        return f"The {code.removeprefix('required_').replace('_', ' ')} is missing"
    if code.startswith("type_"):
        return f"The {code.removeprefix('type_').replace('_', ' ')} cannot be read"
    return vocabulary.REASONS.get(code, plain(code))


def association(rule: Rule) -> str:
    """One rule as a sentence: counts, share, and how much more often than in everybody."""
    has = listed(lower_first(short(plain(name), 90)) for name in rule.if_names)
    also = listed(lower_first(short(plain(name), 90)) for name in rule.then_names)
    least = "at least " if rule.is_bound else ""
    share = f"{percent(rule.confidence)} or more" if rule.is_bound else percent(rule.confidence)
    return (
        f"Of {number(rule.n_if)} people with {has}, {least}{number(rule.n_both)} also have {also} ({share}); "
        f"that is {least}{rule.lift:.1f} times as often as in everybody ({percent(rule.expected)})."
    )


def group_name(differences: Sequence[Difference], *, n_features: int = 2) -> str:
    """A group by what sets it apart most: "More hypertension, less asthma"."""
    strongest = sorted(differences, key=lambda one: (-abs(one.effect_size), one.feature))[:n_features]
    parts = [
        _tendency(one) for one in strongest if abs(one.effect_size) >= 0.2
    ]  # Cohen: below 0.2 is trivial
    text = ", ".join(parts)
    return text[:1].upper() + text[1:] if text else "Close to the average"


def _tendency(one: Difference) -> str:
    up = one.effect_size > 0
    name = lower_first(short(feature(one.feature), 60))
    if name == "age":
        return "older" if up else "younger"
    if name == "is female":
        return f"more {'women' if up else 'men'}"
    if one.unit in vocabulary.COUNTED:
        return f"{'more' if up else 'fewer'} {name}"
    if one.is_share:
        return f"{name} {'more' if up else 'less'} often"
    return f"{'higher' if up else 'lower'} {name}"


def signed(value: float) -> str:
    """A number with its sign, one digit after the point."""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{abs(value):.1f}"


def compared(one: Difference) -> str:
    """A group's mean beside everybody's, in the feature's unit."""
    if one.is_share:
        here = {"low": "few people", "high": "nearly all"}.get(one.mean_bound or "", "")
        return f"{here or percent(one.mean or 0)} · {percent(one.overall_mean)} of all"
    name = unit(one.unit)
    return f"{quantity(one.mean)}{name} · {quantity(one.overall_mean)} in all" if one.mean is not None else ""


def quantity(value: float | None) -> str:
    """A measured mean with at most three significant digits."""
    if value is None:
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = min(4, max(0, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def model(name: str) -> str:
    """An estimator as people call it."""
    return vocabulary.MODELS.get(name, plain(name))


def unit(ucum: str) -> str:
    """A UCUM unit as people write it, with the space before it."""
    name = vocabulary.UNITS.get(ucum, clean(ucum).strip("{}").replace("[", "").replace("]", ""))
    return f"{NBSP}{name}" if name else ""


def auroc(one: Metric) -> str:
    """`AUROC 0.81, 95 % interval 0.76 to 0.86`."""
    value, _, interval = with_interval(one).partition(" (")
    return f"AUROC {value}" + (f", 95{NBSP}% interval {interval.rstrip(')')}" if interval else "")


def with_interval(one: Metric) -> str:
    """`0.81 (0.76 to 0.86)`."""
    if one.lower is None or one.upper is None:
        return f"{one.value:.2f}"
    digits = 3 if one.value >= 0.95 else 2
    return f"{one.value:.{digits}f} ({one.lower:.{digits}f} to {one.upper:.{digits}f})"


def weight(one: Reason) -> str:
    """What a feature's weight means for the risk."""
    if one.kind == "importance":
        return percent(max(0.0, min(1.0, one.weight)))
    return f"{'raises' if one.weight > 0 else 'lowers'} it ({signed(one.weight)})"


def subgroup(one: Subgroup) -> str:
    """`Age 18–39`, `Women`."""
    kind = vocabulary.SUBGROUPS.get(one.subgroup, plain(one.subgroup))
    level = vocabulary.LEVELS.get(one.level, clean(one.level))
    return level if one.subgroup == "sex" else f"{kind} {level}"


_SIMPLE = re.compile(r"[\w.-]+")  # names that can stand in SQL inside a shell's double quotes as they are


def decision(name: str) -> str:
    """What follows from the weight of a pair of records."""
    return vocabulary.DECISIONS.get(name, plain(name))


def set_aside_command(source: str, reason_code: str = "") -> str:
    """The command that lists the records of one source set aside for one reason."""
    wanted = [("source", source), ("reason_code", reason_code)]
    where = " AND ".join(f"{name} = '{value}'" for name, value in wanted if _SIMPLE.fullmatch(value))
    condition = f" WHERE {where}" if where else ""
    return f'medlake sql "SELECT file, row, detail FROM quarantine.record{condition}"'


def metric(name: str) -> str:
    """A figure of merit as a heading."""
    return vocabulary.METRICS.get(name, plain(name))
