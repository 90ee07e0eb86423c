"""`medlake link`: the night's step, any table of people, and a reviewer's decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medlake.commands.options import ConfOption, DryOption, FormOption, LakeOption, LandingOption, ProfileOption
from medlake.grammar.errors import UsageError
from medlake.steps.runner import Options, Runner

link_app = typer.Typer(invoke_without_command=True)
review_app = typer.Typer(help="Pairs of records that may be one person, and what a person decides about them.")
link_app.add_typer(review_app, name="review", no_args_is_help=True)


@link_app.callback()
def link(
    context: typer.Context,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Link the rows of this UTF-8 file with header, not the lake's.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="With --csv: the column that names a row.")] = None,
    export: Annotated[Path | None, typer.Option("--export", help="With --csv: a new file for key,cluster_id.")] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="With --csv: COLUMN=ROLE, where the name does not say it.")
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Make a new model, compare all records anew.")] = False,
    conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None,
    profile: ProfileOption = "local", dry_run: DryOption = False,
) -> None:  # fmt: skip
    """Find out which keys of the sources are one person; with --csv, which rows of any table of people are."""
    if context.invoked_subcommand is not None:
        return
    if table is None:
        extra = {"estimate": "yes" if estimate else None}
        raise typer.Exit(Runner(Options(conf, lake, landing, profile, None, dry_run, extra=extra)).step("link"))
    if key is None or export is None:
        raise UsageError("link --csv: say the column that names a row with --key, and a new file with --export")
    from medlake.steps.link_table import link_table

    link_table(Options(conf, profile=profile), table, key, export, role or [])


@review_app.command("list")
def review_list(
    which: Annotated[
        Literal["open", "all"], typer.Argument(help="Doubtful pairs without a decision, or every known pair.")
    ] = "open",
    form: FormOption = "table",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Pairs shown at most, the heaviest first.")] = 100,
    conf: ConfOption = None, lake: LakeOption = None,
) -> None:  # fmt: skip
    """Pairs by id with their weight and its reasons; no names."""
    from medlake.steps.review import list_pairs

    list_pairs(Options(conf, lake), which, form, limit)


PairArgument = Annotated[str, typer.Argument(metavar="PAIR", help="A pair's id, or how it begins.")]


@review_app.command("show")
def review_show(
    pair: PairArgument, form: FormOption = "table", conf: ConfOption = None, lake: LakeOption = None
) -> None:
    """Both records of a pair. Restricted: it shows who the patients are."""
    from medlake.steps.review import show_pair

    show_pair(Options(conf, lake), pair, form)


ReasonOption = Annotated[str | None, typer.Option("--reason", help="A sentence for whoever looks at it later.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides; default: the account's name.")]


def _decide(decision: str, pair: str, reason: str | None, by: str | None, options: Options) -> None:
    extra = {"decision": decision, "reason": reason, "reviewer": by}
    given = Options(options.conf, options.lake, options.landing, options.profile, only=pair, extra=extra)
    raise typer.Exit(Runner(given).steps("review", "link"))


@review_app.command("accept")
def review_accept(
    pair: PairArgument, reason: ReasonOption = None, by: ByOption = None,
    conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None, profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """They are one person, whatever rules and weights say; the registry follows at once."""
    _decide("accept", pair, reason, by, Options(conf, lake, landing, profile))


@review_app.command("reject")
def review_reject(
    pair: PairArgument, reason: ReasonOption = None, by: ByOption = None,
    conf: ConfOption = None, lake: LakeOption = None, landing: LandingOption = None, profile: ProfileOption = "local",
) -> None:  # fmt: skip
    """They are two people, whatever rules and weights say; what connects them otherwise is cut where it is weakest."""
    _decide("reject", pair, reason, by, Options(conf, lake, landing, profile))
