"""`medlake …`: the same jobs for a person at a terminal, and a read-only look at the lake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from medlake.commands.link import link_app
from medlake.commands.options import ConfOption, DryOption, FormOption, LakeOption, LandingOption, ProfileOption
from medlake.commands.privacy import add_to
from medlake.grammar.errors import EXIT_CODES, MedlakeError
from medlake.steps.runner import Options, Runner

app = typer.Typer(
    name="medlake",
    help="One open lake for health records, notes and medical images on Spark and Delta Lake.",
    epilog="Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

@app.command()
def night(
    conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None,
    profile: ProfileOption = "local",
    from_step: Annotated[str | None, typer.Option("--from", help="Run again from this step.")] = None,
    dry_run: DryOption = False,
) -> None:  # fmt: skip
    """Run a whole night; one that was killed goes on at its first unfinished step."""
    options = Options(conf, lake, landing, profile, from_step, dry_run)
    raise typer.Exit(Runner(options).night())


def _step(name: str, about: str, argument: str | None) -> None:
    def with_argument(
        only: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
        conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None,
        profile: ProfileOption = "local", dry_run: DryOption = False,
    ) -> None:  # fmt: skip
        options = Options(conf, lake, landing, profile, None, dry_run, only)
        raise typer.Exit(Runner(options).step(name))

    def without(
        conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None,
        profile: ProfileOption = "local", dry_run: DryOption = False,
    ) -> None:  # fmt: skip
        with_argument(None, conf, lake, landing, profile, dry_run)

    command: Callable[..., None] = with_argument if argument else without
    app.command(name, help=about)(command)


for _name, _about, _argument in (
    ("ingest", "Take in what is new of one source, or of all.", "[SOURCE]"),
    ("build", "Rebuild one silver table, or the layer: silver.", "[TABLE-or-LAYER]"),
    ("quality", "Compute the Data Quality Dashboard's checks on silver.", None),
    ("features", "Cohorts, labels, features as of their index time, baskets, image features.", None),
    ("cluster", "Group patients.", None),
    ("associate", "Find conditions and drugs that go together.", None),
    ("train", "Train and cross-validate one model, or all.", "[MODEL]"),
    ("score", "Write the risks back.", None),
    ("evaluate", "Say how good the models are, for whom.", None),
    ("report", "Write the night's page.", None),
):
    _step(_name, _about, _argument)


app.add_typer(link_app, name="link")


@app.command()
def audit(
    conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None,
    profile: ProfileOption = "local", dry_run: DryOption = False,
    reconcile: Annotated[bool, typer.Option("--reconcile", help="Only print what came in and where it is.")] = False,
    verify_chain: Annotated[
        bool, typer.Option("--verify-chain", help="Only check the log of who read the restricted zone.")
    ] = False,
    form: FormOption = "table",
) -> None:  # fmt: skip
    """Check that the counts add up and that no identifier left the restricted zone."""
    if verify_chain:
        from medlake.steps.chain import verify

        typer.echo(verify(conf, lake))
    elif reconcile:
        from medlake.steps.reconcile import reconcile as told

        told(Options(conf, lake), form)
    else:
        raise typer.Exit(Runner(Options(conf, lake, landing, profile, None, dry_run)).step("audit"))


@app.command()
def export(
    standard: Annotated[
        Literal["omop", "meds", "fhir", "dicom"],
        typer.Argument(help="OMOP CDM 5.4, MEDS 0.4, FHIR R4 or de-identified DICOM files."),
    ],
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder, outside the lake.")],
    vocabulary: Annotated[
        Path | None, typer.Option("--vocabulary", help="Folder with Athena's CSV files: codes become concepts.")
    ] = None,
    conf: ConfOption = None, lake: LakeOption = None,
    profile: ProfileOption = "local", dry_run: DryOption = False,
) -> None:  # fmt: skip
    """Write the open zone in a standard's own format, whole or not at all; no identifiers leave."""
    from medlake.doors.outbox import free_folder

    options = Options(conf, lake, None, profile, None, dry_run, standard, to, vocabulary)
    runner = Runner(options)
    free_folder(to, runner.settings.lake)
    raise typer.Exit(runner.step("export"))


@app.command()
def view(
    file: Annotated[Path, typer.Argument(help="A SQL-on-FHIR v2 ViewDefinition (JSON).")],
    conf: ConfOption = None, lake: LakeOption = None,
    source: Annotated[str | None, typer.Option("--source", help="Only this source: keys are unique in one.")] = None,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="With --to, `table` means Parquet.")
    ] = "table",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows shown at most.")] = 100,
    to: Annotated[Path | None, typer.Option("--to", help="Write all rows into this new folder, mode 0700.")] = None,
    lenient: Annotated[bool, typer.Option("--lenient", help="Leave resources out that do not fit the view.")] = False,
    profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """Run a view over the FHIR resources in bronze. These are of the RESTRICTED zone: the rows hold identifiers."""
    from medlake.doors.outbox import free_folder
    from medlake.steps.view import look, read_definition

    extra = {"form": form, "source": source, "lenient": "yes" if lenient else None}
    if to is None:
        look(Options(conf, lake, profile=profile, extra=extra), file, form, limit)
        return
    read_definition(file)
    runner = Runner(Options(conf, lake, None, profile, only=str(file), to=to, extra=extra))
    free_folder(to, runner.settings.lake)
    raise typer.Exit(runner.step("view"))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT; tables by name, e.g. silver.person.")],
    conf: ConfOption = None, lake: LakeOption = None,
    form: FormOption = "table",
    limit: Annotated[int, typer.Option(help="Rows shown at most; 0: all.")] = 1000,
) -> None:  # fmt: skip
    """Ask the lake; read-only."""
    from medlake.steps.ask import ask

    ask(Options(conf, lake), query, form, limit)


SourceOption = Annotated[str | None, typer.Option("--source", help="Of one source only.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Of one reason code only.")]
quarantine = typer.Typer(help="Records that were set aside: how many and why, one of them whole, a second try.")
app.add_typer(quarantine, name="quarantine", no_args_is_help=True)


@quarantine.command("list")
def quarantine_list(
    source: SourceOption = None, reason: ReasonOption = None, form: FormOption = "table",
    conf: ConfOption = None, lake: LakeOption = None,
) -> None:  # fmt: skip
    """Entries by source and reason, counted; no record's text."""
    from medlake.steps.aside import list_aside

    list_aside(Options(conf, lake), source, reason, form)


@quarantine.command("show")
def quarantine_show(
    record_id: Annotated[str, typer.Argument(metavar="ID", help="A record_id, or how it begins.")],
    form: FormOption = "table", conf: ConfOption = None, lake: LakeOption = None,
) -> None:  # fmt: skip
    """One entry whole. Restricted: it shows a patient's record as received."""
    from medlake.steps.aside import show_aside

    show_aside(Options(conf, lake), record_id, form)


@quarantine.command("retry")
def quarantine_retry(
    source: SourceOption = None, reason: ReasonOption = None,
    conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None,
    profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """Read set-aside records again, link and build; what passes by now closes its entry."""
    options = Options(conf, lake, landing, profile, only=source, reason=reason)
    raise typer.Exit(Runner(options).retry())


@app.command()
def runs(conf: ConfOption = None, lake: LakeOption = None) -> None:
    """What ran when, and with which rows."""
    from medlake.steps.ask import RUNS, ask

    ask(Options(conf, lake), RUNS, "table", 200)


@app.command()
def tables(conf: ConfOption = None, lake: LakeOption = None) -> None:
    """All tables with their rows and versions."""
    from medlake.steps.ask import list_tables

    list_tables(Options(conf, lake))


@app.command()
def describe(table: Annotated[str, typer.Argument(help="layer.table")]) -> None:
    """A table's promise: its grain, its key and what each column means."""
    from medlake.steps.ask import describe_table

    describe_table(table)


@app.command()
def key(
    conf: ConfOption = None, lake: LakeOption = None, profile: ProfileOption = "local",
    rotate: Annotated[
        bool, typer.Option("--rotate", help="A new key, and everything in the lake made anew with it.")
    ] = False,
) -> None:  # fmt: skip
    """Make the secret key of all pseudonyms (mode 0600), once; or a new one for a lake that has one."""
    from medlake.doors.settings import Conf, load, write_key

    if rotate:
        raise typer.Exit(Runner(Options(conf, lake, None, profile)).rotate())
    path = load(Conf(conf), "local").key_file
    write_key(path)
    typer.echo(f"Wrote {path}. Keep a copy somewhere safe, away from the lake.")


add_to(app)


def main() -> None:
    """The console script: an error medlake knows is one sentence and its exit code, never a traceback."""
    sys.exit(guarded(app))


def guarded(call: Callable[[], object]) -> int:
    """Run `call`; what it raises becomes a sentence on stderr and an exit code."""
    try:
        call()
    except MedlakeError as fault:
        print(f"medlake: {fault}", file=sys.stderr)
        return fault.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except KeyboardInterrupt:
        print("medlake: interrupted; the next run goes on at the first unfinished step", file=sys.stderr)
        return 130
    except Exception as fault:  # what it says may hold a value: only its kind is told
        print(
            f"medlake: internal error ({type(fault).__name__}). Set MEDLAKE_DEBUG=1 to see it.",
            file=sys.stderr,
        )
        if "MEDLAKE_DEBUG" in os.environ:
            raise
        return MedlakeError.exit_code
    return 0
