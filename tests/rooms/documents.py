"""The parts of README.md and the pages of docs/ that are made from the code: `make docs` writes them, a test compares.

A part stands between `<!-- <name>:begin -->` and `<!-- <name>:end -->`. Starts no Spark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydicom.datadict import dictionary_description, dictionary_has_tag

from medlake.clean.catalogue import rules_by_table
from medlake.doors.settings import Conf
from medlake.grammar.contract import Promise, all_promises
from medlake.grammar.errors import EXIT_CODES
from medlake.grammar.quality import KINDS, Rule
from medlake.privacy.dicom_profile import OPTION_CODES, profile_of
from medlake.steps.export_dicom import HELD

README = Path(__file__).resolve().parents[2] / "README.md"
DOCS = README.parent / "docs"


def table_of_tables() -> str:
    """Every promise as a row: the table, its grain, its key and how many columns it has."""
    rows = [
        (f"`{said.name}`", grain(said), ", ".join(f"`{k}`" for k in said.key), str(len(said.columns)))
        for said in all_promises().values()
    ]
    return as_markdown(("table", "one row is", "key", "columns"), rows)


def table_of_exit_codes() -> str:
    """Every exit code with its meaning."""
    return as_markdown(("code", "meaning"), [(str(code), meaning) for code, meaning in sorted(EXIT_CODES.items())])


def grain(said: Promise) -> str:
    """What one row is, as it follows the words "one row is"."""
    about = said.about.strip().removesuffix(".")
    return about[:1].lower() + about[1:]


def as_markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; a bar inside a cell stays a bar."""
    lines = [head, ("---",) * len(head), *[tuple(cell.replace("|", "\\|") for cell in row) for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS: dict[str, Callable[[], str]] = {"tables": table_of_tables, "exit-codes": table_of_exit_codes}


def with_parts(text: str) -> str:
    """The text with every generated part made anew.

    Raises:
        ValueError: a part's markers are missing, stand twice or in the wrong order.
    """
    for name, make in PARTS.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise ValueError(f"README.md needs {begin} and {end}, once each and in this order")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.partition(end)[2]}"
    return text


def page_of_dicom_profile() -> str:
    """What happens to each attribute of PS3.15 table E.1-1, by the Basic profile and by each option."""
    conf = Conf()
    profile = profile_of(conf.toml("dicom_profile.toml"), conf.toml("dicom.toml"))
    options = [name for name in OPTION_CODES if any(name in row.options for row in profile.rows.values())]
    rows = [
        (f"`{tag}`", attribute_name(tag), f"{row.basic}", *[row.options.get(name, "") for name in options])
        for tag, row in sorted(profile.rows.items())
    ]
    chosen = [(f"`{name}`", *OPTION_CODES[name], "yes" if name in profile.options else "") for name in OPTION_CODES]
    counts = Counter(row.basic for row in profile.rows.values())
    head = ("tag", "attribute", "Basic", *[name.replace("_", " ") for name in options])
    return DICOM_PAGE.format(
        n=len(profile.rows),
        counts=", ".join(f"{code} {n}" for code, n in counts.most_common()),
        options=as_markdown(("option", "code", "meaning", "by default"), chosen),
        held=as_markdown(("reason", "meaning"), [(f"`{name}`", said) for name, said in HELD.items()]),
        attributes=as_markdown(head, rows),
    )


def attribute_name(tag: str) -> str:
    """The name of a tag; repeating groups and private attributes have one of their own."""
    if tag in REPEATING:
        return REPEATING[tag]
    known = int(tag, 16)
    return dictionary_description(known) if dictionary_has_tag(known) else "(not in the dictionary)"


REPEATING = {
    "50xxxxxx": "Curve Data", "60xx3000": "Overlay Data", "60xx4000": "Overlay Comments", "private": "Private Attributes",
}  # fmt: skip
DICOM_PAGE = """\
# How DICOM objects are de-identified

`medlake export dicom --to DIR` writes the published objects as Part 10 files, by DICOM PS3.15 (2025a) annex E.
This page is made from `conf/dicom_profile.toml` and `conf/dicom.toml` by `make docs`.

X removed, Z emptied, D replaced by a dummy, U a new UID, K kept, C cleaned. X/Z, X/D, Z/D, X/Z/D and X/Z/U* are
settled by what PS3.3 demands of the attribute in this kind of object; where that is not known (inside sequences, for an
unknown class) the action that is valid everywhere is taken. Of two options the more careful one wins (C before K).
Elsewhere: attributes that the standard does not know go; unlisted names are emptied, unlisted dates follow the option on
dates, unlisted UIDs are replaced unless the standard registers them; what is kept as text loses every word that the
object or the vault knows the patient by. Patient id, name, accession number, UIDs and dates are those of silver.

{n} attributes of the Basic profile: {counts}.

## Options

{options}

## Held back

{held}

## Attributes

{attributes}
"""
RULES_PAGE = """\
# The rules of silver

What a record may be flagged for (its name goes into `qc`, the record stays) or set aside for (`quarantine.record`, whole,
with the name as its reason) on its way from bronze to silver. Made from the rules themselves by `make docs`. A … in a name
stands for a column. A record that only repeats another one is merged with it, without a flag. {n} rules.

{parts}
"""
PLAIN = 110  # a longer condition is read in the code


def page_of_rules() -> str:
    """Every rule by kind: in which tables, what becomes of the record, why, and the condition as SQL."""
    tables: dict[str, list[str]] = {}
    rules: dict[str, Rule] = {}
    for table, said in rules_by_table().items():
        for rule in said:
            rules.setdefault(rule.name, rule)
            tables.setdefault(rule.name, []).append(table)
    parts = []
    for kind in KINDS:
        rows = [
            (f"`{r.name}`", "sets aside" if r.blocks else "flags", r.because, ", ".join(tables[r.name]),
             f"`{r.when}`" if len(r.when) <= PLAIN else "see the code")
            for r in rules.values() if r.kind == kind
        ]  # fmt: skip
        if rows:
            parts.append(f"## {kind[:1].upper()}{kind[1:]}\n\n" + as_markdown(("rule", "it", "because", "tables", "when"), rows))
    return RULES_PAGE.format(n=len(rules), parts="\n\n".join(parts))


PAGES: dict[str, Callable[[], str]] = {"dicom_profile.md": page_of_dicom_profile, "rules.md": page_of_rules}


def main() -> None:
    """Write README.md with its generated parts made anew, and the pages of docs/."""
    README.write_text(with_parts(README.read_text(encoding="utf-8")), encoding="utf-8")
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
