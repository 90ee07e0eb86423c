"""Commands about privacy: forget a person, how anonymous a release is, counts with noise, made-up patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medlake.commands.options import ConfOption, FormOption, LakeOption, ProfileOption
from medlake.steps.runner import Options, Runner

TableArgument = Annotated[str, typer.Argument(metavar="TABLE", help="A table of silver or gold.")]
ToOption = Annotated[Path | None, typer.Option("--to", help="A new or empty folder, outside the lake.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (forget, risk, counts, synthesise):
        app.command()(command)


def forget(
    source: Annotated[str | None, typer.Option("--source", help="The source whose key it is.")] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with the key as the source writes it; - is standard input.")
    ] = None,
    person_id: Annotated[int | None, typer.Option("--person-id", help="Or the person's id in the open zone.")] = None,
    conf: ConfOption = None, lake: LakeOption = None, profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """Forget a person for good: all records, rows and older versions. It cannot be undone."""
    from medlake.steps.whom import whom

    runner = Runner(Options(conf, lake, None, profile, extra=whom(source, key_file, person_id)))
    raise typer.Exit(runner.forget())


def risk(
    table: TableArgument,
    quasi: Annotated[str, typer.Option("--quasi", help="What somebody may know of a person: columns, by commas.")],
    sensitive: Annotated[str | None, typer.Option("--sensitive", help="Columns not to be guessed from them.")] = None,
    also: Annotated[str | None, typer.Option("--also", help="Further columns of the release.")] = None,
    k: Annotated[int | None, typer.Option("--k", min=2, help="Generalise until so many rows agree.")] = None,
    l: Annotated[int, typer.Option("--l", min=1, help="… and have so many distinct sensitive values.")] = 1,  # noqa: E741
    max_suppressed: Annotated[
        float | None, typer.Option("--max-suppressed", min=0, max=1, help="Share of rows that may be left out.")
    ] = None,
    to: ToOption = None,
    conf: ConfOption = None, lake: LakeOption = None, profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """k-anonymity, l-diversity, t-closeness of a table; with --k the least that must be given up, with --to written."""
    from medlake.doors.outbox import free_folder

    said = {"quasi": quasi, "sensitive": sensitive, "also": also, "k": k, "l": l, "max_suppressed": max_suppressed}
    extra = {name: None if value is None else str(value) for name, value in said.items()}
    runner = Runner(Options(conf, lake, None, profile, only=table, to=to, extra=extra))
    if to is not None:
        free_folder(to, runner.settings.lake)
    raise typer.Exit(runner.step("risk"))


def counts(
    table: TableArgument,
    by: Annotated[str, typer.Option("--by", help="Columns that make the groups, by commas.")],
    epsilon: Annotated[float, typer.Option("--epsilon", min=0.001, max=20, help="What it may cost of the budget.")],
    delta: Annotated[float, typer.Option("--delta", help="Chance by which a rare group shows.")] = 1e-6,
    groups: Annotated[int, typer.Option("--groups", min=1, help="A person counts in so many groups at most.")] = 1,
    form: FormOption = "table",
    conf: ConfOption = None, lake: LakeOption = None, profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """Persons by group, with noise (differential privacy). What it costs is written down."""
    extra = {"by": by, "epsilon": str(epsilon), "delta": str(delta), "groups": str(groups), "form": form}
    raise typer.Exit(Runner(Options(conf, lake, None, profile, only=table, extra=extra)).step("counts"))


def synthesise(
    table: TableArgument,
    columns: Annotated[str, typer.Option("--columns", help="The columns to make up, by commas.")],
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder, outside the lake.")],
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="How many; as many as the table has.")] = None,
    conf: ConfOption = None, lake: LakeOption = None, profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """Made-up rows that are like a table's in each column and in each pair of columns that hang together most."""
    from medlake.doors.outbox import free_folder

    extra = {"columns": columns, "rows": None if rows is None else str(rows)}
    runner = Runner(Options(conf, lake, None, profile, only=table, to=to, extra=extra))
    free_folder(to, runner.settings.lake)
    raise typer.Exit(runner.step("synthesise"))
