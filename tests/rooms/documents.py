"""The parts of README.md that are made from the code: `make docs` writes them, a test compares them.

A part stands between `<!-- <name>:begin -->` and `<!-- <name>:end -->`. Starts no Spark.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medlake.grammar.contract import Promise, all_promises
from medlake.grammar.errors import EXIT_CODES

README = Path(__file__).resolve().parents[2] / "README.md"


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


def main() -> None:
    """Write README.md with its generated parts made anew."""
    README.write_text(with_parts(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
